//go:build priv

package netcfg

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// machine is an arm at work.
type machine struct {
	t      *testing.T
	a      *Arm
	cfg    Config
	events chan unit.Event
	stop   func()
}

func boot(t *testing.T, dir string) *machine {
	t.Helper()
	if os.Getenv(inside1) == "" {
		t.Skip("needs network namespaces (root)")
	}
	m := &machine{t: t, events: make(chan unit.Event, 1000)}
	m.cfg = Config{
		Emit:       func(e unit.Event) { m.events <- e },
		Log:        func(s string) { t.Log(s) },
		Hostname:   "nas",
		ResolvConf: filepath.Join(dir, "run/resolv.conf"), EtcResolvConf: filepath.Join(dir, "resolv.conf"),
		LeaseDir: filepath.Join(dir, "lease"), Sys: dir,
	}
	m.a = New(m.cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.a.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(m.stop)
	return m
}

func (m *machine) do(op unit.ActionOp, u *unit.Unit, run unit.Run) {
	m.a.Do(unit.Action{Op: op, Unit: u, Run: run})
}

// waits returns the first event op of u, with the texts of the notes before.
func (m *machine) waits(op unit.EventOp, u *unit.Unit) (unit.Event, []string) {
	m.t.Helper()
	var notes []string
	limit := time.After(time.Minute)
	for {
		select {
		case e := <-m.events:
			if e.Op == op && e.Unit == u.Name {
				return e, notes
			}
			if e.Op != unit.Noted {
				m.t.Fatalf("event %+v while waiting for %d", e, op)
			}
			notes = append(notes, e.Text)
		case <-limit:
			m.t.Fatalf("no event %d within a minute; notes %q", op, notes)
		}
	}
}

// quiet fails if anything but notes happened.
func (m *machine) quiet() {
	m.t.Helper()
	for {
		select {
		case e := <-m.events:
			if e.Op != unit.Noted {
				m.t.Fatalf("event %+v", e)
			}
		default:
			return
		}
	}
}

func addrsOf(name string) []netlink.Addr {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil
	}
	as, _ := netlink.AddrList(l, netlink.FAMILY_V4)
	return as
}

func defaultsOf(name string) []netlink.Route {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil
	}
	rs, _ := netlink.RouteList(l, netlink.FAMILY_V4)
	return slices.DeleteFunc(rs, func(r netlink.Route) bool {
		ones, _ := r.Dst.Mask.Size()
		return ones != 0
	})
}

// bare fails unless nothing of ours is on the interface.
func bare(t *testing.T, name string) {
	t.Helper()
	if as, rs := addrsOf(name), defaultsOf(name); len(as) != 0 || len(rs) != 0 {
		t.Errorf("left on %s: %v, %v", name, as, rs)
	}
}

func byName(name string) *unit.Unit {
	return linkUnit(name, unit.LinkConfig{MatchName: name, DHCP4: true})
}

func TestLo(t *testing.T) {
	if os.Getenv(inside1) == "" {
		t.Skip("needs network namespaces (root)")
	}
	if err := Lo(); err != nil {
		t.Fatal(err)
	}
	c, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

// The socket of a lease: what comes is read, an empty packet too, and what is
// sent has the address and port of a client.
func TestSocketOfALease(t *testing.T) {
	if os.Getenv(inside1) == "" {
		t.Skip("needs network namespaces (root)")
	}
	if err := Lo(); err != nil {
		t.Fatal(err)
	}
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: serverPort})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ours := netip.MustParseAddr("127.0.0.1")
	c, err := (*linux)(nil).openUDP(iface{name: "lo"}, ours, netip.MustParseAddr("127.0.0.2"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "ack"} {
		if _, err := server.WriteToUDPAddrPort([]byte(text), netip.AddrPortFrom(ours, clientPort)); err != nil {
			t.Fatal(err)
		}
		var b [10]byte
		if n, err := c.Read(b[:]); err != nil || string(b[:n]) != text {
			t.Errorf("read %q, %v; want %q", b[:n], err, text)
		}
	}
	if err := c.Send([]byte("request"), netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	var b [10]byte
	_ = server.SetReadDeadline(time.Now().Add(time.Minute))
	n, from, err := server.ReadFromUDPAddrPort(b[:])
	if err != nil || string(b[:n]) != "request" || from != netip.AddrPortFrom(ours, clientPort) {
		t.Errorf("the server read %q of %s, %v", b[:n], from, err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := c.Read(b[:])
		ended <- err
	}()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a read of a closed socket gave a packet")
		}
	case <-time.After(time.Minute):
		t.Error("Close does not end a read")
	}
	if c, err := (*linux)(nil).openUDP(iface{name: "lo"}, netip.MustParseAddr("192.0.2.1"), ours); err == nil {
		c.Close()
		t.Error("a socket of an address that is not ours")
	}
}

func TestBindOnAWire(t *testing.T) {
	c := lay(t, "lan0")
	s := c.serve(1000)
	m := boot(t, t.TempDir())
	u := byName("lan0")
	begin := time.Now()
	m.do(unit.Start, u, 1)
	_, notes := m.waits(unit.IsReady, u)
	t.Logf("ready after %v", time.Since(begin))
	if notes[len(notes)-1] != "10.77.0.50/24, lease of 16 min" {
		t.Errorf("notes %q", notes)
	}
	as, rs := addrsOf("lan0"), defaultsOf("lan0")
	if len(as) != 1 || as[0].IPNet.String() != "10.77.0.50/24" || as[0].Broadcast.String() != "10.77.0.255" ||
		as[0].ValidLft > 1002 || as[0].ValidLft < 900 {
		t.Errorf("addresses %+v", as)
	}
	if len(rs) != 1 || rs[0].Gw.String() != "10.77.0.1" || rs[0].Priority != 100 || rs[0].Protocol != unix.RTPROT_DHCP {
		t.Errorf("routes %+v", rs)
	}
	if l, err := netlink.LinkByName("lan0"); err != nil || l.Attrs().MTU != 1400 {
		t.Errorf("mtu %+v, %v", l, err)
	}
	if b, err := os.ReadFile(m.cfg.EtcResolvConf); err != nil || string(b) != "# hoopy\nnameserver 10.77.0.1\n" {
		t.Errorf("resolv.conf %q, %v", b, err)
	}
	if name, err := os.Hostname(); err != nil || name != "nas" {
		t.Errorf("host name %q, %v", name, err)
	}
	if b, err := os.ReadFile("/proc/net/packet"); err != nil || strings.Count(string(b), "\n") != 1 {
		t.Errorf("packet sockets while bound:\n%s%v", b, err)
	}
	if got := slices.Compact(s.took()); !slices.Equal(got, []string{"discover", "request"}) {
		t.Errorf("the server heard %q", got)
	}

	// What others put there stays.
	l, err := netlink.LinkByName("lan0")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"10.88.0.1/24", "10.77.0.99/24"} { // the latter a secondary of ours
		if err := netlink.AddrAdd(l, must(netlink.ParseAddr(a))); err != nil {
			t.Fatal(err)
		}
	}
	m.do(unit.Stop, u, 1)
	m.waits(unit.Empty, u)
	var left []string
	for _, a := range addrsOf("lan0") {
		left = append(left, a.IPNet.String())
	}
	slices.Sort(left)
	want(t, left, "10.77.0.99/24", "10.88.0.1/24")
	if l, err := netlink.LinkByName("lan0"); err != nil || l.Attrs().MTU != 1500 {
		t.Errorf("mtu %+v, %v", l, err)
	}
}

// Renewed by unicast at T1, by broadcast at T2 when unicast is dead, lost at
// the end when the server is.
func TestRenewRebindExpire(t *testing.T) {
	c := lay(t, "lan1")
	s := c.serve(8)
	m := boot(t, t.TempDir())
	u := byName("lan1")
	m.do(unit.Start, u, 1)
	m.waits(unit.IsReady, u)
	s.took()
	s.hears(t, "request ciaddr unicast")
	for _, w := range s.took() {
		if w != "request ciaddr unicast" {
			t.Errorf("heard %q", w)
		}
	}
	s.noUnicast.Store(true)
	s.hears(t, "request ciaddr")
	s.took()
	s.hears(t, "request ciaddr") // the one before was granted
	m.quiet()
	if as := addrsOf("lan1"); len(as) != 1 {
		t.Errorf("addresses %v", as)
	}
	s.deaf.Store(true)
	e, _ := m.waits(unit.Lost, u)
	if e.Text != "the lease ran out, no server renewed it" {
		t.Errorf("lost: %q", e.Text)
	}
	bare(t, "lan1")
	s.deaf.Store(false)
	m.waits(unit.IsReady, u)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A renewal that brings another address of the same network.
func TestAnotherAddressOnAWire(t *testing.T) {
	c := lay(t, "lan8")
	s := c.serve(8)
	m := boot(t, t.TempDir())
	u := byName("lan8")
	m.do(unit.Start, u, 1)
	m.waits(unit.IsReady, u)
	s.host.Store(70)
	within(t, "the new address, alone", func() bool {
		as := addrsOf("lan8")
		return len(as) == 1 && as[0].IP.String() == "10.77.0.70" && len(defaultsOf("lan8")) == 1
	})
	m.quiet()
}

func TestNakOnAWire(t *testing.T) {
	c := lay(t, "lan2")
	s := c.serve(8)
	m := boot(t, t.TempDir())
	u := byName("lan2")
	m.do(unit.Start, u, 1)
	m.waits(unit.IsReady, u)
	s.nak.Store(true)
	s.host.Store(60)
	if e, _ := m.waits(unit.Lost, u); e.Text != "the server 10.77.0.1 took the lease back" {
		t.Errorf("lost: %q", e.Text)
	}
	s.nak.Store(false)
	_, notes := m.waits(unit.IsReady, u)
	if !slices.Contains(notes, "10.77.0.60/24, lease of 8 s") {
		t.Errorf("notes %q", notes)
	}
	if as := addrsOf("lan2"); len(as) != 1 || as[0].IP.String() != "10.77.0.60" {
		t.Errorf("addresses %v", as)
	}
}

func TestCarrierOnAWire(t *testing.T) {
	c := lay(t, "lan3")
	s := c.serve(1000)
	c.unplug()
	m := boot(t, t.TempDir())
	u := byName("lan3")
	m.do(unit.Start, u, 1)
	within(t, "a note about the carrier", func() bool {
		select {
		case e := <-m.events:
			return e.Text == "no carrier on lan3"
		default:
			return false
		}
	})
	c.plug()
	m.waits(unit.IsReady, u)
	s.took()
	begin := time.Now()
	c.unplug()
	m.waits(unit.Lost, u)
	if d := time.Since(begin); d < 4*time.Second {
		t.Errorf("lost after %v", d)
	}
	bare(t, "lan3")
	c.plug()
	m.waits(unit.IsReady, u)
	if got := s.took(); len(got) == 0 || slices.Contains(got, "discover") {
		t.Errorf("the same address is asked for: %q", got)
	}

	l, err := netlink.LinkByName("lan3") // somebody takes it down and up
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetDown(l); err != nil {
		t.Fatal(err)
	}
	if len(defaultsOf("lan3")) != 0 {
		t.Error("the kernel kept the route: this tests nothing")
	}
	if err := netlink.LinkSetUp(l); err != nil {
		t.Fatal(err)
	}
	within(t, "the route is back", func() bool { return len(defaultsOf("lan3")) == 1 })
	m.quiet()
}

func TestAdoptOnAWire(t *testing.T) {
	c := lay(t, "lan4")
	s := c.serve(8)
	dir := t.TempDir()
	m := boot(t, dir)
	u := byName("lan4")
	m.do(unit.Start, u, 1)
	m.waits(unit.IsReady, u)
	m.stop()
	if len(addrsOf("lan4")) != 1 || len(defaultsOf("lan4")) != 1 {
		t.Fatal("the address went with the arm")
	}
	s.took()
	m = boot(t, dir)
	m.do(unit.Adopt, u, 1)
	m.waits(unit.IsReady, u)
	want(t, s.took())
	s.hears(t, "request ciaddr unicast")
	m.quiet()
	m.do(unit.Stop, u, 1)
	m.waits(unit.Empty, u)
	bare(t, "lan4")
}

func TestInterfaceThatComesLate(t *testing.T) {
	m := boot(t, t.TempDir())
	u := byName("lan5")
	m.do(unit.Start, u, 1)
	within(t, "a note about the interface", func() bool {
		select {
		case e := <-m.events:
			return strings.HasPrefix(e.Text, "no interface matches name lan5; ")
		default:
			return false
		}
	})
	c := lay(t, "lan5")
	c.serve(1000)
	m.waits(unit.IsReady, u)
}

// Two cards that are told apart by their MAC, on two networks.
func TestTwoCards(t *testing.T) {
	one, two := lay(t, "lan6"), lay(t, "lan7")
	one.serve(1000).host.Store(6)
	two.serve(1000).host.Store(7)
	m := boot(t, t.TempDir())
	u7 := linkUnit("seven", unit.LinkConfig{MatchMAC: two.mac, DHCP4: true})
	u6 := linkUnit("six", unit.LinkConfig{MatchMAC: one.mac, DHCP4: true})
	m.do(unit.Start, u7, 7)
	m.waits(unit.IsReady, u7)
	m.do(unit.Start, u6, 6)
	m.waits(unit.IsReady, u6)
	for name, want := range map[string]struct {
		addr   string
		metric int
	}{"lan6": {"10.77.0.6", 110}, "lan7": {"10.77.0.7", 100}} {
		as, rs := addrsOf(name), defaultsOf(name)
		if len(as) != 1 || as[0].IP.String() != want.addr || len(rs) != 1 || rs[0].Priority != want.metric {
			t.Errorf("%s: %v, %v", name, as, rs)
		}
	}
}

// What clouds lease: an address of 32 bits, a router outside of it, a route on
// the link. All of it comes and goes.
func TestRoutesOfAClouds32(t *testing.T) {
	lay(t, "lan9")
	k, err := newLinux(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer k.rt.close()
	l := must(netlink.LinkByName("lan9"))
	i := iface{index: l.Attrs().Index, name: "lan9"}
	if err := k.up(i.index); err != nil {
		t.Fatal(err)
	}
	p := plan(terms{Addr: netip.MustParsePrefix("10.99.0.5/32"), Routes: []route{
		{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("10.99.0.1")},
		{netip.MustParsePrefix("10.50.0.0/16"), netip.MustParseAddr("10.99.0.2")},
		{netip.MustParsePrefix("169.254.1.1/32"), netip.IPv4Unspecified()},
	}}, 150)
	for range 2 { // putting twice is putting once
		if err := k.addAddr(i, p.Addr, time.Hour); err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Routes {
			if err := k.addRoute(i.index, r); err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
		}
	}
	if rs := must(netlink.RouteList(l, netlink.FAMILY_V4)); len(rs) != 3 {
		t.Errorf("routes %v", rs)
	}
	for range 2 { // and taking twice is no error
		for _, r := range p.Routes {
			if err := k.delRoute(i.index, r); err != nil {
				t.Errorf("%+v: %v", r, err)
			}
		}
		if err := k.delAddr(i.index, p.Addr); err != nil {
			t.Error(err)
		}
	}
	if rs := must(netlink.RouteList(l, netlink.FAMILY_V4)); len(rs) != 0 {
		t.Errorf("routes left: %v", rs)
	}
	bare(t, "lan9")
	if err := k.addAddr(i, p.Addr, forever); err != nil {
		t.Fatal(err)
	}
	if as := addrsOf("lan9"); len(as) != 1 || uint32(as[0].ValidLft) != 0xffffffff {
		t.Errorf("for ever is %+v", as)
	}
}
