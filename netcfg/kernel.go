package netcfg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/mdlayher/packet"
	"github.com/mdlayher/socket"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// iface is an interface as it is now.
type iface struct {
	index    int
	name     string
	mac      net.HardwareAddr
	driver   string // empty: it has no device (veth, bridge)
	up       bool   // IFF_UP
	carrier  bool   // IFF_LOWER_UP: the cable, not the intention
	mtu      int
	loopback bool
	port     bool // of a bridge or bond: its addresses are the master's
}

// kernel is what the arm asks of Linux. Every call is bounded by callTimeout.
type kernel interface {
	ifaces() ([]iface, error)
	up(index int) error
	setMTU(index, mtu int) error
	hasAddr(index int, a netip.Addr) bool
	// addAddr adds or renews the address with its broadcast. The kernel takes
	// it off by itself soon after left has passed.
	addAddr(i iface, p netip.Prefix, left time.Duration) error
	delAddr(index int, p netip.Prefix) error
	addRoute(index int, r installed) error
	delRoute(index int, r installed) error
	// openRaw gives a socket for DHCP on an interface without an address:
	// what is sent goes to everybody, what is read came to port 68.
	openRaw(i iface) (conn, error)
	// openUDP gives a socket from port 68 of source to port 67 of server.
	openUDP(i iface, source, server netip.Addr) (conn, error)
	hostname() string
	setHostname(name string) error
}

// conn carries DHCP packets, one a call. Close ends a read that waits.
type conn interface {
	Read(b []byte) (int, error)
	// Send sends b from source, which may be invalid on a raw one: 0.0.0.0.
	Send(b []byte, source netip.Addr) error
	Close() error
}

// installed is a route as we put it: enough to take exactly it away again.
type installed struct {
	route
	Source netip.Addr
	Metric int
	Onlink bool // Via is outside of the link's own network
}

const (
	callTimeout = 10 * time.Second
	lifeMargin  = 2 * time.Second
	protoDHCP   = unix.RTPROT_DHCP
	lit         = unix.IFF_UP | unix.IFF_LOWER_UP // a carrier, and somebody who wants it
)

// linux is the kernel of this machine; what it asks by rtnetlink stands in
// rtnetlink.go.
type linux struct {
	sys string // where sysfs is
	rt  rtnetlink
}

func newLinux(sys string) (*linux, error) {
	rt, err := newRtnetlink()
	if err != nil {
		return nil, err
	}
	return &linux{sys, rt}, nil
}

// driver is the name of the kernel's driver of an interface; empty if it has
// no device.
func driver(sys, name string) string {
	to, err := os.Readlink(filepath.Join(sys, "class/net", name, "device/driver"))
	if err != nil {
		return ""
	}
	return filepath.Base(to)
}

// rawConn is the packet socket.
type rawConn struct {
	*packet.Conn
	buf [2048]byte
}

var everybody = &packet.Addr{HardwareAddr: net.HardwareAddr{255, 255, 255, 255, 255, 255}}

func (k *linux) openRaw(i iface) (conn, error) {
	filter, err := bpf.Assemble(toClient)
	if err != nil {
		return nil, fmt.Errorf("packet filter: %w", err)
	}
	c, err := packet.Listen(&net.Interface{Index: i.index, Name: i.name}, packet.Datagram, unix.ETH_P_IP,
		&packet.Config{Filter: filter})
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return nil, fmt.Errorf("the kernel has no packet sockets (module af_packet): %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	return &rawConn{Conn: c}, nil
}

func (c *rawConn) Read(b []byte) (int, error) {
	for {
		n, _, err := c.ReadFrom(c.buf[:])
		if err != nil {
			return 0, err
		}
		if payload, ok := unframe(c.buf[:n]); ok {
			return copy(b, payload), nil
		}
	}
}

func (c *rawConn) Send(b []byte, source netip.Addr) error {
	if err := c.SetWriteDeadline(time.Now().Add(callTimeout)); err != nil {
		return err
	}
	_, err := c.WriteTo(frame(b, source), everybody)
	return err
}

// udpConn is the socket of an address that is ours: the kernel finds the way
// and the neighbour. It is none of package net's, since what listens for
// packets there brings the resolver along: 270 kB of /init.
type udpConn struct {
	*socket.Conn
	server unix.SockaddrInet4
}

func (k *linux) openUDP(i iface, source, server netip.Addr) (conn, error) {
	s, err := socket.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0, "udp4", nil)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(
		s.SetsockoptInt(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		s.SetsockoptString(unix.SOL_SOCKET, unix.SO_BINDTODEVICE, i.name),
		s.Bind(&unix.SockaddrInet4{Port: clientPort, Addr: source.As4()})); err != nil {
		s.Close()
		return nil, err
	}
	return &udpConn{s, unix.SockaddrInet4{Port: serverPort, Addr: server.As4()}}, nil
}

// Read is not the Read of Conn, which takes an empty packet for the end.
func (c *udpConn) Read(b []byte) (int, error) {
	n, _, err := c.Recvfrom(context.Background(), b, 0)
	return n, err
}

func (c *udpConn) Send(b []byte, _ netip.Addr) error {
	if err := c.SetWriteDeadline(time.Now().Add(callTimeout)); err != nil {
		return err
	}
	return c.Sendto(context.Background(), b, 0, &c.server)
}

func (k *linux) hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

func (k *linux) setHostname(name string) error { return unix.Sethostname([]byte(name)) }

// missed stands for every interface: changes were lost.
const missed = -1

// watch calls changed after changes of interfaces, with the indices of those
// that had no carrier at one time (or missed), until ctx ends or the socket
// breaks. Who looks afterwards may see a short darkness no more.
func watch(ctx context.Context, changed func(dark ...int)) error {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK)
	if err != nil {
		return fmt.Errorf("watching interfaces: %w", err)
	}
	stop := context.AfterFunc(ctx, s.Close)
	defer func() {
		if stop() {
			s.Close()
		}
	}()
	// The default of 208 KiB is a few hundred containers coming up at once.
	// Without CAP_NET_ADMIN it stays; then ENOBUFS makes us look again.
	_ = s.SetReceiveBufferSize(1<<20, true)
	changed(missed) // listen first, then look
	for {
		msgs, _, err := s.Receive()
		switch {
		case err == nil:
			var dark []int
			for _, m := range msgs {
				if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg {
					continue
				}
				if i := nl.DeserializeIfInfomsg(m.Data); i.Flags&lit != lit {
					dark = append(dark, int(i.Index))
				}
			}
			changed(dark...)
		case errors.Is(err, unix.ENOBUFS):
			changed(missed)
		case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		case ctx.Err() != nil:
			return nil
		default:
			return fmt.Errorf("watching interfaces: %w", err)
		}
	}
}
