package install

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"hoopy/build/tree"
)

// flags splits arguments in the way of getopt: short flags, together or apart,
// of which those followed by ":" in spec take a value. The map has what was
// given.
func flags(args []string, spec string) (map[byte]string, []string, error) {
	set := map[byte]string{}
	var rest []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			return set, append(rest, args[i+1:]...), nil
		}
		if len(a) < 2 || a[0] != '-' {
			rest = append(rest, a)
			continue
		}
		for j := 1; j < len(a); j++ {
			at := strings.IndexByte(spec, a[j])
			if at < 0 || a[j] == ':' {
				return nil, nil, noSuchUse("no flag -%c", a[j])
			}
			if at+1 == len(spec) || spec[at+1] != ':' {
				set[a[j]] = ""
				continue
			}
			v := a[j+1:]
			if v == "" {
				if i++; i == len(args) {
					return nil, nil, failed("-%c needs a value", a[j])
				}
				v = args[i]
			}
			set[a[j]] = v
			break
		}
	}
	return set, rest, nil
}

func has(set map[byte]string, c byte) bool { _, ok := set[c]; return ok }

// at resolves an operand against the script's working directory.
func (v *invocation) at(name string) string { return inTree(v.ctx, name) }

func addgroup(v *invocation) error {
	set, args, err := flags(v.args, "g:S")
	if err != nil {
		return err
	}
	switch len(args) {
	case 1:
		gid := -1
		if g, ok := set['g']; ok {
			if gid, err = strconv.Atoi(g); err != nil || gid < 0 {
				return failed("invalid number '%s'", g)
			}
		}
		_, err := v.script.in.addGroup(args[0], gid, has(set, 'S'))
		return err
	case 2:
		return v.script.in.addMember(args[0], args[1])
	}
	return failed("one group, or a user and a group")
}

func adduser(v *invocation) error {
	set, args, err := flags(v.args, "h:g:s:G:SDu:Hk:")
	if err != nil {
		return err
	}
	if len(args) == 2 && len(set) == 0 {
		return v.script.in.addMember(args[0], args[1])
	}
	if len(args) != 1 {
		return failed("one user")
	}
	if !has(set, 'D') && !has(set, 'S') {
		return noSuchUse("it would ask for a password; -D is needed")
	}
	u := newUser{name: args[0], home: set['h'], shell: set['s'], group: set['G'], gecos: set['g'], uid: -1,
		system: has(set, 'S'), noHome: has(set, 'H'), when: v.l.BuildTime}
	if n, ok := set['u']; ok {
		if u.uid, err = strconv.Atoi(n); err != nil || u.uid < 0 {
			return failed("invalid number '%s'", n)
		}
	}
	return v.script.in.addUser(u)
}

func mkdir(v *invocation) error {
	set, args, err := flags(v.args, "pm:")
	if err != nil {
		return err
	}
	perm := fs.FileMode(0o755)
	if m, ok := set['m']; ok {
		change, err := parseMode(m)
		if err != nil {
			return err
		}
		perm = change(fs.ModeDir | 0o755)
	}
	t := v.script.in.t
	for _, name := range args {
		name = v.at(name)
		_, err := t.Stat(name)
		exists := err == nil
		if has(set, 'p') {
			if err := t.MkdirAll(name, 0o755); err != nil {
				return err
			}
		} else if exists {
			return failed("can't create directory '%s': File exists", name)
		} else if err := t.Add(&tree.Entry{Path: name, Mode: fs.ModeDir | 0o755}); err != nil {
			return err
		}
		if e, err := t.Stat(name); err == nil && !exists {
			e.Mode, e.MTime = fs.ModeDir|perm, v.l.BuildTime
		}
	}
	return nil
}

func ln(v *invocation) error {
	set, args, err := flags(v.args, "sfn")
	if err != nil {
		return err
	}
	if !has(set, 's') {
		return noSuchUse("only ln -s is supported")
	}
	if len(args) == 1 {
		args = append(args, ".")
	}
	if len(args) != 2 {
		return noSuchUse("only one link at a time")
	}
	t := v.script.in.t
	target, name := args[0], v.at(args[1])
	look := t.Stat
	if has(set, 'n') {
		look = t.Lstat
	}
	if e, err := look(name); err == nil && e.Mode.IsDir() {
		name = path.Join(name, path.Base(target))
	}
	if has(set, 'f') {
		if e, ok := t.Get(name); ok && !e.Mode.IsDir() {
			if err := t.Remove(name); err != nil {
				return err
			}
		}
	}
	if err := t.Symlink(target, name); err != nil {
		return err
	}
	if e, ok := t.Get(name); ok {
		e.MTime = v.l.BuildTime
	}
	return nil
}

func readlink(v *invocation) error {
	set, args, err := flags(v.args, "fn")
	if err != nil {
		return err
	}
	if len(args) != 1 {
		return failed("one name")
	}
	t := v.script.in.t
	var out string
	if has(set, 'f') {
		if args[0] == "" {
			return &failure{status: 1}
		}
		p, err := t.Resolve(v.at(args[0]))
		if err != nil {
			return &failure{status: 1}
		}
		out = path.Join("/", p)
	} else {
		e, ok := t.Get(v.at(args[0]))
		if !ok || e.Mode&fs.ModeSymlink == 0 {
			return &failure{status: 1}
		}
		out = e.Link
	}
	if !has(set, 'n') {
		out += "\n"
	}
	v.out.WriteString(out)
	return nil
}

func rm(v *invocation) error {
	set, args, err := flags(v.args, "rRf")
	if err != nil {
		return err
	}
	t := v.script.in.t
	for _, name := range args {
		name = v.at(name)
		e, ok := t.Get(name)
		switch {
		case !ok && has(set, 'f'):
		case !ok:
			return failed("can't remove '%s': No such file or directory", name)
		case e.Mode.IsDir() && !has(set, 'r') && !has(set, 'R'):
			return failed("'%s' is a directory", name)
		default:
			if err := t.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func cat(v *invocation) error {
	_, args, err := flags(v.args, "u")
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"-"}
	}
	for _, name := range args {
		if name == "-" {
			data, err := v.stdin()
			if err != nil {
				return err
			}
			v.out.Write(data)
			continue
		}
		data, err := v.script.in.t.ReadFile(v.at(name))
		if errors.Is(err, fs.ErrNotExist) {
			return failed("can't open '%s': No such file or directory", name)
		}
		if err != nil {
			return err
		}
		v.out.Write(data)
	}
	return nil
}

// addShell puts shells into etc/shells, as add-shell of busybox.
func addShell(v *invocation) error {
	t := v.script.in.t
	old, err := t.ReadFile("etc/shells")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := string(old)
	for _, shell := range v.args {
		if !strings.Contains("\n"+text, "\n"+shell+"\n") {
			text += shell + "\n"
		}
	}
	e, err := t.WriteFile("etc/shells", []byte(text), 0o644)
	if err == nil && e.MTime == 0 {
		e.MTime = v.l.BuildTime
	}
	return err
}

// touch makes files that are not there; times are never those of the build.
func touch(v *invocation) error {
	_, args, err := flags(v.args, "c")
	if err != nil {
		return err
	}
	t := v.script.in.t
	for _, name := range args {
		if _, err := t.Stat(v.at(name)); err == nil {
			continue
		}
		e, err := t.WriteFile(v.at(name), nil, 0o644)
		if err != nil {
			return err
		}
		e.MTime = v.l.BuildTime
	}
	return nil
}
