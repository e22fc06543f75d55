package install

import (
	"bytes"
	"io/fs"
	"path"
	"strings"

	"hoopy/build/tree"
)

// into is where an operand goes: below the last one, if that is a directory.
func (v *invocation) into(name, last string) string {
	last = v.at(last)
	if e, err := v.script.in.t.Stat(last); err == nil && e.Mode.IsDir() {
		return path.Join(last, path.Base(v.at(name)))
	}
	return last
}

// sources splits the operands of cp, mv and install.
func sources(args []string) (from []string, to string, err error) {
	if len(args) < 2 {
		return nil, "", failed("missing file operand")
	}
	return args[:len(args)-1], args[len(args)-1], nil
}

// cp copies files, links and, with -r or -a, directories. The copies are
// root's, unless -p or -a keeps the owner; the content is shared, not read.
func cp(v *invocation) error {
	set, args, err := flags(v.args, "afprRPdnL")
	if err != nil {
		return err
	}
	from, to, err := sources(args)
	if err != nil {
		return err
	}
	all := has(set, 'a')
	for _, name := range from {
		follow := !all && !has(set, 'P') && !has(set, 'd') || has(set, 'L')
		err := v.copyOne(v.at(name), v.into(name, to), copying{
			deep: all || has(set, 'r') || has(set, 'R'), keep: all || has(set, 'p'),
			follow: follow, force: has(set, 'f'), unless: has(set, 'n'),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// copying says how copyOne does it.
type copying struct {
	deep   bool // directories, too
	keep   bool // owner and time
	follow bool // a link stands for what it names
	force  bool // take away what cannot be written over
	unless bool // not where something is
}

func (v *invocation) copyOne(from, to string, how copying) error {
	t := v.script.in.t
	get := t.Lstat
	if how.follow {
		get = t.Stat
	}
	e, err := get(from)
	if err != nil {
		return failed("can't stat '%s': No such file or directory", from)
	}
	old, exists := t.Get(to)
	if exists && (how.unless || old == e) {
		return nil
	}
	n := &tree.Entry{Path: to, Mode: e.Mode, MTime: v.l.BuildTime, Link: e.Link, Source: v.l.id()}
	if how.keep {
		n.UID, n.GID, n.MTime = e.UID, e.GID, e.MTime
	}
	switch {
	case e.Mode.IsDir() && !how.deep:
		return failed("omitting directory '%s'", from)
	case e.Mode.IsDir():
		if strings.HasPrefix(tree.Clean(to)+"/", tree.Clean(e.Path)+"/") {
			return failed("can't copy '%s' into itself", from)
		}
		if !exists {
			if err := t.Add(n); err != nil {
				return err
			}
		}
		list, err := t.ReadDir(from)
		if err != nil {
			return err
		}
		how.follow = false
		for _, kid := range list {
			if err := v.copyOne(kid.Path, path.Join(to, path.Base(kid.Path)), how); err != nil {
				return err
			}
		}
		return nil
	case e.Mode.IsRegular():
		first := e
		if e.Hard != "" {
			if first, err = t.Lstat(e.Hard); err != nil {
				return err
			}
		}
		n.Size, n.Open = first.Size, first.Open
		if exists && old.Mode.IsRegular() && !how.keep {
			n.UID, n.GID = old.UID, old.GID
		}
	}
	return t.Add(n)
}

// mv renames files and directories.
func mv(v *invocation) error {
	set, args, err := flags(v.args, "fnT")
	if err != nil {
		return err
	}
	from, to, err := sources(args)
	if err != nil {
		return err
	}
	t := v.script.in.t
	for _, name := range from {
		target := v.into(name, to)
		if has(set, 'T') {
			target = v.at(to)
		}
		if tree.Clean(target) == tree.Clean(v.at(name)) {
			return failed("'%s' and '%s' are the same file", name, to)
		}
		if err := v.copyOne(v.at(name), target, copying{deep: true, keep: true, unless: has(set, 'n')}); err != nil {
			return err
		}
		if err := t.RemoveAll(v.at(name)); err != nil {
			return err
		}
	}
	return nil
}

// installFiles is install(1): files with a mode and an owner, or directories
// with -d.
func installFiles(v *invocation) error {
	set, args, err := flags(v.args, "dDm:o:g:cp")
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o755)
	if m, ok := set['m']; ok {
		change, err := parseMode(m)
		if err != nil {
			return err
		}
		mode = change(0)
	}
	ids, err := v.script.in.ids.of(v.script.in.t)
	if err != nil {
		return err
	}
	uid, gid := 0, 0
	if o, ok := set['o']; ok {
		if uid = lookUp(ids.users, o, numeric(o)); uid < 0 {
			return failed("unknown user %s", o)
		}
	}
	if g, ok := set['g']; ok {
		if gid = lookUp(ids.groups, g, numeric(g)); gid < 0 {
			return failed("unknown group %s", g)
		}
	}
	t := v.script.in.t
	done := func(name string) error {
		e, err := t.Stat(name)
		if err != nil {
			return err
		}
		e.Mode, e.UID, e.GID = e.Mode.Type()|mode, uid, gid
		if !has(set, 'p') {
			e.MTime = v.l.BuildTime
		}
		return nil
	}
	if has(set, 'd') {
		for _, name := range args {
			if err := t.MkdirAll(v.at(name), 0o755); err != nil {
				return err
			}
			if err := done(v.at(name)); err != nil {
				return err
			}
		}
		return nil
	}
	from, to, err := sources(args)
	if err != nil {
		return err
	}
	for _, name := range from {
		target := v.into(name, to)
		if has(set, 'D') {
			if err := t.MkdirAll(path.Dir(target), 0o755); err != nil {
				return err
			}
		}
		if err := v.copyOne(v.at(name), target, copying{follow: true, keep: has(set, 'p')}); err != nil {
			return err
		}
		if err := done(target); err != nil {
			return err
		}
	}
	return nil
}

// grep prints the lines that match, or with -q only says whether one does.
func grep(v *invocation) error {
	set, args, err := flags(v.args, "EFqsvixcnhe:")
	if err != nil {
		return err
	}
	pattern, ok := set['e']
	if !ok {
		if len(args) == 0 {
			return failed("a pattern is needed")
		}
		pattern, args = args[0], args[1:]
	}
	if v.name == "egrep" {
		set['E'] = ""
	}
	var match func(line string) bool
	if has(set, 'F') || v.name == "fgrep" {
		if has(set, 'i') || has(set, 'x') {
			return noSuchUse("-F with -i or -x")
		}
		match = func(line string) bool { return strings.Contains(line, pattern) }
	} else {
		re, err := sedRegexp(pattern, has(set, 'E'), has(set, 'i'))
		if err != nil {
			return err
		}
		match = re.MatchString
		if has(set, 'x') {
			match = func(line string) bool {
				m := re.FindStringIndex(line)
				return m != nil && m[0] == 0 && m[1] == len(line)
			}
		}
	}
	if has(set, 'c') || has(set, 'n') || len(args) > 1 && !has(set, 'h') && !has(set, 'q') {
		return noSuchUse("-c, -n and several files")
	}
	var data []byte
	missing := false
	for _, name := range args {
		d, err := v.script.in.t.ReadFile(v.at(name))
		if err != nil {
			missing = true
			continue
		}
		data = append(data, d...)
	}
	if len(args) == 0 {
		if data, err = v.stdin(); err != nil {
			return err
		}
	}
	found := false
	for l := range bytes.Lines(data) {
		line := strings.TrimSuffix(string(l), "\n")
		if match(line) == has(set, 'v') {
			continue
		}
		found = true
		if !has(set, 'q') {
			v.out.WriteString(line + "\n")
		}
	}
	switch {
	case missing && !(found && has(set, 'q')):
		if has(set, 's') {
			return &failure{status: 2}
		}
		return &failure{2, "No such file or directory"}
	case !found:
		return &failure{status: 1}
	}
	return nil
}

func basename(v *invocation) error {
	if len(v.args) < 1 || len(v.args) > 2 {
		return failed("one name, and perhaps a suffix")
	}
	base := path.Base(v.args[0])
	if len(v.args) == 2 && base != v.args[1] {
		base = strings.TrimSuffix(base, v.args[1])
	}
	v.out.WriteString(base + "\n")
	return nil
}

func dirname(v *invocation) error {
	if len(v.args) != 1 {
		return failed("one name")
	}
	name := strings.TrimRight(v.args[0], "/")
	switch at := strings.LastIndexByte(name, '/'); {
	case name == "" && v.args[0] != "":
		name = "/"
	case at < 0:
		name = "."
	default:
		if name = strings.TrimRight(name[:at], "/"); name == "" {
			name = "/"
		}
	}
	v.out.WriteString(name + "\n")
	return nil
}

// getent looks up users and groups of the tree by name or number.
func getent(v *invocation) error {
	if len(v.args) != 2 || v.args[0] != "passwd" && v.args[0] != "group" {
		return noSuchUse("only a user or a group")
	}
	tb, err := readTable(v.script.in.t, "etc/"+v.args[0])
	if err != nil {
		return err
	}
	for _, l := range tb.lines {
		if l[0] == v.args[1] || len(l) > 2 && l[2] == v.args[1] {
			// as Alpine's own prints it
			v.out.WriteString(strings.TrimSuffix(strings.Join(l, ":"), ":") + "\n")
			return nil
		}
	}
	return &failure{status: 2}
}
