package install

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"hoopy/build/tree"
)

// Ranges of numbers as busybox's adduser and addgroup have them.
const (
	firstSystem, lastSystem = 100, 999
	firstUser, lastUser     = 1000, 60000
)

// choose picks the number for a new name: wanted if not negative, else the one
// pinned for it, else the first of the range that is neither taken nor pinned.
func choose(kind, name string, wanted int, taken map[int]string, pins map[string]int, system bool) (int, error) {
	if wanted >= 0 {
		if by, ok := taken[wanted]; ok {
			return 0, &inUse{"number", fmt.Sprintf("%d, of %s", wanted, by)}
		}
		return wanted, nil
	}
	if pin, ok := pins[name]; ok {
		// not for the script to ignore: files elsewhere have this owner
		if by, ok := taken[pin]; ok {
			return 0, fmt.Errorf("%s %q: number %d, pinned for it, is that of %q", kind, name, pin, by)
		}
		return pin, nil
	}
	reserved := map[int]bool{}
	for _, n := range pins {
		reserved[n] = true
	}
	from, to := firstUser, lastUser
	if system {
		from, to = firstSystem, lastSystem
	}
	for n := from; n <= to; n++ {
		if _, ok := taken[n]; !ok && !reserved[n] {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%s %q: no number from %d to %d is free", kind, name, from, to)
}

// goodName keeps out what would break the tables.
func goodName(kind, name string) error {
	if name == "" || strings.ContainsAny(name, ":\n/ \t") || name[0] == '-' {
		return failed("%s '%s': not a name", kind, name)
	}
	return nil
}

// inUse is what addgroup and adduser say of a name that exists; scripts count
// on it being a mere exit status.
type inUse struct{ kind, name string }

func (e *inUse) Error() string { return fmt.Sprintf("%s '%s' in use", e.kind, e.name) }

// addGroup adds a group; gid below zero means choose.
func (in *installer) addGroup(name string, gid int, system bool) (int, error) {
	if err := goodName("group", name); err != nil {
		return 0, err
	}
	tb, err := readTable(in.t, "etc/group")
	if err != nil {
		return 0, err
	}
	if tb.find(name) != nil {
		return 0, &inUse{"group", name}
	}
	if gid, err = choose("group", name, gid, tb.numbers(), in.o.IDs.Groups, system); err != nil {
		return 0, err
	}
	tb.lines = append(tb.lines, []string{name, "x", strconv.Itoa(gid), ""})
	in.report.IDs.Groups[name] = gid
	return gid, tb.write(in.t)
}

// addMember puts a user into a group.
func (in *installer) addMember(user, group string) error {
	tb, err := readTable(in.t, "etc/group")
	if err != nil {
		return err
	}
	l := tb.find(group)
	if len(l) < 4 {
		return failed("unknown group %s", group)
	}
	members := strings.FieldsFunc(l[3], func(r rune) bool { return r == ',' })
	if slices.Contains(members, user) {
		return nil
	}
	l[3] = strings.Join(append(members, user), ",")
	return tb.write(in.t)
}

// newUser is what adduser is asked for.
type newUser struct {
	name, home, shell, group, gecos string
	uid                             int // below zero: choose
	system, noHome                  bool
	when                            int64 // of the home directory, seconds
}

// addUser adds a user as busybox's adduser does with -D: the password is "!",
// and a home directory is made, mode 2755, if the directory above it exists.
func (in *installer) addUser(u newUser) error {
	if err := goodName("user", u.name); err != nil {
		return err
	}
	for _, s := range []string{u.home, u.shell, u.gecos} {
		if strings.ContainsAny(s, ":\n") {
			return failed("user '%s': '%s' may not stand in etc/passwd", u.name, s)
		}
	}
	passwd, err := readTable(in.t, "etc/passwd")
	if err != nil {
		return err
	}
	if passwd.find(u.name) != nil {
		return &inUse{"user", u.name}
	}
	if u.home == "" {
		u.home = "/home/" + u.name
	}
	if u.system {
		if u.group == "" {
			u.group = "nogroup"
		}
		if u.shell == "" {
			u.shell = "/bin/false"
		}
	}
	if u.shell == "" {
		u.shell = "/bin/sh"
	}
	if u.gecos == "" {
		u.gecos = "Linux User,,,"
	}
	group, err := readTable(in.t, "etc/group")
	if err != nil {
		return err
	}
	gid := -1
	taken := passwd.numbers()
	if u.group != "" {
		n, ok := number(group.find(u.group))
		if !ok {
			return failed("unknown group %s", u.group)
		}
		gid = n
	} else {
		// the user's own group gets the same number
		for n, name := range group.numbers() {
			if _, ok := taken[n]; !ok {
				taken[n] = name
			}
		}
	}
	uid, err := choose("user", u.name, u.uid, taken, in.o.IDs.Users, u.system)
	if err != nil {
		return err
	}
	if gid < 0 {
		if gid, err = in.addGroup(u.name, uid, u.system); err != nil {
			return err
		}
	}
	passwd.lines = append(passwd.lines, []string{u.name, "x", strconv.Itoa(uid), strconv.Itoa(gid), u.gecos, u.home, u.shell})
	if err := passwd.write(in.t); err != nil {
		return err
	}
	shadow, err := readTable(in.t, "etc/shadow")
	if err != nil {
		return err
	}
	if _, ok := in.t.Get("etc/shadow"); ok && shadow.find(u.name) == nil {
		shadow.lines = append(shadow.lines, []string{u.name, "!", "", "0", "99999", "7", "", "", ""})
		if err := shadow.write(in.t); err != nil {
			return err
		}
	}
	if u.group != "" {
		if err := in.addMember(u.name, u.group); err != nil {
			return err
		}
	}
	in.report.IDs.Users[u.name] = uid
	if u.noHome {
		return nil
	}
	return in.home(u, uid, gid)
}

// home makes a home directory, or takes one over.
func (in *installer) home(u newUser, uid, gid int) error {
	e, err := in.t.Stat(u.home)
	if err != nil {
		e = &tree.Entry{Path: tree.Clean(u.home), Mode: fs.ModeDir, MTime: u.when}
		if err := in.t.Add(e); err != nil {
			// adduser only complains when the directory above is not there
			return nil
		}
	}
	if e.Mode.IsDir() {
		e.Mode = fs.ModeDir | fs.ModeSetgid | 0o755
		e.UID, e.GID = uid, gid
	}
	return nil
}
