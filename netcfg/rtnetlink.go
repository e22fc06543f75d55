package netcfg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// rtnetlink is a socket of rtnetlink(7), on which one call follows the other.
// Of package netlink only the messages (nl) are used: its calls know every kind
// of interface and route, and bring all of them into /init, 200 kB. The tests
// hold what is written here against them.
type rtnetlink map[int]*nl.SocketHandle

func newRtnetlink() (rtnetlink, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE) // to no group
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	limit := unix.NsecToTimeval(int64(callTimeout))
	if err := errors.Join(s.SetSendTimeout(&limit), s.SetReceiveTimeout(&limit)); err != nil {
		s.Close()
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	return rtnetlink{unix.NETLINK_ROUTE: {Socket: s}}, nil
}

func (r rtnetlink) close() { r[unix.NETLINK_ROUTE].Close() }

// change asks for one and returns the kernel's verdict.
func (r rtnetlink) change(op, flags int, head nl.NetlinkRequestData, attrs ...*nl.RtAttr) error {
	req := nl.NewNetlinkRequest(op, flags|unix.NLM_F_ACK)
	req.Sockets = r
	req.AddData(head)
	for _, a := range attrs {
		req.AddData(a)
	}
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// dumpTries is how often a dump is asked for again that a change of the
// interfaces cut across.
const dumpTries = 10

// dump asks for all there is: messages of the type answer, without headers.
func (r rtnetlink) dump(op int, answer uint16, head nl.NetlinkRequestData) (messages [][]byte, err error) {
	for range dumpTries {
		req := nl.NewNetlinkRequest(op, unix.NLM_F_DUMP)
		req.Sockets = r
		req.AddData(head)
		messages, err = req.Execute(unix.NETLINK_ROUTE, answer)
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			break
		}
	}
	return messages, err
}

func (k *linux) ifaces() ([]iface, error) {
	messages, err := k.rt.dump(unix.RTM_GETLINK, unix.RTM_NEWLINK, nl.NewIfInfomsg(unix.AF_UNSPEC))
	if err != nil {
		return nil, fmt.Errorf("interfaces: %w", err)
	}
	list := make([]iface, 0, len(messages))
	for _, m := range messages {
		if i, ok := parseIface(m); ok {
			i.driver = driver(k.sys, i.name)
			list = append(list, i)
		}
	}
	return list, nil
}

// parseIface reads an RTM_NEWLINK: all of an iface but its driver. false: it is
// none.
func parseIface(m []byte) (iface, bool) {
	if len(m) < unix.SizeofIfInfomsg {
		return iface{}, false
	}
	head := nl.DeserializeIfInfomsg(m)
	i := iface{
		index:    int(head.Index),
		up:       head.Flags&unix.IFF_UP != 0,
		carrier:  head.Flags&lit == lit,
		loopback: head.Flags&unix.IFF_LOOPBACK != 0,
	}
	for what, v := range attributes(m[unix.SizeofIfInfomsg:]) {
		switch {
		case what == unix.IFLA_IFNAME:
			i.name = unix.ByteSliceToString(v)
		case what == unix.IFLA_ADDRESS && len(bytes.Trim(v, "\x00")) > 0: // that of lo is all zero: none
			i.mac = slices.Clone(v)
		case what == unix.IFLA_MTU && len(v) == 4:
			i.mtu = int(binary.NativeEndian.Uint32(v))
		case what == unix.IFLA_MASTER && len(v) == 4:
			i.port = binary.NativeEndian.Uint32(v) != 0
		}
	}
	return i, true
}

// attributes are the types and values of b, rtnetlink(7); what is cut off is
// none.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			n := int(binary.NativeEndian.Uint16(b))
			if n < unix.SizeofRtAttr || n > len(b) || !yield(binary.NativeEndian.Uint16(b[2:]), b[unix.SizeofRtAttr:n]) {
				return
			}
			b = b[min((n+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1), len(b)):]
		}
	}
}

// byIndex is the head of a message about an interface.
func byIndex(index int) *nl.IfInfomsg {
	head := nl.NewIfInfomsg(unix.AF_UNSPEC)
	head.Index = int32(index)
	return head
}

func (r rtnetlink) up(index int) error {
	head := byIndex(index)
	head.Flags, head.Change = unix.IFF_UP, unix.IFF_UP
	return r.change(unix.RTM_NEWLINK, 0, head)
}

func (k *linux) up(index int) error { return k.rt.up(index) }

func (k *linux) setMTU(index, mtu int) error {
	return k.rt.change(unix.RTM_SETLINK, 0, byIndex(index), nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu))))
}

func (k *linux) hasAddr(index int, a netip.Addr) bool {
	messages, _ := k.rt.dump(unix.RTM_GETADDR, unix.RTM_NEWADDR, nl.NewIfAddrmsg(unix.AF_INET))
	for _, m := range messages {
		if len(m) < unix.SizeofIfAddrmsg || int(nl.DeserializeIfAddrmsg(m).Index) != index {
			continue
		}
		for what, v := range attributes(m[unix.SizeofIfAddrmsg:]) {
			if what == unix.IFA_LOCAL && bytes.Equal(v, a.AsSlice()) {
				return true
			}
		}
	}
	return false
}

// address asks for a change of p, which the kernel lets go after left.
func (r rtnetlink) address(op, flags, index int, p netip.Prefix, left time.Duration) error {
	head := nl.NewIfAddrmsg(unix.AF_INET)
	head.Index, head.Prefixlen = uint32(index), uint8(p.Bits())
	// The kernel counts whole seconds, and up to 20 ms too fast: without a
	// margin it would be first, before the last tries to renew. Its for ever is
	// ours, 0xffffffff.
	seconds := uint32(min(left+lifeMargin, forever) / time.Second)
	life := nl.IfaCacheInfo{IfaCacheinfo: unix.IfaCacheinfo{Valid: seconds, Prefered: seconds}}
	attrs := []*nl.RtAttr{
		nl.NewRtAttr(unix.IFA_LOCAL, p.Addr().AsSlice()),
		nl.NewRtAttr(unix.IFA_ADDRESS, p.Addr().AsSlice()),
		nl.NewRtAttr(unix.IFA_CACHEINFO, life.Serialize()),
	}
	if p.Bits() < 31 { // RFC 3021
		attrs = append(attrs, nl.NewRtAttr(unix.IFA_BROADCAST, broadcastOf(p).AsSlice()))
	}
	return r.change(op, flags, head, attrs...)
}

func (k *linux) addAddr(i iface, p netip.Prefix, left time.Duration) error {
	// Else the kernel takes what others add to the same network away with ours
	// (ip-sysctl: promote_secondaries). Where /proc/sys cannot be written, it does.
	_ = os.WriteFile(filepath.Join("/proc/sys/net/ipv4/conf", i.name, "promote_secondaries"), []byte("1"), 0)
	return k.rt.address(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, i.index, p, left)
}

func (k *linux) delAddr(index int, p netip.Prefix) error {
	return gone(k.rt.address(unix.RTM_DELADDR, 0, index, p, forever), unix.EADDRNOTAVAIL)
}

// route asks for a change of to, through the interface index.
func (r rtnetlink) route(op, flags, index int, to installed) error {
	head := nl.NewRtMsg() // unicast, of the table main
	head.Family, head.Protocol, head.Dst_len = unix.AF_INET, protoDHCP, uint8(to.To.Bits())
	attrs := []*nl.RtAttr{
		nl.NewRtAttr(unix.RTA_DST, to.To.Addr().AsSlice()),
		nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(index))),
		nl.NewRtAttr(unix.RTA_PRIORITY, nl.Uint32Attr(uint32(to.Metric))),
	}
	if to.Source.IsValid() {
		attrs = append(attrs, nl.NewRtAttr(unix.RTA_PREFSRC, to.Source.AsSlice()))
	}
	if to.Via.IsUnspecified() {
		head.Scope = unix.RT_SCOPE_LINK
	} else {
		attrs = append(attrs, nl.NewRtAttr(unix.RTA_GATEWAY, to.Via.AsSlice()))
		if to.Onlink {
			head.Flags = unix.RTNH_F_ONLINK
		}
	}
	return r.change(op, flags, head, attrs...)
}

func (k *linux) addRoute(index int, r installed) error {
	return k.rt.route(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, index, r)
}

func (k *linux) delRoute(index int, r installed) error {
	return gone(k.rt.route(unix.RTM_DELROUTE, 0, index, r), unix.ESRCH)
}

// gone is err, unless it says that what was to be removed is not there: the
// kernel takes routes away with their address, addresses with their interface.
func gone(err error, was error) error {
	if errors.Is(err, was) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// Lo brings the loopback interface up; the kernel gives it 127.0.0.1/8, and
// ::1/128 once it knows IPv6.
func Lo() error {
	rt, err := newRtnetlink()
	if err != nil {
		return fmt.Errorf("lo: %w", err)
	}
	defer rt.close()
	if err := rt.up(1); err != nil { // LOOPBACK_IFINDEX
		return fmt.Errorf("lo: %w", err)
	}
	return nil
}
