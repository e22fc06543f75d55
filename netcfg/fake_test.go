package netcfg

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// fakeKernel is a machine in memory, for the clocks of synctest.
type fakeKernel struct {
	mu     sync.Mutex
	list   []iface
	addrs  map[int][]string
	routes map[int][]string
	open   int // sockets
	err    map[string]error
	name   string
	poke   chan []int // indices of what was dark
	// server answers a packet; nil: with silence.
	server func(p *dhcpv4.DHCPv4, unicast bool) [][]byte
	sent   []string // "discover", "request", with a "!" if unicast
}

func newFake(list ...iface) *fakeKernel {
	return &fakeKernel{list: list, addrs: map[int][]string{}, routes: map[int][]string{}, err: map[string]error{}, poke: make(chan []int, 100)}
}

func (k *fakeKernel) change(f func()) {
	k.mu.Lock()
	f()
	k.mu.Unlock()
	k.poke <- nil
}

func (k *fakeKernel) watch(ctx context.Context, changed func(...int)) error {
	changed(missed)
	for {
		select {
		case <-ctx.Done():
			return nil
		case dark := <-k.poke:
			changed(dark...)
		}
	}
}

func (k *fakeKernel) ifaces() ([]iface, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.list), k.err["ifaces"]
}

func (k *fakeKernel) up(index int) error {
	k.mu.Lock()
	err := k.err["up"]
	k.mu.Unlock()
	if err != nil {
		return err
	}
	k.change(func() {
		for i := range k.list {
			if k.list[i].index == index {
				k.list[i].up = true
			}
		}
	})
	return nil
}

func (k *fakeKernel) setMTU(index, mtu int) error {
	k.change(func() {
		for i := range k.list {
			if k.list[i].index == index {
				k.list[i].mtu = mtu
			}
		}
	})
	return nil
}

func (k *fakeKernel) hasAddr(index int, a netip.Addr) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.addrs[index], func(s string) bool { return strings.HasPrefix(s, a.String()+"/") })
}

func (k *fakeKernel) addAddr(i iface, p netip.Prefix, left time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.err["addAddr"]; err != nil {
		return err
	}
	add(k.addrs, i.index, p.String())
	return nil
}

func (k *fakeKernel) delAddr(index int, p netip.Prefix) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	remove(k.addrs, index, p.String())
	return nil
}

// addrsOn, routesOn and on say what is on an interface, first is the first one.
func (k *fakeKernel) addrsOn(i int) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.addrs[i])
}

func (k *fakeKernel) routesOn(i int) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.routes[i])
}

func (k *fakeKernel) on(i int) []string { return append(k.addrsOn(i), k.routesOn(i)...) }

func (k *fakeKernel) first() iface {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.list[0]
}

func routeText(r installed) string { return r.To.String() + " via " + r.Via.String() }

func (k *fakeKernel) addRoute(index int, r installed) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	add(k.routes, index, routeText(r))
	return nil
}

func (k *fakeKernel) delRoute(index int, r installed) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	remove(k.routes, index, routeText(r))
	return nil
}

func add(m map[int][]string, i int, s string) {
	if !slices.Contains(m[i], s) {
		m[i] = append(m[i], s)
	}
}

func remove(m map[int][]string, i int, s string) {
	m[i] = slices.DeleteFunc(m[i], func(t string) bool { return s == t })
}

func (k *fakeKernel) hostname() string { k.mu.Lock(); defer k.mu.Unlock(); return k.name }
func (k *fakeKernel) setHostname(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.name = name
	return nil
}

type fakeConn struct {
	k       *fakeKernel
	unicast bool
	in      chan []byte
	once    sync.Once
	done    chan struct{}
}

func (k *fakeKernel) conn(unicast bool) (conn, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.err["open"]; err != nil {
		return nil, err
	}
	k.open++
	c := &fakeConn{k: k, unicast: unicast, in: make(chan []byte, 100), done: make(chan struct{})}
	return c, nil
}

func (k *fakeKernel) openRaw(iface) (conn, error)                         { return k.conn(false) }
func (k *fakeKernel) openUDP(iface, netip.Addr, netip.Addr) (conn, error) { return k.conn(true) }

func (c *fakeConn) Read(b []byte) (int, error) {
	select {
	case p := <-c.in:
		return copy(b, p), nil
	case <-c.done:
		return 0, net.ErrClosed
	}
}

func (c *fakeConn) Send(b []byte, _ netip.Addr) error {
	p, err := dhcpv4.FromBytes(b)
	if err != nil {
		return err
	}
	word := strings.ToLower(p.MessageType().String())
	if c.unicast {
		word += "!"
	}
	c.k.mu.Lock()
	c.k.sent = append(c.k.sent, word)
	server := c.k.server
	c.k.mu.Unlock()
	if server != nil {
		for _, a := range server(p, c.unicast) {
			c.in <- a
		}
	}
	return nil
}

func (c *fakeConn) Close() error {
	c.once.Do(func() {
		close(c.done)
		c.k.mu.Lock()
		c.k.open--
		c.k.mu.Unlock()
	})
	return nil
}

// goodServer gives 192.168.1.7 for lease.
func goodServer(lease time.Duration) func(*dhcpv4.DHCPv4, bool) [][]byte {
	return func(p *dhcpv4.DHCPv4, _ bool) [][]byte {
		kind := dhcpv4.MessageTypeAck
		if p.MessageType() == dhcpv4.MessageTypeDiscover {
			kind = dhcpv4.MessageTypeOffer
		}
		b := packetOf(kind, "192.168.1.7", map[uint8][]byte{
			3: {192, 168, 1, 254}, 6: {192, 168, 1, 1}, 12: []byte("named"), 15: []byte("lan"),
			51: binary.BigEndian.AppendUint32(nil, uint32(lease/time.Second))})
		copy(b[4:8], p.TransactionID[:])
		copy(b[28:34], p.ClientHWAddr)
		return [][]byte{b}
	}
}

// rig is an arm on a fake machine, inside of a synctest bubble.
type rig struct {
	t      *testing.T
	k      *fakeKernel
	a      *Arm
	mu     sync.Mutex
	events []string
	online []bool
	log    []string
	stop   func()
	cfg    Config
}

func eth(n int, carrier bool) iface {
	return iface{index: n + 2, name: "eth" + string(rune('0'+n)), mac: net.HardwareAddr{2, 0, 0, 0, 0, byte(n)}, up: false, carrier: carrier, mtu: 1500, driver: "virtio_net"}
}

// run starts an arm; f may change its configuration.
func run(t *testing.T, dir string, k *fakeKernel, f func(*Config)) *rig {
	r := &rig{t: t, k: k}
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of every bubble
	cfg := Config{
		Emit: func(e unit.Event) {
			word := map[unit.EventOp]string{unit.IsReady: "ready", unit.Lost: "lost", unit.StartFailed: "failed",
				unit.Empty: "empty", unit.Noted: "noted"}[e.Op]
			if e.Text != "" {
				word += ": " + e.Text
			}
			r.mu.Lock()
			r.events = append(r.events, strings.TrimPrefix(e.Unit, "link:")+" "+word)
			r.mu.Unlock()
		},
		Log:            func(s string) { r.mu.Lock(); r.log = append(r.log, s); r.mu.Unlock() },
		Online:         func(b bool) { r.mu.Lock(); r.online = append(r.online, b); r.mu.Unlock() },
		Hostname:       "nas",
		ResolvConf:     filepath.Join(dir, "run/resolv.conf"),
		EtcResolvConf:  filepath.Join(dir, "resolv.conf"),
		LeaseDir:       filepath.Join(dir, "lease"),
		Seed:           1,
		testOnlyKernel: k,
		testOnlyNow:    func() unit.Time { return unit.Time(time.Since(begin)) + start },
		testOnlyWatch:  k.watch,
	}
	if f != nil {
		f(&cfg)
	}
	r.cfg = cfg
	r.a = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.a.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.open != 0 {
			t.Errorf("%d sockets are left open", k.open)
		}
	}
	synctest.Wait()
	return r
}

func linkUnit(name string, l unit.LinkConfig) *unit.Unit {
	l.Name = name
	return &unit.Unit{Name: unit.LinkUnit(name), Kind: unit.Link, Link: &l}
}

// do gives an action and waits until all is quiet.
func (r *rig) do(op unit.ActionOp, u *unit.Unit, run unit.Run) {
	r.a.Do(unit.Action{Op: op, Unit: u, Run: run})
	synctest.Wait()
}

// pass lets time go by.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d) // the clock of the bubble
	synctest.Wait()
}

// got takes the events since the last call.
func (r *rig) got() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.events
	r.events = nil
	return e
}

func (r *rig) resolv() string {
	b, err := os.ReadFile(r.cfg.EtcResolvConf)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (k *fakeKernel) takeSent() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.sent
	k.sent = nil
	return s
}

var errNo = errors.New("no")
var errFamily = os.NewSyscallError("socket", unix.EAFNOSUPPORT)
