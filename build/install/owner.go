package install

import (
	"io/fs"
	"strconv"
	"strings"

	"hoopy/build/tree"
)

// each applies f to what the operands name, and with -R to all below.
func (v *invocation) each(names []string, recursive, follow bool, f func(*tree.Entry) error) error {
	t := v.script.in.t
	for _, name := range names {
		get := t.Lstat
		if follow {
			get = t.Stat
		}
		e, err := get(v.at(name))
		if err != nil {
			return err
		}
		if err := f(e); err != nil {
			return err
		}
		if recursive && e.Mode.IsDir() {
			below := strings.TrimPrefix(e.Path+"/", "./")
			for x := range t.Walk() {
				if x != e && strings.HasPrefix(x.Path, below) {
					if err := f(x); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func chown(v *invocation) error {
	set, args, err := flags(v.args, "Rhf")
	if err != nil {
		return err
	}
	if len(args) < 2 {
		return failed("an owner and a file")
	}
	ids, err := v.script.in.ids.of(v.script.in.t)
	if err != nil {
		return err
	}
	user, group, both := strings.Cut(args[0], ":")
	uid, gid := -1, -1
	if user != "" {
		if uid = lookUp(ids.users, user, numeric(user)); uid < 0 {
			return failed("unknown user %s", user)
		}
	}
	if both && group != "" {
		if gid = lookUp(ids.groups, group, numeric(group)); gid < 0 {
			return failed("unknown group %s", group)
		}
	}
	return v.each(args[1:], has(set, 'R'), !has(set, 'h'), func(e *tree.Entry) error {
		if uid >= 0 {
			e.UID = uid
		}
		if gid >= 0 {
			e.GID = gid
		}
		if e.Mode.IsRegular() {
			// as the kernel does
			e.Mode &^= fs.ModeSetuid | fs.ModeSetgid
		}
		return nil
	})
}

func numeric(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

func chmod(v *invocation) error {
	// a mode may look like a flag: -x
	var set map[byte]string
	args := v.args
	for len(args) > 0 && (args[0] == "-R" || args[0] == "-f" || args[0] == "--") {
		if set == nil {
			set = map[byte]string{}
		}
		set[args[0][1]] = ""
		args = args[1:]
	}
	if len(args) < 2 {
		return failed("a mode and a file")
	}
	change, err := parseMode(args[0])
	if err != nil {
		return err
	}
	return v.each(args[1:], has(set, 'R'), true, func(e *tree.Entry) error {
		if e.Mode&fs.ModeSymlink == 0 {
			e.Mode = e.Mode.Type() | change(e.Mode)
		}
		return nil
	})
}

const allBits = fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky | 0o777

// octal maps the number that chmod takes.
func octal(n uint64) fs.FileMode {
	m := fs.FileMode(n & 0o777)
	for bit, mode := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			m |= mode
		}
	}
	return m
}

// parseMode reads an octal or symbolic mode (umask 022).
func parseMode(s string) (func(fs.FileMode) fs.FileMode, error) {
	if n, err := strconv.ParseUint(s, 8, 32); err == nil && n <= 0o7777 {
		return func(fs.FileMode) fs.FileMode { return octal(n) }, nil
	}
	type step struct {
		who, bits fs.FileMode
		op        byte
		x         bool // X: x for directories and where any x is
	}
	var steps []step
	for _, clause := range strings.Split(s, ",") {
		at := strings.IndexAny(clause, "+-=")
		if at < 0 {
			return nil, failed("invalid mode '%s'", s)
		}
		who := fs.FileMode(0)
		for _, c := range clause[:at] {
			switch c {
			case 'u':
				who |= 0o700 | fs.ModeSetuid
			case 'g':
				who |= 0o070 | fs.ModeSetgid
			case 'o':
				who |= 0o007
			case 'a':
				who |= allBits
			default:
				return nil, failed("invalid mode '%s'", s)
			}
		}
		masked := who == 0
		if masked {
			who = allBits
		}
		st := step{who: who, op: clause[at]}
		for _, c := range clause[at+1:] {
			switch c {
			case 'r':
				st.bits |= 0o444
			case 'w':
				st.bits |= 0o222
			case 'x':
				st.bits |= 0o111
			case 'X':
				st.x = true
			case 's':
				st.bits |= fs.ModeSetuid | fs.ModeSetgid
			case 't':
				st.bits |= fs.ModeSticky
				st.who |= fs.ModeSticky
			default:
				return nil, noSuchUse("mode %q", s)
			}
		}
		if masked {
			st.bits &^= 0o022
		}
		steps = append(steps, st)
	}
	return func(m fs.FileMode) fs.FileMode {
		dir, out := m.IsDir(), m&allBits
		for _, st := range steps {
			bits := st.bits
			if st.x && (dir || out&0o111 != 0) {
				bits |= 0o111
			}
			bits &= st.who
			switch st.op {
			case '+':
				out |= bits
			case '-':
				out &^= bits
			case '=':
				out = out&^(st.who&0o777) | bits
			}
		}
		return out
	}, nil
}
