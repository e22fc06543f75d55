package config

import (
	"slices"
	"strconv"
	"strings"

	"hoopy/unit/schema"
)

func (p *parser) groups(names []string) {
	d := p.Table("groups")
	byID := map[int]string{}
	for _, name := range names {
		if wrong := checkName(name); wrong != "" {
			p.say(d, name, "groups: %q %s", name, wrong)
			continue
		}
		t := d.Table(name)
		g := Group{Name: name, GID: id(t, "gid"), Members: t.List("members")}
		if other := byID[g.GID]; other != "" && g.GID >= 0 {
			p.say(t, "gid", "groups.%s: gid %d is that of %s", name, g.GID, other)
		}
		byID[g.GID] = name
		p.config.Groups = append(p.config.Groups, g)
	}
}

func (p *parser) users(names []string) {
	d := p.Table("users")
	byID := map[int]string{}
	for _, name := range names {
		if wrong := checkName(name); wrong != "" {
			p.say(d, name, "users: %q %s", name, wrong)
			continue
		}
		t := d.Table(name)
		u := User{
			Name: name, UID: id(t, "uid"), Group: t.String("group"), Home: t.String("home"), Shell: t.String("shell"),
			Description: t.String("description"), Groups: t.List("groups"), Keys: t.List("keys"),
			Hash: t.String("hash"), Locked: t.Bool("locked", false),
		}
		if other := byID[u.UID]; other != "" && u.UID >= 0 {
			p.say(t, "uid", "users.%s: uid %d is that of %s", name, u.UID, other)
		}
		byID[u.UID] = name
		p.user(t, &u)
		p.config.Users = append(p.config.Users, u)
	}
}

// user looks at what does not go together.
func (p *parser) user(t *schema.Doc, u *User) {
	if u.Name == "root" {
		for _, key := range []string{"uid", "gid", "group", "hash", "locked"} {
			if t.Has(key) {
				p.say(t, key, "users.root: %s cannot be changed here; a password is root_hash", key)
			}
		}
	}
	if u.Locked && (u.Hash != "" || len(u.Keys) > 0) {
		p.say(t, "locked", "users.%s: locked, but with a way in; take out locked or hash and keys", u.Name)
	}
	gid := id(t, "gid")
	if gid < 0 {
		return
	}
	switch i := slices.IndexFunc(p.config.Groups, func(g Group) bool { return g.Name == u.Name }); {
	case u.Group != "":
		p.say(t, "gid", "users.%s: gid is the number of the user's own group, but group says %q; write gid there, [groups.%s]", u.Name, u.Group, u.Group)
	case i < 0:
		p.config.Groups = append(p.config.Groups, Group{Name: u.Name, GID: gid})
	case p.config.Groups[i].GID != gid:
		p.say(t, "gid", "users.%s: gid %d, but [groups.%s] says otherwise", u.Name, gid, u.Name)
	}
}

func (p *parser) files() {
	taken := map[string]int{}
	for _, t := range p.Tables("file") {
		f := File{
			Path: t.String("path"), Content: t.String("content"), Source: t.String("source"), Link: t.String("link"),
			Dir: t.Bool("folder", false), Owner: t.String("owner"), Group: t.String("group"), Line: t.Line(""),
		}
		var kinds []string
		for _, key := range []string{"content", "source", "link", "folder"} {
			if t.Has(key) && (key != "folder" || f.Dir) {
				kinds = append(kinds, key)
			}
		}
		switch {
		case t.Bad():
		case len(kinds) == 0:
			p.say(t, "path", "file %s: say what it is: content, source, link or folder", f.Path)
		case len(kinds) > 1:
			p.say(t, kinds[1], "file %s: %s and %s; it is one of them", f.Path, kinds[0], kinds[1])
		case f.Link != "" && t.Has("mode"):
			p.say(t, "mode", "file %s: a link has no mode of its own", f.Path)
		}
		if line, twice := taken[f.Path]; twice && f.Path != "" {
			p.say(t, "path", "file %s: stands here twice, first in line %d", f.Path, line)
		}
		taken[f.Path] = f.Line
		f.Mode = 0o644
		if f.Dir {
			f.Mode = 0o755
		}
		if mode, err := strconv.ParseUint(t.String("mode"), 8, 32); err == nil {
			f.Mode = uint32(mode)
		}
		p.config.Files = append(p.config.Files, f)
	}
	slices.SortFunc(p.config.Groups, func(a, b Group) int { return strings.Compare(a.Name, b.Name) })
}

// id is a number, -1 where none is said.
func id(t *schema.Doc, key string) int {
	if !t.Has(key) {
		return -1
	}
	return int(t.Int(key))
}
