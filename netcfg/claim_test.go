package netcfg

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"hoopy/unit"
)

func TestWhoGetsWhichInterface(t *testing.T) {
	any0 := linkUnit("any", unit.LinkConfig{MatchName: "e*", DHCP4: true})
	any1 := linkUnit("any1", unit.LinkConfig{MatchName: "e*", DHCP4: true})
	mac := linkUnit("mac", unit.LinkConfig{MatchMAC: "02:00:00:00:00:00", DHCP4: true})
	bare := linkUnit("bare", unit.LinkConfig{MatchName: "eth1"})
	for _, c := range []struct {
		name   string
		list   []iface
		units  []*unit.Unit
		expect []string // "unit interface"
		last   []string // one note of each that has none
	}{
		{"the one with the cable", []iface{eth(0, false), eth(1, true)}, []*unit.Unit{any0}, []string{"any eth1"}, nil},
		{"the first of two", []iface{eth(1, true), eth(0, true)}, []*unit.Unit{any0}, []string{"any eth0"}, nil},
		{"two patterns, two cards", []iface{eth(0, true), eth(1, true)}, []*unit.Unit{any0, any1}, []string{"any eth0", "any1 eth1"}, nil},
		{"two patterns, one card", []iface{eth(0, true)}, []*unit.Unit{any0, any1}, []string{"any eth0"}, []string{"any1 noted: eth0 belongs to link:any"}},
		{"exact before patterns", []iface{eth(0, true), eth(1, true)}, []*unit.Unit{mac, any0}, []string{"any eth1", "mac eth0"}, nil},
		{"exact takes from a pattern", []iface{eth(0, true), eth(1, true)}, []*unit.Unit{any0, mac}, []string{"any eth1", "mac eth0"},
			[]string{"any lost: eth0 belongs to link:mac"}},
		{"without DHCP", []iface{eth(0, true), eth(1, true)}, []*unit.Unit{bare}, []string{"bare eth1"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, dir string) {
				k := newFake(c.list...)
				k.server = goodServer(time.Hour)
				r := run(t, dir, k, nil)
				for i, u := range c.units {
					r.do(unit.Start, u, unit.Run(i+1))
				}
				events := r.got()
				r.stop()
				var have []string
				for _, l := range r.a.links {
					if l.on != nil {
						have = append(have, strings.TrimPrefix(l.name, "link:")+" "+l.on.name)
					}
				}
				slices.Sort(have)
				want(t, have, c.expect...)
				for _, note := range c.last {
					if !slices.Contains(events, note) {
						t.Errorf("no %q in %q", note, events)
					}
				}
			})
		})
	}
}

// Two cables, and the DHCP server is at the second.
func TestAPatternGoesWhereTheServerIs(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		k := newFake(eth(0, true), eth(1, true))
		good := goodServer(time.Hour)
		k.server = func(p *dhcpv4.DHCPv4, unicast bool) [][]byte {
			if p.ClientHWAddr[5] == 0 {
				return nil
			}
			return good(p, unicast)
		}
		r := run(t, dir, k, nil)
		defer r.stop()
		r.do(unit.Start, linkUnit("any", unit.LinkConfig{MatchName: "e*", DHCP4: true}), 1)
		r.pass(5 * time.Second)
		want(t, r.got(), "any noted: asking for an address on eth0",
			"any noted: no answer from a DHCP server on eth0 (4 tries in 3 s)",
			"any noted: asking for an address on eth1",
			"any noted: 192.168.1.7/24, lease of 60 min", "any ready")
		want(t, k.on(2))
		want(t, k.addrsOn(3), "192.168.1.7/24")
	})
}

// Two cables and no server: it goes to and fro, ever more slowly.
func TestAPatternWithoutServersSlowsDown(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		k := newFake(eth(0, true), eth(1, true))
		r := run(t, dir, k, nil)
		defer r.stop()
		r.do(unit.Start, linkUnit("any", unit.LinkConfig{MatchName: "e*", DHCP4: true}), 1)
		r.pass(10 * time.Minute)
		if n := len(k.takeSent()); n < 30 || n > 90 {
			t.Errorf("%d packets in the first 10 min", n)
		}
		r.pass(time.Hour)
		if n := len(k.takeSent()); n < 100 || n > 300 {
			t.Errorf("%d packets in an hour", n)
		}
	})
}

func TestFreedInterfaceGoesToTheNext(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		k := newFake(eth(0, true))
		k.server = goodServer(time.Hour)
		r := run(t, dir, k, nil)
		defer r.stop()
		any0 := linkUnit("any", unit.LinkConfig{MatchName: "e*", DHCP4: true})
		r.do(unit.Start, lan, 1)
		r.do(unit.Start, any0, 2)
		want(t, r.got(), asking, noted, "lan ready", "any noted: eth0 belongs to link:lan")
		r.do(unit.Stop, lan, 1)
		want(t, r.got(), "lan empty", "any noted: asking for an address on eth0",
			"any noted: 192.168.1.7/24, lease of 60 min", "any ready")
	})
}
