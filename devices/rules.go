package devices

import (
	"os"
	"path/filepath"
	"strings"

	"hoopy/devices/modindex"
	"hoopy/unit"
)

// matches says whether each pattern of a rule fits the variable of that name; one
// that the uevent does not have is empty. KERNEL is the last part of DEVPATH. A
// pattern is a shell's, in which '/' is a letter like any other, "|" separates
// several, as udev has it.
func matches(match map[string]string, u Uevent) bool {
	for key, patterns := range match {
		value, ok := u.Env[key]
		switch {
		case ok:
		case key == "KERNEL":
			value = filepath.Base(u.DevPath)
		case key == "SUBSYSTEM":
			value = u.Subsystem
		case key == "DEVNAME":
			value = u.DevName
		}
		fits := false
		for pattern := range strings.SplitSeq(patterns, "|") {
			fits = fits || modindex.Match(pattern, value)
		}
		if !fits {
			return false
		}
	}
	return len(match) > 0
}

// applyRules sets owner, group and mode of a node as init.toml wants, and gives
// the links that it is to have. A later rule wins.
func (c *Catalog) applyRules(u Uevent) (links []string) {
	if u.DevName == "" {
		return nil
	}
	uid, gid, mode := -1, -1, uint32(0)
	for i := range c.rules {
		r := &c.rules[i]
		if !matches(r.Match, u) {
			continue
		}
		uid, gid = c.id(c.users, r.Owner, uid), c.id(c.groups, r.Group, gid)
		if r.Mode != 0 {
			mode = r.Mode
		}
		if r.Link != "" && !contains(links, r.Link) {
			links = append(links, r.Link)
		}
	}
	node := filepath.Join(c.dev, filepath.Join("/", u.DevName))
	if uid < 0 && gid < 0 && mode == 0 || !isNode(node) {
		return links
	}
	if err := os.Lchown(node, uid, gid); err != nil {
		c.cfg.Log(err.Error())
	}
	if mode != 0 {
		if err := os.Chmod(node, goMode(mode)); err != nil {
			c.cfg.Log(err.Error())
		}
	}
	return links
}

func goMode(mode uint32) os.FileMode { return os.FileMode(mode & 0o777) }

// id looks a name up; one that nobody has is told of and changes nothing.
func (c *Catalog) id(ids map[string]int, name string, old int) int {
	if name == "" {
		return old
	}
	if id, ok := ids[name]; ok {
		return id
	}
	c.cfg.Log("device: no user or group is called " + name)
	return old
}

func isNode(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeDevice != 0
}

// deviceUnit is a unit of kind device that somebody wants.
type deviceUnit struct {
	name, what string
	run        unit.Run
	ready      bool
	adopted    bool // of a former life; whether it is there shows the coldplug at the latest
}

// act carries out an action on the unit of a device.
func (c *Catalog) act(a unit.Action) {
	if a.Unit == nil {
		return
	}
	name := a.Unit.Name
	old := c.units[name]
	switch a.Op {
	case unit.Start, unit.Adopt:
		if old != nil && old.run == a.Run {
			return // at least once
		}
		d := &deviceUnit{name: name, what: strings.TrimPrefix(name, unit.DeviceUnit("")), run: a.Run, adopted: a.Op == unit.Adopt}
		c.units[name] = d
	case unit.Stop, unit.Kill:
		if old != nil && old.run == a.Run {
			delete(c.units, name)
		}
		c.cfg.Emit(unit.Event{Op: unit.Empty, Unit: name, Run: a.Run})
	}
}

// look tells what has come and gone of the devices that units stand for.
func (c *Catalog) look() {
	for _, d := range c.units {
		node := c.node(d.what)
		switch {
		case node != "" && !d.ready:
			c.cfg.Emit(unit.Event{Op: unit.IsReady, Unit: d.name, Run: d.run})
			c.cfg.Emit(unit.Event{Op: unit.Noted, Unit: d.name, Run: d.run, Text: node})
		case node == "" && (d.ready || d.adopted && c.settled):
			d.adopted = false
			c.cfg.Emit(unit.Event{Op: unit.Noted, Unit: d.name, Run: d.run})
			c.cfg.Emit(unit.Event{Op: unit.Lost, Unit: d.name, Run: d.run, Text: "the device is gone"})
		}
		if d.ready = node != ""; d.ready {
			d.adopted = false
		}
	}
}

// node finds the node of a device by its name below /dev or by a tag; empty: it
// is not there.
func (c *Catalog) node(what string) string {
	for _, e := range c.known {
		if e.told && (e.disk.Is(what) || e.disk.Is("/dev/"+what)) {
			return "/dev/" + e.disk.Node
		}
	}
	if name, _, tagged := strings.Cut(what, "="); tagged && !strings.Contains(name, "/") {
		return ""
	}
	full, err := filepath.EvalSymlinks(filepath.Join(c.dev, filepath.Join("/", what)))
	if err != nil || !isNode(full) {
		return ""
	}
	return "/dev/" + strings.TrimPrefix(full, filepath.Clean(c.dev)+"/")
}
