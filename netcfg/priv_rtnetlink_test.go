//go:build priv

package netcfg

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sort"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// addBridge gives the index of a bridge; 0 where the kernel knows none.
func addBridge(t *testing.T, name string) int {
	t.Helper()
	b := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
	b.Name = name
	err := netlink.LinkAdd(b)
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Log("this kernel has no bridges: their ports are not compared")
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(b) })
	return b.Index
}

// Interfaces, addresses and routes are the same to rtnetlink.go and to package
// netlink.
func TestAsPackageNetlink(t *testing.T) {
	lay(t, "lan11")
	k, err := newLinux(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer k.rt.close()
	port := netlink.NewLinkAttrs()
	port.Name, port.MasterIndex = "port11", addBridge(t, "br11")
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: port, PeerName: "peer11"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(&netlink.Veth{LinkAttrs: port}) })
	lan := must(netlink.LinkByName("lan11"))
	index := lan.Attrs().Index
	if err := k.up(index); err != nil {
		t.Fatal(err)
	}
	if err := k.setMTU(index, 1400); err != nil {
		t.Fatal(err)
	}

	var theirs, ours []iface
	// A carrier comes a moment after both ends are up.
	within(t, "the same interfaces", func() bool {
		theirs = nil
		for _, l := range must(netlink.LinkList()) {
			a := l.Attrs()
			theirs = append(theirs, iface{
				index: a.Index, name: a.Name, mac: a.HardwareAddr, mtu: a.MTU,
				up: a.RawFlags&unix.IFF_UP != 0, carrier: a.RawFlags&lit == lit,
				loopback: a.RawFlags&unix.IFF_LOOPBACK != 0, port: a.MasterIndex != 0,
			})
		}
		ours = must(k.ifaces())
		byOrder(theirs)
		byOrder(ours)
		return cmp.Equal(theirs, ours, cmp.AllowUnexported(iface{}))
	})
	at := sort.Search(len(ours), func(i int) bool { return ours[i].index >= index })
	if i := ours[at]; len(ours) < 4 || i.name != "lan11" || i.mtu != 1400 || !i.up {
		t.Errorf("interfaces %+v", ours)
	}

	p := netip.MustParsePrefix("10.11.0.5/24")
	if err := k.addAddr(iface{index: index, name: "lan11"}, p, time.Hour); err != nil {
		t.Fatal(err)
	}
	as := must(netlink.AddrList(lan, netlink.FAMILY_V4))
	if len(as) != 1 || as[0].IPNet.String() != p.String() || as[0].Peer != nil || as[0].Label != "lan11" ||
		as[0].Broadcast.String() != "10.11.0.255" || as[0].Scope != 0 || as[0].ValidLft != 3602 || as[0].PreferedLft != 3602 {
		t.Errorf("addresses %+v", as)
	}
	if !k.hasAddr(index, p.Addr()) || k.hasAddr(index, p.Addr().Next()) || k.hasAddr(index+1, p.Addr()) {
		t.Error("hasAddr")
	}

	// What we put, package netlink takes away, and the other way round.
	both := []struct {
		ours   installed
		theirs netlink.Route
	}{
		{installed{route{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("10.11.0.1")}, p.Addr(), 100, false},
			netlink.Route{Gw: net.IPv4(10, 11, 0, 1)}},
		{installed{route{netip.MustParsePrefix("10.50.0.0/16"), netip.MustParseAddr("10.99.0.1")}, p.Addr(), 100, true},
			netlink.Route{Gw: net.IPv4(10, 99, 0, 1), Flags: int(netlink.FLAG_ONLINK)}},
		{installed{route{netip.MustParsePrefix("169.254.1.1/32"), netip.IPv4Unspecified()}, p.Addr(), 100, false},
			netlink.Route{Scope: netlink.SCOPE_LINK}},
	}
	routes := func() []netlink.Route {
		of := &netlink.Route{LinkIndex: index, Protocol: protoDHCP}
		return must(netlink.RouteListFiltered(netlink.FAMILY_V4, of, netlink.RT_FILTER_OIF|netlink.RT_FILTER_PROTOCOL))
	}
	for _, b := range both {
		to := b.theirs
		to.LinkIndex, to.Protocol, to.Priority, to.Family = index, protoDHCP, 100, netlink.FAMILY_V4
		to.Src = net.IP(p.Addr().AsSlice())
		to.Dst = &net.IPNet{IP: b.ours.To.Addr().AsSlice(), Mask: net.CIDRMask(b.ours.To.Bits(), 32)}
		if err := k.addRoute(index, b.ours); err != nil {
			t.Fatal(err)
		}
		mine := fmt.Sprintf("%+v", routes())
		if err := netlink.RouteDel(&to); err != nil {
			t.Errorf("%v: package netlink does not find %s", err, mine)
		}
		if err := netlink.RouteAdd(&to); err != nil {
			t.Fatal(err)
		}
		if its := fmt.Sprintf("%+v", routes()); its != mine {
			t.Errorf("ours    %s\ntheirs %s", mine, its)
		}
		if err := k.rt.route(unix.RTM_DELROUTE, 0, index, b.ours); err != nil {
			t.Errorf("the route of package netlink stays: %v", err)
		}
		if left := routes(); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	}
	if err := k.delAddr(index, p); err != nil {
		t.Error(err)
	}
	bare(t, "lan11")
}
