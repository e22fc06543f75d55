package mounts

import (
	"path"
	"strings"

	"hoopy/unit"
)

// mounted is a line of /proc/self/mountinfo, see proc_pid_mountinfo(5).
type mounted struct {
	dev     string // "8:1"
	root    string // the folder of the file system that is mounted
	where   string
	options string
	fstype  string
	source  string
	super   string // options of the file system
}

// parseTable reads mountinfo; lines that are none are passed over.
func parseTable(text string) (all []mounted) {
	for line := range strings.SplitSeq(text, "\n") {
		front, back, ok := strings.Cut(line, " - ")
		f, b := strings.Fields(front), strings.Split(back, " ")
		if !ok || len(f) < 6 || len(b) < 2 {
			continue
		}
		m := mounted{dev: f[2], root: unit.Unescape(f[3]), where: unit.Unescape(f[4]), options: f[5], fstype: b[0], source: unit.Unescape(b[1])}
		if len(b) > 2 {
			m.super = b[2]
		}
		all = append(all, m)
	}
	return all
}

// top is what is seen in a place: the last mounted there; nil: nothing.
func top(all []mounted, where string) *mounted {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].where == where {
			return &all[i]
		}
	}
	return nil
}

// isBind says whether m shows the folder what.
func isBind(all []mounted, m *mounted, what string) bool {
	for at := what; ; at = path.Dir(at) {
		if of := top(all, at); of != nil && of != m {
			rest := strings.TrimPrefix(what, at)
			return m.dev == of.dev && m.root == path.Join(of.root, rest)
		}
		if at == "/" || at == "." {
			return false
		}
	}
}

// readOnly says whether the file system itself is; a mount may be so besides.
func (m *mounted) readOnly() bool { return has(m.super, "ro") }

func has(options, word string) bool {
	for w := range strings.SplitSeq(options, ",") {
		if w == word {
			return true
		}
	}
	return false
}
