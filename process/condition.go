package process

import (
	"os"
	"path/filepath"
	"strings"

	"hoopy/unit"
)

// place is where conditions are asked.
type place struct {
	root    string // folder that stands for /, without a slash at its end
	safe    bool
	builtIn func(module string) bool // nil: nobody knows
}

// unmet says what is missing of what must hold, in a sentence; empty: nothing.
// It may hang as long as a disk does.
func (p *place) unmet(conditions []unit.Condition) string {
	for _, c := range conditions {
		if s := p.ask(c); s != "" {
			return s
		}
	}
	return ""
}

func (p *place) ask(c unit.Condition) string {
	var holds bool
	var yes, no string // what there is to say if it holds, and if not
	switch c.Op {
	case unit.PathExists:
		holds = p.exists(c.Text)
		yes, no = c.Text+" is there", "no "+c.Text+" on this machine"
	case unit.CmdlineWord:
		holds = hasWord(p.read("/proc/cmdline"), c.Text)
		yes, no = c.Text+" is on the kernel's command line", "no "+c.Text+" on the kernel's command line"
	case unit.ModuleLoaded:
		holds = p.hasModule(c.Text)
		yes, no = "module "+c.Text+" is loaded", "module "+c.Text+" is not loaded"
	case unit.MountPresent:
		holds = isMounted(p.read("/proc/self/mountinfo"), c.Text)
		yes, no = "something is mounted on "+c.Text, "nothing is mounted on "+c.Text
	case unit.NotInSafeMode:
		holds = !p.safe
		yes, no = "the supervisor is not in safe mode", "the supervisor is in safe mode"
	default:
		return "a condition that this version does not know"
	}
	switch {
	case holds == !c.Not:
		return ""
	case holds:
		return yes
	}
	return no
}

func (p *place) read(path string) string {
	b, _ := os.ReadFile(p.root + path) // what cannot be read says nothing
	return string(b)
}

// exists takes a path as it stands, or as a pattern when nothing is called so.
func (p *place) exists(path string) bool {
	if _, err := os.Stat(p.root + path); err == nil {
		return true
	}
	if !strings.ContainsAny(path, `*?[\`) {
		return false
	}
	found, _ := filepath.Glob(p.root + path)
	return len(found) > 0
}

// hasWord looks for a word of the command line; "name=" stands for the word name
// with any value.
func hasWord(line, word string) bool {
	for w := range strings.FieldsSeq(line) {
		if w == word || strings.HasSuffix(word, "=") && strings.HasPrefix(w, word) {
			return true
		}
	}
	return false
}

// hasModule says whether a module is loaded, or built in. The kernel writes its
// names with underscores; those that are built in have a folder only when they
// have a parameter or a version.
func (p *place) hasModule(name string) bool {
	name = strings.ReplaceAll(name, "-", "_")
	if _, err := os.Stat(p.root + "/sys/module/" + name); err == nil {
		return true
	}
	for line := range strings.Lines(p.read("/proc/modules")) {
		if first, _, _ := strings.Cut(line, " "); first == name {
			return true
		}
	}
	return p.builtIn != nil && p.builtIn(name)
}

// isMounted says whether mountinfo, as proc_pid_mountinfo(5) has it, names path.
func isMounted(mountinfo, path string) bool {
	path = filepath.Clean(path)
	for line := range strings.Lines(mountinfo) {
		if f := strings.Fields(line); len(f) > 4 && unit.Unescape(f[4]) == path {
			return true
		}
	}
	return false
}
