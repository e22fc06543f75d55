package unit

import (
	"encoding/hex"
	"fmt"
	"strings"

	"hoopy/unit/schema"
)

// FallbackLink is the link of a machine whose init.toml is missing or says
// nothing usable: DHCP on a wired interface.
var FallbackLink = LinkConfig{Name: "wired", MatchName: "e*", DHCP4: true, Essential: true}

var milestones = []string{Boot, Devices, Network, Online}

// machine reads init.toml; what is good of it is taken even when the rest is
// not. A link with a mistake is left out: half a match could be another
// interface.
func (c *Config) machine(file, text string) error {
	doc, err := schema.Parse(file, text, MachineKeys)
	mistakes := schema.Mistakes(err)
	if doc == nil {
		return err
	}
	c.top = doc
	c.Machine.Hostname = doc.String("hostname")
	c.Machine.Modules = doc.List("modules")
	c.Machine.Instances = doc.List("instances")
	mistakes = append(mistakes, c.storage(doc)...)
	seen := map[string]bool{}
	for _, l := range doc.Tables("link") {
		link := LinkConfig{Name: l.String("name"), DHCP4: l.Bool("dhcp4", true), Essential: l.Bool("essential", true)}
		match := l.Table("match")
		link.MatchName, link.MatchDriver = match.String("name"), match.String("driver")
		if mac := match.String("mac"); mac != "" {
			var right string
			if link.MatchMAC, right = parseMAC(mac); right != "" {
				c.bad[LinkUnit(link.Name)] = true
				mistakes = append(mistakes, match.Mistake("mac", fmt.Sprintf("link %q: mac %q %s", link.Name, mac, right)))
				continue
			}
		}
		switch {
		case l.Bad():
			c.bad[LinkUnit(link.Name)] = true
		case link.MatchName == "" && link.MatchMAC == "" && link.MatchDriver == "":
			c.bad[LinkUnit(link.Name)] = true
			mistakes = append(mistakes, l.Mistake("match", fmt.Sprintf(`link %q: match says nothing; write match = { name = "eth0" }`, link.Name)))
		case seen[link.Name]:
			mistakes = append(mistakes, l.Mistake("name", fmt.Sprintf("link %q is there twice", link.Name)))
		default:
			seen[link.Name] = true
			c.Machine.Links = append(c.Machine.Links, link)
		}
	}
	return schema.Join(mistakes)
}

// parseMAC gives s in lower case with colons, or what is wrong with it.
func parseMAC(s string) (mac, wrong string) {
	parts := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r == ':' || r == '-' })
	for _, p := range parts {
		if b, err := hex.DecodeString(p); err != nil || len(b) != 1 {
			return "", `is no hardware address; write six bytes such as "d0:50:99:c0:ff:ee"`
		}
	}
	if len(parts) != 6 {
		return "", fmt.Sprintf("has %d bytes, not 6", len(parts))
	}
	return strings.Join(parts, ":"), ""
}

// Builtin makes the units that no file declares: the milestones and the links
// of m.
//
// A link has no edges: it waits for its interface by itself, whichever way
// that comes, and not for the whole coldplug. Milestones have none either: the
// supervisor knows what each stands for.
func Builtin(m *Machine) []*Unit {
	var units []*Unit
	for _, name := range milestones {
		units = append(units, &Unit{Name: name, Kind: Milestone, ReadyBy: ByArm, Restart: Never, Description: milestoneWords[name]})
	}
	for i := range m.Links {
		l := &m.Links[i]
		units = append(units, &Unit{
			Name: LinkUnit(l.Name), Kind: Link, Description: "network interface " + l.Name,
			Essential: l.Essential, ReadyBy: ByArm, Restart: Always,
			StartTimeout: LeaseTimeout, StopTimeout: DefaultStopTimeout, Link: l,
		})
	}
	return units
}

var milestoneWords = map[string]string{
	Boot:    "every unit of the boot is ready, failed or skipped",
	Devices: "the devices present at boot have their drivers",
	Network: "an essential link has an address",
	Online:  "there is a default route",
}
