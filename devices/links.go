package devices

import (
	"os"
	"path/filepath"
	"strings"
)

// claim sets the links below /dev that a device wants; nil takes all away. Of
// several devices the first in order has the link: by priority, place on the
// bus and name, which are the same at each boot.
func (c *Catalog) claim(e *entry, links []string) {
	old := e.links
	e.links = links
	for _, l := range old {
		if !contains(links, l) {
			c.claims[l] = without(c.claims[l], e)
			c.linkTo(l, e)
		}
	}
	for _, l := range links {
		list := without(c.claims[l], e)
		at := len(list)
		for at > 0 && before(e, list[at-1]) {
			at--
		}
		list = append(list[:at:at], append([]*entry{e}, list[at:]...)...)
		c.claims[l] = list
		c.linkTo(l, e)
	}
}

// linkTo makes a link true after something happened to e.
func (c *Catalog) linkTo(link string, e *entry) {
	path := filepath.Join(c.dev, link)
	list := c.claims[link]
	have, err := os.Readlink(path)
	up := strings.Repeat("../", strings.Count(link, "/"))
	c.twins(link, list)
	if len(list) == 0 {
		delete(c.claims, link)
		if have == up+e.u.DevName {
			_ = os.Remove(path)
		}
		return
	}
	want := up + list[0].u.DevName
	if have == want {
		return
	}
	if err != nil {
		if _, err := os.Lstat(path); err == nil {
			return // a node: whoever made it knows better
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.cfg.Log(err.Error())
		return
	}
	temp := filepath.Join(filepath.Dir(path), ".#"+filepath.Base(path))
	_ = os.Remove(temp)
	err = os.Symlink(want, temp)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		c.cfg.Log(err.Error())
	}
}

// twins reports a link that two devices claim, once. Members of one file system
// or pool share its names, and so do a disk and its partition under a hybrid
// image: these are as they should be.
func (c *Catalog) twins(link string, list []*entry) {
	var real []string
	for i, e := range list {
		alone := e.props["ID_FS_TYPE"] != "btrfs" && e.props["ID_FS_TYPE"] != "zfs_member" ||
			!strings.HasPrefix(link, "disk/by-uuid/") && !strings.HasPrefix(link, "disk/by-label/")
		for _, o := range list[:i] {
			alone = alone && filepath.Dir(e.u.DevPath) != o.u.DevPath && filepath.Dir(o.u.DevPath) != e.u.DevPath
		}
		if alone {
			real = append(real, e.u.DevName)
		}
	}
	note := "/dev/" + link + " is claimed by several devices"
	switch {
	case len(real) > 1 && !c.twice[link]:
		c.twice[link] = true
		c.warn(note, " ("+strings.Join(real, ", ")+"); it is "+list[0].u.DevName)
	case len(real) < 2 && c.twice[link]:
		delete(c.twice, link)
		c.unwarn(note)
	}
}

// before orders devices that claim one link.
func before(a, b *entry) bool {
	if a.first != b.first {
		return a.first < b.first
	}
	x, y := a.u.DevName, b.u.DevName
	if len(x) != len(y) {
		return len(x) < len(y) // sdb before sdaa
	}
	return x < y
}

func without(list []*entry, e *entry) []*entry {
	for i, o := range list {
		if o == e {
			return append(list[:i:i], list[i+1:]...)
		}
	}
	return list
}

func contains(list []string, s string) bool {
	for _, o := range list {
		if o == s {
			return true
		}
	}
	return false
}

// sweep forgets devices that have vanished while nobody listened, and clears
// what a former life has left of them.
func (c *Catalog) sweep() {
	for path, e := range c.known {
		if _, err := os.Lstat(c.sys + path); os.IsNotExist(err) {
			c.gone(path, e.u)
		}
	}
	for _, by := range names(filepath.Join(c.dev, "disk")) {
		for _, name := range names(filepath.Join(c.dev, "disk", by)) {
			path := filepath.Join(c.dev, "disk", by, name)
			if _, err := os.Stat(path); os.IsNotExist(err) && len(c.claims["disk/"+by+"/"+name]) == 0 {
				_ = os.Remove(path)
			}
		}
	}
	for _, name := range names(filepath.Join(c.run, "data")) {
		kind := map[byte]string{'b': "dev/block", 'c': "dev/char"}[name[0]]
		if kind == "" {
			continue
		}
		if _, err := os.Lstat(filepath.Join(c.sys, kind, name[1:])); os.IsNotExist(err) {
			_ = os.Remove(filepath.Join(c.run, "data", name))
		}
	}
}
