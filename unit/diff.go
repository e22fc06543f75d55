package unit

import (
	"fmt"
	"slices"
	"sort"

	"hoopy/unit/schema"
)

// Diff is what becomes of each unit when now takes the place of was, by name.
// What stands in init.toml for the machine as a whole is called "init.toml". That
// a unit of svc run has come or gone is no change of the files.
func Diff(was, now *Config) []Change {
	var changes []Change
	live := map[string]bool{}
	for _, k := range UnitKeys() {
		live[k.Name] = k.Live
	}
	before, after := was.byName(), now.byName()
	for name, u := range after {
		old, ok := before[name]
		if !ok {
			if !u.Transient {
				changes = append(changes, Change{Name: name, Op: Added})
			}
			continue
		}
		var keys []string
		if u.Kind == Link && old.Kind == Link {
			keys = linkDiff(old.Link, u.Link)
		} else if old.Kind != u.Kind || storageText(old) != storageText(u) {
			keys = []string{u.Kind.String()}
		} else if a, b := was.lines[name], now.lines[name]; a != nil && b != nil {
			keys = schema.Diff(a, b)
		}
		if len(keys) == 0 {
			continue
		}
		c := Change{Name: name, Op: Changed, Keys: keys}
		for _, k := range keys {
			c.Restart = c.Restart || !live[k]
		}
		changes = append(changes, c)
	}
	for name, u := range before {
		if after[name] == nil && !u.Transient {
			changes = append(changes, Change{Name: name, Op: Removed})
		}
	}
	if keys := machineDiff(was.Machine, now.Machine); len(keys) > 0 {
		changes = append(changes, Change{Name: machineFile, Op: Changed, Keys: keys})
	}
	sort.Slice(changes, func(i, j int) bool { return changes[i].Name < changes[j].Name })
	return changes
}

func (c *Config) byName() map[string]*Unit {
	units := map[string]*Unit{}
	for _, u := range c.All() {
		units[u.Name] = u
	}
	return units
}

// storageText is what init.toml says of a mount or a pool, to be compared.
func storageText(u *Unit) string {
	switch {
	case u.Mount != nil:
		return fmt.Sprintf("%+v", *u.Mount)
	case u.Pool != nil:
		return fmt.Sprintf("%+v", *u.Pool)
	}
	return ""
}

func linkDiff(a, b *LinkConfig) (keys []string) {
	if a.MatchName != b.MatchName || a.MatchMAC != b.MatchMAC || a.MatchDriver != b.MatchDriver {
		keys = append(keys, "match")
	}
	if a.DHCP4 != b.DHCP4 {
		keys = append(keys, "dhcp4")
	}
	if a.Essential != b.Essential {
		keys = append(keys, "essential")
	}
	return keys
}

func machineDiff(a, b *Machine) (keys []string) {
	if a.Hostname != b.Hostname {
		keys = append(keys, "hostname")
	}
	if !slices.Equal(a.Modules, b.Modules) {
		keys = append(keys, "modules")
	}
	if a.HostID != b.HostID {
		keys = append(keys, "hostid")
	}
	if fmt.Sprint(a.Rules) != fmt.Sprint(b.Rules) {
		keys = append(keys, "device")
	}
	return keys
}
