//go:build priv

package netcfg

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// These tests run in network namespaces of their own: the test binary executes
// itself in a new one, and the servers stand in a second.
const inside1 = "HOOPY_NETCFG_INSIDE"

func TestMain(m *testing.M) {
	if os.Getenv(inside1) != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside1+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWUTS, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		fmt.Printf("netcfg: the privileged ring is skipped, no namespaces of our own: %v\n", err)
		os.Exit(m.Run())
	}
	if cmd.Wait() != nil {
		os.Exit(1)
	}
}

// cable is a veth pair: our end in our namespace, the other in the server's.
type cable struct {
	t    *testing.T
	name string // our end
	mac  string
	far  *netlink.Handle // the server's namespace
	ns   netns.NsHandle
}

// inNS runs f on a thread in the namespace ns, which is then thrown away.
func inNS(ns netns.NsHandle, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := netns.Set(ns); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

func newNS(t *testing.T) netns.NsHandle {
	t.Helper()
	type result struct {
		ns  netns.NsHandle
		err error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		ns, err := netns.New()
		done <- result{ns, err}
	}()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { _ = r.ns.Close() })
	return r.ns
}

// lay makes a cable; the server's end has 10.77.0.1/24.
func lay(t *testing.T, name string) *cable {
	t.Helper()
	if os.Getenv(inside1) == "" {
		t.Skip("needs network namespaces (root)")
	}
	ns := newNS(t)
	far, err := netlink.NewHandleAt(ns)
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{t: t, name: name, ns: ns, far: far}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "far", PeerNamespace: netlink.NsFd(ns)}))
	t.Cleanup(func() {
		if l, err := netlink.LinkByName(name); err == nil {
			_ = netlink.LinkDel(l)
		}
		far.Close()
	})
	l, err := netlink.LinkByName(name)
	must(err)
	c.mac = l.Attrs().HardwareAddr.String()
	p, err := far.LinkByName("far")
	must(err)
	must(far.AddrAdd(p, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 77, 0, 1), Mask: net.CIDRMask(24, 32)}}))
	must(far.LinkSetUp(p))
	return c
}

// plug and unplug move the other end.
func (c *cable) plug()   { c.set(c.far.LinkSetUp) }
func (c *cable) unplug() { c.set(c.far.LinkSetDown) }
func (c *cable) set(f func(netlink.Link) error) {
	c.t.Helper()
	p, err := c.far.LinkByName("far")
	if err == nil {
		err = f(p)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// server is a small DHCP server.
type server struct {
	lease     atomic.Int64 // seconds
	host      atomic.Int64 // it gives 10.77.0.HOST
	deaf      atomic.Bool  // to everything
	noUnicast atomic.Bool  // to what is not broadcast
	nak       atomic.Bool  // to every request
	mu        sync.Mutex
	heard     []string
}

func (c *cable) serve(lease int) *server {
	c.t.Helper()
	s := &server{}
	s.lease.Store(int64(lease))
	s.host.Store(50)
	var conn *net.UDPConn
	if err := inNS(c.ns, func() error {
		lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
			var err error
			if e := rc.Control(func(fd uintptr) {
				if err = unix.BindToDevice(int(fd), "far"); err == nil {
					err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
				}
			}); e != nil {
				return e
			}
			return err
		}}
		p, err := lc.ListenPacket(context.Background(), "udp4", ":67")
		if err == nil {
			conn = p.(*net.UDPConn)
		}
		return err
	}); err != nil {
		c.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { s.loop(conn); close(done) }()
	c.t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return s
}

func (s *server) loop(conn *net.UDPConn) {
	var buf, oob [2048]byte
	for {
		n, on, _, peer, err := conn.ReadMsgUDPAddrPort(buf[:], oob[:])
		if err != nil {
			return
		}
		m, err := dhcpv4.FromBytes(buf[:n])
		if err != nil {
			continue
		}
		unicast := false
		if cs, err := unix.ParseSocketControlMessage(oob[:on]); err == nil && len(cs) == 1 {
			unicast = [4]byte(cs[0].Data[8:12]) != [4]byte{255, 255, 255, 255} // in_pktinfo.ipi_addr
		}
		if b := s.answer(m, unicast); b != nil {
			to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), 68)
			if peer.Addr().Unmap().As4() != [4]byte{} && !s.nak.Load() {
				to = peer
			}
			_, _ = conn.WriteToUDPAddrPort(b, to)
		}
	}
}

func (s *server) answer(m *dhcpv4.DHCPv4, unicast bool) []byte {
	word := strings.ToLower(m.MessageType().String())
	if !m.ClientIPAddr.IsUnspecified() {
		word += " ciaddr"
	}
	if unicast {
		word += " unicast"
	}
	s.mu.Lock()
	s.heard = append(s.heard, word)
	s.mu.Unlock()
	if s.deaf.Load() || unicast && s.noUnicast.Load() {
		return nil
	}
	kind := dhcpv4.MessageTypeAck
	switch {
	case m.MessageType() == dhcpv4.MessageTypeDiscover:
		kind = dhcpv4.MessageTypeOffer
	case s.nak.Load():
		kind = dhcpv4.MessageTypeNak
	}
	r, err := dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(kind),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 77, 0, 1))))
	if err != nil {
		return nil
	}
	if kind != dhcpv4.MessageTypeNak {
		r.YourIPAddr = net.IPv4(10, 77, 0, byte(s.host.Load()))
		r.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(24, 32)))
		r.UpdateOption(dhcpv4.OptRouter(net.IPv4(10, 77, 0, 1)))
		r.UpdateOption(dhcpv4.OptDNS(net.IPv4(10, 77, 0, 1)))
		r.UpdateOption(dhcpv4.OptIPAddressLeaseTime(time.Duration(s.lease.Load()) * time.Second))
		r.UpdateOption(dhcpv4.Option{Code: dhcpv4.OptionInterfaceMTU, Value: dhcpv4.Uint16(1400)})
	}
	return r.ToBytes()
}

// hears waits until the server hears word.
func (s *server) hears(t *testing.T, word string) {
	t.Helper()
	within(t, "the server hears "+word, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.Contains(s.heard, word)
	})
}

func (s *server) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.heard
	s.heard = nil
	return h
}

// within polls f: the kernel's state has no event for a test to wait for.
func within(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("not within 30 s: %s", what)
}

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
	limit := time.After(30 * time.Second)
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
			m.t.Fatalf("no event %d within 30 s; notes %q", op, notes)
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
	if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 88, 0, 1), Mask: net.CIDRMask(24, 32)}}); err != nil {
		t.Fatal(err)
	}
	m.do(unit.Stop, u, 1)
	m.waits(unit.Empty, u)
	if as := addrsOf("lan0"); len(as) != 1 || as[0].IPNet.String() != "10.88.0.1/24" {
		t.Errorf("after the stop: %v", as)
	}
	if l, err := netlink.LinkByName("lan0"); err != nil || l.Attrs().MTU != 1500 {
		t.Errorf("mtu %+v, %v", l, err)
	}
}

// Renewed by unicast at T1, by broadcast at T2 when unicast is dead, lost at
// the end when the server is.
func TestRenewRebindExpire(t *testing.T) {
	c := lay(t, "lan1")
	s := c.serve(4)
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

func TestNakOnAWire(t *testing.T) {
	c := lay(t, "lan2")
	s := c.serve(4)
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
	if !slices.Contains(notes, "10.77.0.60/24, lease of 4 s") {
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
	c.unplug()
	begin := time.Now()
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
