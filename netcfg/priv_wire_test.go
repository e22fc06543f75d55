//go:build priv

package netcfg

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
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
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("not within a minute: %s", what)
}
