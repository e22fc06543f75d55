package image

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"hoopy/build/config"
	"hoopy/build/install"
	"hoopy/build/tree"
)

// The numbers that are given to users and groups of image.toml which say none.
const firstID, lastID = 1000, 60000

// database is one of etc/passwd, etc/group and etc/shadow, by fields.
type database struct {
	file  string
	lines [][]string
}

func readDatabase(t *tree.Tree, file string) (*database, error) {
	text, err := t.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return parseDatabase(file, string(text)), nil
}

func parseDatabase(file, text string) *database {
	d := &database{file: file}
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			d.lines = append(d.lines, strings.Split(line, ":"))
		}
	}
	return d
}

func (d *database) find(name string) []string {
	for _, l := range d.lines {
		if l[0] == name {
			return l
		}
	}
	return nil
}

// ids are the third fields by name.
func (d *database) ids() map[string]int {
	out := map[string]int{}
	for _, l := range d.lines {
		if len(l) > 2 {
			if n, err := strconv.Atoi(l[2]); err == nil && n >= 0 {
				out[l[0]] = n
			}
		}
	}
	return out
}

func (d *database) write(t *tree.Tree, mode fs.FileMode) error {
	var b strings.Builder
	for _, l := range d.lines {
		b.WriteString(strings.Join(l, ":") + "\n")
	}
	e, err := t.WriteFile(d.file, []byte(b.String()), mode)
	if err == nil && e.Source == "" {
		e.Source = "image.toml"
	}
	return err
}

// accounts are the three databases of a tree while image.toml's users are laid.
type accounts struct {
	t                     *tree.Tree
	passwd, group, shadow *database
	pins, given           install.IDs
	epoch                 int64
}

// layAccounts makes or changes the users and groups of image.toml. Numbers come
// from there, else from pins, else the next free one; given has those that were
// not there before.
func layAccounts(t *tree.Tree, c *config.Config, pins install.IDs) (given install.IDs, err error) {
	a := &accounts{t: t, pins: pins, given: install.IDs{Users: map[string]int{}, Groups: map[string]int{}}, epoch: newest(t)}
	if len(c.Users)+len(c.Groups) == 0 {
		return a.given, nil
	}
	for file, to := range map[string]**database{"etc/passwd": &a.passwd, "etc/group": &a.group, shadowFile: &a.shadow} {
		if *to, err = readDatabase(t, file); err != nil {
			return a.given, err
		}
	}
	if err := t.MkdirAll("etc", 0o755); err != nil {
		return a.given, err
	}
	for _, g := range c.Groups {
		if err := a.layGroup(g.Name, g.GID); err != nil {
			return a.given, fmt.Errorf("groups.%s: %w", g.Name, err)
		}
	}
	for _, u := range c.Users {
		if err := a.layUser(u); err != nil {
			return a.given, fmt.Errorf("users.%s: %w", u.Name, err)
		}
	}
	for _, g := range c.Groups {
		for _, m := range g.Members {
			if err := a.join(m, g.Name); err != nil {
				return a.given, fmt.Errorf("groups.%s: %w", g.Name, err)
			}
		}
	}
	if err := errors.Join(a.passwd.write(t, 0o644), a.group.write(t, 0o644), a.shadow.write(t, 0o640)); err != nil {
		return a.given, err
	}
	for _, u := range c.Users { // with all numbers known
		if err := a.layHome(u); err != nil {
			return a.given, fmt.Errorf("users.%s: %w", u.Name, err)
		}
	}
	return a.given, nil
}

// number decides about one: what is there stays unless something else was said.
// A number that is free to choose is not among avoid either.
func number(name string, said int, pins, have, avoid map[string]int) (int, error) {
	if n, ok := have[name]; ok {
		if said >= 0 && said != n {
			return 0, fmt.Errorf("number %d, but a package of the list lays it with %d", said, n)
		}
		return n, nil
	}
	pin, pinned := pins[name]
	if said < 0 && pinned {
		said = pin
	}
	taken := map[int]string{}
	for other, n := range have {
		taken[n] = other
	}
	if said >= 0 {
		if other := taken[said]; other != "" {
			return 0, fmt.Errorf("number %d is that of %s", said, other)
		}
		return said, nil
	}
	for _, more := range []map[string]int{pins, avoid} {
		for _, n := range more {
			taken[n] = "kept"
		}
	}
	for n := firstID; n <= lastID; n++ {
		if taken[n] == "" {
			return n, nil
		}
	}
	return 0, fmt.Errorf("no number from %d to %d is free", firstID, lastID)
}

func (a *accounts) layGroup(name string, said int) error {
	have := a.group.ids()
	n, err := number(name, said, a.pins.Groups, have, nil)
	if err != nil {
		return err
	}
	if _, there := have[name]; !there {
		a.group.lines = append(a.group.lines, []string{name, "x", strconv.Itoa(n), ""})
		a.given.Groups[name] = n
	}
	return nil
}

func (a *accounts) layUser(u config.User) error {
	var avoid map[string]int
	if u.Group == "" {
		avoid = a.group.ids() // its own group gets the same number
	}
	n, err := number(u.Name, u.UID, a.pins.Users, a.passwd.ids(), avoid)
	if err != nil {
		return err
	}
	l := a.passwd.find(u.Name)
	if l == nil {
		if u.Group == "" {
			said := -1
			if _, pinned := a.pins.Groups[u.Name]; !pinned {
				said = n
			}
			if err := a.layGroup(u.Name, said); err != nil {
				return fmt.Errorf("its own group: %w; say group or gid", err)
			}
			u.Group = u.Name
		}
		l = []string{u.Name, "x", strconv.Itoa(n), "", "", "/home/" + u.Name, "/bin/sh"}
		a.passwd.lines = append(a.passwd.lines, l)
		a.given.Users[u.Name] = n
	}
	if len(l) != 7 {
		return fmt.Errorf("etc/passwd has a line of %d fields for it", len(l))
	}
	if u.Group != "" {
		gid, ok := a.group.ids()[u.Group]
		if !ok {
			return fmt.Errorf("group %q is in no package and not in [groups]", u.Group)
		}
		l[3] = strconv.Itoa(gid)
	}
	for i, said := range map[int]string{4: u.Description, 5: u.Home, 6: u.Shell} {
		if said != "" {
			l[i] = said
		}
	}
	for _, g := range u.Groups {
		if err := a.join(u.Name, g); err != nil {
			return err
		}
	}
	a.password(u)
	return nil
}

// password sets the user's field of etc/shadow: "*" lets keys in, "!" nothing.
// A user of a package keeps what it has unless something was said.
func (a *accounts) password(u config.User) {
	s := a.shadow.find(u.Name)
	if s == nil {
		s = []string{u.Name, "*", "", "0", "99999", "7", "", "", ""}
		a.shadow.lines = append(a.shadow.lines, s)
	}
	switch {
	case len(s) < 2:
	case u.Locked:
		s[1] = "!"
	case u.Hash != "":
		s[1] = u.Hash
	case len(u.Keys) > 0 && s[1] == "!":
		s[1] = "*" // sshd refuses the keys of a locked account
	}
}

func (a *accounts) join(user, group string) error {
	if a.passwd.find(user) == nil {
		return fmt.Errorf("user %q is in no package and not in [users]", user)
	}
	l := a.group.find(group)
	if len(l) < 4 {
		return fmt.Errorf("group %q is in no package and not in [groups]", group)
	}
	members := strings.FieldsFunc(l[3], func(r rune) bool { return r == ',' })
	if !slices.Contains(members, user) {
		l[3] = strings.Join(append(members, user), ",")
	}
	return nil
}

// layHome makes the user's home, if it was said or is a person's, and its keys.
func (a *accounts) layHome(u config.User) error {
	l := a.passwd.find(u.Name)
	_, made := a.given.Users[u.Name]
	if u.Home == "" && len(u.Keys) == 0 && (!made || !strings.HasPrefix(l[5], "/home/")) {
		return nil
	}
	uid, err := strconv.Atoi(l[2])
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(l[3])
	if err != nil {
		return err
	}
	home := tree.Clean(l[5])
	if err := a.folder(home, 0o755, uid, gid); err != nil || len(u.Keys) == 0 {
		return err
	}
	dir := path.Join(home, ".ssh")
	if err := a.folder(dir, 0o700, uid, gid); err != nil {
		return err
	}
	text := []byte(strings.Join(u.Keys, "\n") + "\n")
	return a.t.Add(&tree.Entry{Path: path.Join(dir, "authorized_keys"), Mode: 0o600, UID: uid, GID: gid,
		MTime: a.epoch, Size: int64(len(text)), Open: tree.Bytes(text), Source: "image.toml"})
}

// folder makes a directory of that owner; one that is there stays.
func (a *accounts) folder(name string, mode fs.FileMode, uid, gid int) error {
	if e, err := a.t.Stat(name); err == nil && e.Mode.IsDir() {
		return nil
	}
	if err := a.t.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return a.t.Add(&tree.Entry{Path: name, Mode: fs.ModeDir | mode, UID: uid, GID: gid, MTime: a.epoch, Source: "image.toml"})
}

// newest is the time of the newest entry, which what no package brings gets.
func newest(t *tree.Tree) (epoch int64) {
	for e := range t.Walk() {
		epoch = max(epoch, e.MTime)
	}
	return epoch
}
