package netcfg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"hoopy/unit"
)

var lan = linkUnit("lan", unit.LinkConfig{MatchName: "eth0", DHCP4: true})

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// bubble runs f with a machine of one interface with a cable.
func bubble(t *testing.T, f func(t *testing.T, dir string)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { f(t, dir) })
}

const (
	asking = "lan noted: asking for an address on eth0"
	noted  = "lan noted: 192.168.1.7/24, lease of 60 min"
)

func TestBindRenewAndStop(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		k := newFake(eth(0, true))
		k.server = goodServer(time.Hour)
		r := run(t, dir, k, nil)
		defer r.stop()
		r.do(unit.Start, lan, 1)
		want(t, r.got(), asking, noted, "lan ready")
		want(t, k.addrsOn(2), "192.168.1.7/24")
		want(t, k.routesOn(2), "0.0.0.0/0 via 192.168.1.254")
		want(t, k.takeSent(), "discover", "request")
		if k.open != 0 {
			t.Errorf("%d sockets open while bound", k.open)
		}
		if got := r.resolv(); got != "# hoopy\nsearch lan\nnameserver 192.168.1.1\n" {
			t.Errorf("resolv.conf: %q", got)
		}
		if !slices.Equal(r.online, []bool{true}) || k.name != "nas" {
			t.Errorf("online %v, host name %q", r.online, k.name)
		}
		r.pass(30*time.Minute - time.Second)
		want(t, k.takeSent())
		r.pass(2 * time.Second)
		want(t, k.takeSent(), "request!")
		want(t, r.got())

		r.do(unit.Stop, lan, 1)
		want(t, r.got(), "lan empty")
		r.do(unit.Kill, lan, 1)
		want(t, r.got(), "lan empty")
		want(t, k.on(2))
		if !slices.Equal(r.online, []bool{true, false}) || r.resolv() != "# hoopy\n" {
			t.Errorf("online %v, resolv.conf %q", r.online, r.resolv())
		}

		r.do(unit.Start, lan, 2) // with the lease of before: INIT-REBOOT
		want(t, r.got(), asking, noted, "lan ready")
		want(t, k.takeSent(), "request")
		r.do(unit.Start, lan, 2) // again: the same run
		want(t, r.got())
	})
}

func TestLeaseEnds(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		k := newFake(eth(0, true))
		k.server = goodServer(time.Hour)
		r := run(t, dir, k, nil)
		defer r.stop()
		r.do(unit.Start, lan, 1)
		want(t, r.got(), asking, noted, "lan ready")
		k.mu.Lock()
		k.server, k.sent = nil, nil
		k.mu.Unlock()
		r.pass(52*time.Minute + 29*time.Second)
		for _, s := range k.takeSent() {
			if s != "request!" {
				t.Errorf("before T2: %s", s)
			}
		}
		r.pass(2 * time.Second)
		want(t, k.takeSent(), "request")
		r.pass(7*time.Minute + 28*time.Second)
		want(t, r.got())
		want(t, k.addrsOn(2), "192.168.1.7/24")
		r.pass(time.Second)
		why := "the lease ran out, no server renewed it"
		want(t, r.got(), "lan lost: "+why, "lan noted: "+why)
		want(t, k.on(2))
		if _, err := os.Stat(recordPath(r.cfg.LeaseDir, "lan")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the lease file is still there: %v", err)
		}
		r.pass(16 * time.Second)
		got := r.got()
		if len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "lan noted: no answer from a DHCP server on eth0 (6 tries in 1") {
			t.Errorf("%q", got)
		}
		k.mu.Lock()
		k.server = goodServer(time.Hour)
		k.mu.Unlock()
		r.pass(20 * time.Second)
		got = r.got()
		want(t, got[len(got)-2:], noted, "lan ready")
	})
}

func TestNakTakesTheAddressAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		k := newFake(eth(0, true))
		k.server = goodServer(time.Hour)
		r := run(t, dir, k, nil)
		defer r.stop()
		r.do(unit.Start, lan, 1)
		r.got()
		good := k.server
		k.mu.Lock()
		k.server = func(p *dhcpv4.DHCPv4, unicast bool) [][]byte {
			if !unicast {
				return good(p, unicast)
			}
			b := packetOf(dhcpv4.MessageTypeNak, "0.0.0.0", nil)
			copy(b[4:8], p.TransactionID[:])
			copy(b[28:34], p.ClientHWAddr)
			return [][]byte{b}
		}
		k.mu.Unlock()
		r.pass(30*time.Minute + time.Second)
		why := "the server 192.168.1.1 took the lease back"
		want(t, r.got(), "lan lost: "+why, "lan noted: "+why, noted, "lan ready")
	})
}

func TestCarrier(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		k := newFake(eth(0, false))
		k.server = goodServer(time.Hour)
		r := run(t, dir, k, nil)
		defer r.stop()
		carrier := func(b bool) { k.change(func() { k.list[0].carrier = b }); synctest.Wait() }
		r.do(unit.Start, lan, 1)
		want(t, r.got(), "lan noted: no carrier on eth0")
		r.pass(time.Hour)
		want(t, k.takeSent())
		carrier(true)
		want(t, r.got(), asking, noted, "lan ready")
		want(t, k.takeSent(), "discover", "request")

		carrier(false) // a short flap
		r.pass(4 * time.Second)
		k.mu.Lock()
		k.routes[2] = nil // as when somebody took it down
		k.mu.Unlock()
		carrier(true)
		r.pass(10 * time.Second)
		want(t, r.got())
		want(t, k.routesOn(2), "0.0.0.0/0 via 192.168.1.254")

		k.mu.Lock()
		k.routes[2] = nil
		k.mu.Unlock()
		k.poke <- []int{2} // so short that nobody saw it dark
		synctest.Wait()
		want(t, k.routesOn(2), "0.0.0.0/0 via 192.168.1.254")

		carrier(false) // a long one
		r.pass(4900 * time.Millisecond)
		want(t, r.got())
		r.pass(200 * time.Millisecond)
		want(t, r.got(), "lan lost: no carrier on eth0", "lan noted: no carrier on eth0")
		want(t, k.on(2))
		carrier(true)
		want(t, r.got(), asking, noted, "lan ready")
		want(t, k.takeSent(), "request") // the same address again

		k.change(func() { k.list = nil }) // the card is pulled
		gone := "no interface matches name eth0; no interface is present"
		want(t, r.got(), "lan lost: eth0 is gone", "lan noted: eth0 is gone", "lan noted: "+gone)
		k.change(func() { k.list = []iface{eth(0, true)} })
		want(t, r.got()) // its driver is not done with it
		r.pass(settleTime)
		want(t, r.got(), asking, noted, "lan ready")
	})
}

// The supervisor dies and another takes over: the address stays, nobody is
// asked, and the timers go on where they were.
func TestAdopt(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		k := newFake(eth(0, true))
		k.server = goodServer(time.Hour)
		r := run(t, dir, k, nil)
		r.do(unit.Start, lan, 1)
		r.got()
		r.stop()
		want(t, k.addrsOn(2), "192.168.1.7/24")
		k.takeSent()
		time.Sleep(20 * time.Minute)
		k.mu.Lock()
		k.routes[2] = nil // as if it had died half-way
		k.mu.Unlock()

		r = run(t, dir, k, nil)
		r.do(unit.Adopt, lan, 1)
		want(t, r.got(), noted, "lan ready")
		want(t, k.takeSent())
		want(t, k.routesOn(2), "0.0.0.0/0 via 192.168.1.254")
		if !slices.Equal(r.online, []bool{true}) || !strings.Contains(r.resolv(), "nameserver 192.168.1.1") {
			t.Errorf("online %v, resolv.conf %q", r.online, r.resolv())
		}
		r.pass(10*time.Minute + time.Second)
		want(t, k.takeSent(), "request!")
		r.stop()

		k.mu.Lock()
		k.addrs[2] = nil // somebody took it
		k.mu.Unlock()
		r = run(t, dir, k, nil)
		defer r.stop()
		r.do(unit.Adopt, lan, 1)
		want(t, r.got(), "lan lost: the address was gone when the supervisor came back", asking, noted, "lan ready")
		r.do(unit.Stop, lan, 1)
		want(t, k.on(2))
	})
}

func TestTroubleIsNamed(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		k := newFake(eth(0, true))
		k.server = goodServer(time.Hour)
		k.err["up"] = errNo
		r := run(t, dir, k, nil)
		defer r.stop()
		r.do(unit.Start, lan, 1)
		want(t, r.got(), "lan noted: no carrier on eth0 (cannot be brought up: no)")
		k.mu.Lock()
		delete(k.err, "up")
		k.err["addAddr"] = errNo
		k.mu.Unlock()
		r.pass(retryTime)
		got := r.got()
		if len(got) < 2 || got[0] != asking || got[1] != "lan noted: eth0: address 192.168.1.7/24: no" {
			t.Errorf("%q", got)
		}
		sent := len(k.takeSent())
		r.pass(time.Minute)
		if n := len(k.takeSent()); n > 20 {
			t.Errorf("%d packets, then %d in a minute: a tight circle", sent, n)
		}
		k.mu.Lock()
		delete(k.err, "addAddr")
		k.mu.Unlock()
		r.pass(2 * time.Minute)
		want(t, r.got(), noted, "lan ready")

		r.do(unit.Stop, lan, 1)
		r.got()
		k.err["open"] = errFamily
		r.do(unit.Start, lan, 2)
		want(t, r.got(), asking, "lan failed: eth0: socket: address family not supported by protocol")
		r.do(unit.Stop, lan, 2)
		want(t, r.got(), "lan empty")
		r.do(unit.Start, &unit.Unit{Name: "link:odd"}, 3)
		want(t, r.got(), "odd failed: the unit says nothing about a link")
	})
}

// A lease with another address, router and MTU replaces the old one whole.
func TestLeaseChanges(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		k := newFake(eth(0, true))
		k.server = goodServer(time.Hour)
		r := run(t, dir, k, nil)
		defer r.stop()
		k.addrs[2], k.routes[2] = []string{"10.9.9.9/24"}, []string{"10.8.0.0/16 via 10.9.9.1"} // by somebody else
		r.do(unit.Start, lan, 1)
		r.got()
		k.mu.Lock()
		k.server = func(p *dhcpv4.DHCPv4, _ bool) [][]byte {
			b := packetOf(dhcpv4.MessageTypeAck, "192.168.1.9", map[uint8][]byte{
				3: {192, 168, 1, 1}, 26: {0x05, 0x78}, 51: binary.BigEndian.AppendUint32(nil, 7200)})
			copy(b[4:8], p.TransactionID[:])
			copy(b[28:34], p.ClientHWAddr)
			return [][]byte{b}
		}
		k.mu.Unlock()
		r.pass(30*time.Minute + time.Second)
		want(t, r.got(), "lan noted: 192.168.1.9/24, lease of 2 h")
		want(t, k.addrsOn(2), "10.9.9.9/24", "192.168.1.9/24")
		want(t, k.routesOn(2), "10.8.0.0/16 via 10.9.9.1", "0.0.0.0/0 via 192.168.1.1")
		if k.first().mtu != 1400 || r.resolv() != "# hoopy\n" {
			t.Errorf("mtu %d, resolv.conf %q", k.first().mtu, r.resolv())
		}
		r.do(unit.Stop, lan, 1)
		want(t, k.addrsOn(2), "10.9.9.9/24")
		want(t, k.routesOn(2), "10.8.0.0/16 via 10.9.9.1")
		if k.first().mtu != 1500 {
			t.Errorf("mtu %d is left", k.first().mtu)
		}
	})
}

// A malicious server is refused, named, and does not stop us from trying.
func TestBadAnswersAreNamed(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		k := newFake(eth(0, true))
		k.server = func(p *dhcpv4.DHCPv4, _ bool) [][]byte {
			b := packetOf(dhcpv4.MessageTypeOffer, "192.168.1.7", map[uint8][]byte{51: {0, 0, 0, 0}})
			copy(b[4:8], p.TransactionID[:])
			copy(b[28:34], p.ClientHWAddr)
			return [][]byte{b, {1, 2, 3}, nil}
		}
		r := run(t, dir, k, nil)
		defer r.stop()
		r.do(unit.Start, lan, 1)
		want(t, r.got(), asking, "lan noted: answer of 192.168.1.1: no lease time")
		k.mu.Lock()
		k.server = goodServer(time.Hour)
		k.mu.Unlock()
		r.pass(2 * time.Second)
		want(t, r.got(), noted, "lan ready")
	})
}

// A panic costs the link it came from.
func TestAPanicCostsOneLink(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		k := newFake(eth(0, true), eth(1, true))
		k.server = goodServer(time.Hour)
		r := run(t, dir, k, nil)
		defer r.stop()
		r.do(unit.Start, linkUnit("two", unit.LinkConfig{MatchName: "eth1", DHCP4: true}), 2)
		r.do(unit.Start, lan, 1)
		r.got()
		l := r.a.links["link:lan"]
		l.raw, l.on = panicky{}, nil // a packet of a link without an interface
		r.a.post(arrived{l: l, b: []byte{}, c: panicky{}})
		events := r.got()
		if !slices.ContainsFunc(events, func(s string) bool { return strings.HasPrefix(s, "lan failed: panic: ") }) {
			t.Errorf("%q", events)
		}
		if r.a.links["link:two"] == nil {
			t.Error("the other link is gone")
		}
	})
}

// Who gave a Fault is told of it instead, from wherever it came.
func TestAPanicIsAFault(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		var faults []string
		r := run(t, dir, newFake(eth(0, true)), func(c *Config) {
			emit := c.Emit
			c.Emit = func(e unit.Event) {
				if len(faults) == 0 {
					panic("injected")
				}
				emit(e)
			}
			c.Fault = func(what any, stack []byte) {
				faults = append(faults, fmt.Sprint(what))
				if len(stack) == 0 {
					t.Error("a fault without a stack")
				}
			}
		})
		defer r.stop()
		r.do(unit.Start, lan, 1)
		r.got()
		want(t, faults, "injected")
	})
}

type panicky struct{ conn }

func (panicky) Close() error { return nil }
