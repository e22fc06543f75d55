package unit

import (
	"fmt"
	"path"

	"strconv"
	"strings"
	"time"

	"hoopy/unit/schema"
)

// storage reads disks, pools and devices of init.toml. What has a mistake is
// left out, and what needs it says so.
func (c *Config) storage(doc *schema.Doc) (mistakes []*schema.Mistake) {
	m := c.Machine
	if id, err := strconv.ParseUint(doc.String("hostid"), 16, 32); err == nil {
		m.HostID = uint32(id)
	}
	seen := map[string]bool{}
	add := func(d *schema.Doc, key string, mount MountConfig) {
		name := mount.unit()
		place := name
		if mount.Persist {
			place = MountUnit(mount.Where)
		}
		switch {
		case d.Bad():
			c.bad[name], c.bad[place] = true, true
		case seen[name], seen[place]:
			mistakes = append(mistakes, d.Mistake(key, fmt.Sprintf("%s is there twice", place)))
		default:
			seen[name], seen[place] = true, true
			mount.Wait = orDefault(d.Duration("wait"), DeviceWait)
			m.Mounts = append(m.Mounts, mount)
		}
	}
	if doc.Has("persist") {
		d := doc.Table("persist")
		add(d, "path", MountConfig{What: d.String("device"), Where: path.Clean(orDefault(d.String("path"), PersistPath)), Type: d.String("type"),
			Options: orDefault(d.String("options"), "rw,noatime"), Persist: true, NoFsck: !d.Bool("fsck", true)})
	}
	for _, d := range doc.Tables("mount") {
		mount := MountConfig{What: d.String("what"), Where: path.Clean(d.String("where")), Type: d.String("type"), Options: d.String("options"),
			Optional: !d.Bool("required", true), NoFsck: !d.Bool("fsck", true), Needs: d.List("needs"), After: d.List("after")}
		if strings.HasPrefix(mount.What, "/") && !strings.HasPrefix(mount.What, "/dev/") && !hasWord(mount.Options, "bind") && !hasWord(mount.Options, "rbind") {
			mistakes = append(mistakes, d.Mistake("what", fmt.Sprintf(`what = %q is a folder; write options = "bind"`, mount.What)))
		}
		add(d, "where", mount)
	}
	for _, d := range doc.Tables("swap") {
		add(d, "what", MountConfig{What: d.String("what"), Swap: true, Size: d.Size("size"), Priority: int(d.Int("priority")), Optional: !d.Bool("required", true)})
	}
	for _, d := range doc.Tables("pool") {
		p := PoolConfig{Name: d.String("name"), Search: d.List("search"), Wait: orDefault(d.Duration("wait"), PoolWait), Degraded: d.String("degraded") == "allow",
			Force: d.Bool("force", false), ReadOnly: d.Bool("read_only", false), Needs: d.List("needs"), After: d.List("after")}
		p.GUID, _ = strconv.ParseUint(d.String("guid"), 10, 64)
		for _, k := range d.Tables("key") {
			key := KeyConfig{Dataset: k.String("dataset"), File: k.String("file")}
			if key.Dataset != p.Name && !strings.HasPrefix(key.Dataset, p.Name+"/") && !k.Bad() {
				mistakes = append(mistakes, k.Mistake("dataset", fmt.Sprintf("key.dataset = %q is not of the pool %q", key.Dataset, p.Name)))
			}
			p.Keys = append(p.Keys, key)
		}
		switch name := PoolUnit(p.Name); {
		case d.Bad():
			c.bad[name] = true
		case seen[name]:
			mistakes = append(mistakes, d.Mistake("name", fmt.Sprintf("%s is there twice", name)))
		default:
			seen[name] = true
			m.Pools = append(m.Pools, p)
		}
	}
	if doc.String("pools") == "all" {
		m.Pools = append(m.Pools, PoolConfig{Wait: PoolWait})
	}
	for _, d := range doc.Tables("device") {
		r := DeviceRule{Match: d.Map("match"), Owner: d.String("owner"), Group: d.String("group"), Link: d.String("link")}
		r.Mode, _ = parseMode(d.String("mode"))
		for _, name := range sortedKeys(r.Match) {
			if _, err := path.Match(r.Match[name], ""); err != nil {
				mistakes = append(mistakes, d.Mistake("match", fmt.Sprintf(`match.%s = %q is no shell pattern; write "ttyUSB*"`, name, r.Match[name])))
			}
		}
		if !d.Bad() {
			m.Rules = append(m.Rules, r)
		}
	}
	return mistakes
}

// storageUnits makes the units of disks and pools. Those of pools come before the
// mounts that somebody else makes: at the end they outlive them.
func storageUnits(m *Machine) (units []*Unit) {
	for i := range m.Pools {
		p := &m.Pools[i]
		u := &Unit{Name: AllPools, Description: "pools of ZFS"}
		if p.Name != "" {
			u.Name, u.Description = PoolUnit(p.Name), "pool "+p.Name
		}
		u.Kind, u.ReadyBy, u.Restart, u.Pool = Pool, ByArm, Always, p
		u.Needs, u.After = p.Needs, p.After
		u.StartTimeout, u.StopTimeout = p.Wait+importTimeout, exportTimeout
		units = append(units, u)
	}
	for i := range m.Mounts {
		c := &m.Mounts[i]
		u := &Unit{Name: c.unit(), Kind: Mount, ReadyBy: ByArm, Restart: Always, Mount: c, Needs: c.Needs, After: c.After,
			StartTimeout: c.Wait, StopTimeout: unmountTimeout, Description: c.What + " on " + c.Where}
		if c.Swap {
			u.Description = "swap space"
		}
		if above := m.mountAbove(c); above != nil {
			u.Needs = append(u.Needs[:len(u.Needs):len(u.Needs)], above.unit())
		}
		if pool, _, _ := strings.Cut(c.What, "/"); c.Type == "zfs" && m.hasPool(pool) {
			u.Needs = append(u.Needs[:len(u.Needs):len(u.Needs)], PoolUnit(pool))
		}
		units = append(units, u)
	}
	return units
}

const (
	importTimeout  = 60 * time.Second // after the wait for the disks
	exportTimeout  = 45 * time.Second
	unmountTimeout = 15 * time.Second
)

// mountAbove is the mount that the one of c is inside of; nil: none.
func (m *Machine) mountAbove(c *MountConfig) (above *MountConfig) {
	for i := range m.Mounts {
		o := &m.Mounts[i]
		if o.Where != "" && o.Where != c.Where && strings.HasPrefix(c.Where, strings.TrimSuffix(o.Where, "/")+"/") &&
			(above == nil || len(o.Where) > len(above.Where)) {
			above = o
		}
	}
	return above
}

func (m *Machine) hasPool(name string) bool {
	for i := range m.Pools {
		if m.Pools[i].Name == name {
			return true
		}
	}
	return false
}

// referred makes the units that others name and nothing declares: devices by
// their names, and places where somebody else mounts something, such as a
// dataset of a pool.
func referred(units []*Unit) (more []*Unit) {
	have := map[string]bool{}
	var pools []string
	for _, u := range units {
		have[u.Name] = true
		if u.Kind == Pool {
			pools = append(pools, u.Name)
		}
		if u.Mount != nil {
			have[MountUnit(u.Mount.Where)] = true
		}
	}
	for _, u := range units {
		for _, names := range [...][]string{u.Needs, u.Wants, u.After} {
			for _, name := range names {
				where, isMount := strings.CutPrefix(name, MountUnit(""))
				device, isDevice := strings.CutPrefix(name, DeviceUnit(""))
				v := &Unit{Name: name, ReadyBy: ByArm, Restart: Always, StartTimeout: DeviceWait, StopTimeout: unmountTimeout}
				switch {
				case have[name]:
					continue
				case isMount && where == path.Clean(where) && where[0] == '/' && where != PersistPath:
					v.Kind, v.Mount, v.After, v.Description = Mount, &MountConfig{Where: where, Wait: DeviceWait}, pools, "whatever is mounted on "+where
				case isDevice && device != "":
					v.Kind, v.Description = Device, "device "+device
				default:
					continue
				}
				have[name] = true
				more = append(more, v)
			}
		}
	}
	return more
}

func hasWord(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

var tags = []string{"UUID", "LABEL", "PARTUUID", "PARTLABEL", "ID"}

func checkDevice(v any) string {
	s := v.(string)
	name, value, tagged := strings.Cut(s, "=")
	switch {
	case strings.HasPrefix(s, "/dev/") && s == path.Clean(s):
		return ""
	case tagged && value != "":
		for _, tag := range tags {
			if name == tag {
				return ""
			}
		}
		return fmt.Sprintf("begins with none of %s", schema.Or(tags)) + schema.DidYouMean(name, tags)
	}
	return `is no device; write "UUID=…", "LABEL=…" or a path below /dev`
}

func checkWhat(v any) string {
	s := v.(string)
	if strings.HasPrefix(s, "/") && s == path.Clean(s) || plainWord(s, "_-./:") {
		return ""
	}
	return checkDevice(v)
}

func checkSwap(v any) string {
	if v.(string) == "zram" {
		return ""
	}
	return checkDevice(v)
}

func checkWhere(v any) string {
	s := v.(string)
	if s == "/" || strings.ContainsAny(s, "\n\t") {
		return "is no place for it"
	}
	return checkAbsolute(v)
}

func checkFileSystem(v any) string {
	if !plainWord(v.(string), "_-.") {
		return `is no type of a file system; write "ext4"`
	}
	return ""
}

func checkHostID(v any) string {
	if n, err := strconv.ParseUint(v.(string), 16, 32); err != nil || n == 0 {
		return `is no host number; write eight hex digits such as "00c0ffee"`
	}
	return ""
}

func checkPool(v any) string {
	if s := v.(string); !plainWord(s, "_-.: ") || !plainWord(s[:1], "") {
		return "is no name of a pool"
	}
	return ""
}

func checkGUID(v any) string {
	if _, err := strconv.ParseUint(v.(string), 10, 64); err != nil {
		return `is no number of a pool; zpool get guid NAME shows it`
	}
	return ""
}

func checkDataset(v any) string {
	if s := v.(string); !plainWord(s, "_-.:/ ") || s[0] == '/' {
		return `is no dataset; write "tank/photos"`
	}
	return ""
}

func checkMode(v any) string {
	if _, ok := parseMode(v.(string)); !ok {
		return `is no mode; write three octal digits such as "660"`
	}
	return ""
}

func parseMode(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 8, 12)
	return uint32(n), err == nil && len(s) >= 3 && len(s) <= 4
}

func checkLinkName(v any) string {
	if s := v.(string); s == "" || s[0] == '/' || s != path.Clean(s) || strings.HasPrefix(s, "..") {
		return "is no name below /dev"
	}
	return ""
}
