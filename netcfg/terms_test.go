package netcfg

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

var (
	mac1   = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	sameIP = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	sameP  = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	inside = cmp.AllowUnexported(route{}, installed{})
)

// packetOf builds an answer: a good lease, changed by options (nil removes).
func packetOf(kind dhcpv4.MessageType, addr string, options map[uint8][]byte) []byte {
	p := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: 1, TransactionID: dhcpv4.TransactionID{0, 0, 0, 42},
		ClientHWAddr: mac1, YourIPAddr: net.ParseIP(addr).To4(),
		ClientIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero,
		Options: dhcpv4.Options{
			1:  {255, 255, 255, 0},
			51: {0, 0, 0x0e, 0x10},
			53: {byte(kind)},
			54: {192, 168, 1, 1},
		},
	}
	for code, v := range options {
		if v == nil {
			delete(p.Options, code)
		} else {
			p.Options[code] = v
		}
	}
	return p.ToBytes()
}

func TestReply(t *testing.T) {
	type o = map[uint8][]byte
	hour := terms{Addr: netip.MustParsePrefix("192.168.1.7/24"), Server: server1, Lease: time.Hour}
	with := func(f func(*terms)) terms { t := hour; f(&t); return t }
	via := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	to := func(s string) netip.Prefix { return netip.MustParsePrefix(s) }
	for _, c := range []struct {
		name string
		addr string
		o    o
		want terms
		err  string
	}{
		{"plain", "192.168.1.7", o{}, hour, ""},
		{"everything", "192.168.1.7", o{
			3: {192, 168, 1, 254, 192, 168, 1, 253}, 6: {1, 1, 1, 1, 8, 8, 8, 8}, 12: []byte("nas\x00"),
			15: []byte("lan"), 26: {0x05, 0x78}, 42: {192, 168, 1, 3}, 58: {0, 0, 0, 10}, 59: {0, 0, 0, 20},
		}, with(func(t *terms) {
			t.Routes = []route{{to("0.0.0.0/0"), router1}}
			t.DNS = []netip.Addr{via("1.1.1.1"), via("8.8.8.8")}
			t.Hostname, t.Search, t.MTU = "nas", []string{"lan"}, 1400
			t.NTP = []netip.Addr{via("192.168.1.3")}
			t.T1, t.T2 = 10*time.Second, 20*time.Second
		}), ""},
		{"121 beats 3", "192.168.1.7", o{3: {192, 168, 1, 254}, 121: {8, 10, 192, 168, 1, 9, 0, 192, 168, 1, 8}},
			with(func(t *terms) {
				t.Routes = []route{{to("10.0.0.0/8"), via("192.168.1.9")}, {to("0.0.0.0/0"), via("192.168.1.8")}}
			}), ""},
		{"121 on the link", "192.168.1.7", o{121: {32, 169, 254, 1, 1, 0, 0, 0, 0}},
			with(func(t *terms) { t.Routes = []route{{to("169.254.1.1/32"), via("0.0.0.0")}} }), ""},
		{"121 cut short: 3 counts", "192.168.1.7", o{3: {192, 168, 1, 254}, 121: {24, 10, 0, 0, 192, 168}},
			with(func(t *terms) { t.Routes = []route{{to("0.0.0.0/0"), router1}} }), ""},
		{"121 with 33 bits: 3 counts", "192.168.1.7", o{3: {192, 168, 1, 254}, 121: {33, 10, 0, 0, 0, 0, 192, 168, 1, 1}},
			with(func(t *terms) { t.Routes = []route{{to("0.0.0.0/0"), router1}} }), ""},
		{"121 twice, to loopback, through ourselves", "192.168.1.7", o{121: {
			8, 10, 192, 168, 1, 9, 8, 10, 192, 168, 1, 8, 8, 127, 192, 168, 1, 9, 8, 11, 192, 168, 1, 7, 8, 12, 224, 0, 0, 1}},
			with(func(t *terms) { t.Routes = []route{{to("10.0.0.0/8"), via("192.168.1.9")}} }), ""},
		{"router that is no host", "192.168.1.7", o{3: {0, 0, 0, 0, 255, 255, 255, 255, 127, 0, 0, 1, 192, 168, 1, 7}}, hour, ""},
		{"name servers that are none", "192.168.1.7", o{6: {0, 0, 0, 0, 224, 0, 0, 1, 255, 255, 255, 255, 9, 9, 9}}, hour, ""},
		{"four name servers", "192.168.1.7", o{6: {1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4}},
			with(func(t *terms) { t.DNS = []netip.Addr{via("1.1.1.1"), via("2.2.2.2"), via("3.3.3.3")} }), ""},
		{"names with line breaks", "192.168.1.7", o{12: []byte("a\nb"), 15: []byte("lan\nnameserver 6.6.6.6")}, hour, ""},
		{"domain with spaces", "192.168.1.7", o{15: []byte("a.lan b.lan. -bad .")},
			with(func(t *terms) { t.Search = []string{"a.lan", "b.lan"} }), ""},
		{"search list", "192.168.1.7", o{15: []byte("other"), 119: []byte("\x03eng\x05apple\x03com\x00\x04mark\xc0\x04")},
			with(func(t *terms) { t.Search = []string{"eng.apple.com", "mark.apple.com"} }), ""},
		{"search list with a line break", "192.168.1.7", o{119: []byte("\x05a\nb c\x00\x03lan\x00")},
			with(func(t *terms) { t.Search = []string{"lan"} }), ""},
		{"search list that points at itself", "192.168.1.7", o{119: []byte("\xc0\x00")}, hour, ""},
		{"a long name", "192.168.1.7", o{12: []byte(strings.Repeat("a", 64)), 15: []byte(strings.Repeat("abc.", 80) + "x")}, hour, ""},
		{"mtu too small", "192.168.1.7", o{26: {0, 68}}, hour, ""},
		{"mtu of three bytes", "192.168.1.7", o{26: {0, 5, 220}}, hour, ""},
		{"no mask: the class", "10.0.0.5", o{1: nil}, with(func(t *terms) { t.Addr = to("10.0.0.5/8") }), ""},
		{"a cloud's /32", "10.0.0.5", o{1: {255, 255, 255, 255}}, with(func(t *terms) { t.Addr = to("10.0.0.5/32") }), ""},
		{"lease without end", "192.168.1.7", o{51: {255, 255, 255, 255}}, with(func(t *terms) { t.Lease = forever }), ""},

		{"mask of no bits", "192.168.1.7", o{1: {0, 0, 0, 0}}, hour, "answer of 192.168.1.1: subnet mask [0 0 0 0] is none"},
		{"mask with a hole", "192.168.1.7", o{1: {255, 0, 255, 0}}, hour, "answer of 192.168.1.1: subnet mask [255 0 255 0] is none"},
		{"mask of five bytes", "192.168.1.7", o{1: {255, 255, 255, 255, 128}}, hour, "answer of 192.168.1.1: subnet mask [255 255 255 255 128] is none"},
		{"lease of no time", "192.168.1.7", o{51: {0, 0, 0, 0}}, hour, "answer of 192.168.1.1: no lease time"},
		{"no lease", "192.168.1.7", o{51: nil}, hour, "answer of 192.168.1.1: no lease time"},
		{"no address", "0.0.0.0", o{}, hour, "answer of 192.168.1.1: address 0.0.0.0 is no address of a host"},
		{"loopback", "127.0.0.1", o{}, hour, "answer of 192.168.1.1: address 127.0.0.1 is no address of a host"},
		{"multicast", "224.0.0.9", o{}, hour, "answer of 192.168.1.1: address 224.0.0.9 is no address of a host"},
		{"broadcast", "192.168.1.255", o{}, hour, "answer of 192.168.1.1: address 192.168.1.255/24 is the network itself or its broadcast"},
		{"network", "192.168.1.0", o{}, hour, "answer of 192.168.1.1: address 192.168.1.0/24 is the network itself or its broadcast"},
		{"no server", "192.168.1.7", o{54: nil}, hour, "answer without a server: identifier []"},
		{"server of three bytes", "192.168.1.7", o{54: {1, 2, 3}}, hour, "answer without a server: identifier [1 2 3]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := parseReply(packetOf(dhcpv4.MessageTypeAck, c.addr, c.o), mac1)
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Fatalf("error %v, want %s", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(reply{acked, 42, server1, c.want}, r, sameIP, sameP, inside, cmp.AllowUnexported(reply{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestRepliesForOthers(t *testing.T) {
	good := packetOf(dhcpv4.MessageTypeOffer, "192.168.1.7", nil)
	other := append([]byte(nil), good...)
	other[28]++ // chaddr
	request := append([]byte(nil), good...)
	request[0] = 1
	for name, b := range map[string][]byte{
		"another MAC": other, "a request": request, "nothing": nil, "cut short": good[:200],
		"inform": packetOf(dhcpv4.MessageTypeInform, "192.168.1.7", nil),
		"bootp":  packetOf(dhcpv4.MessageTypeOffer, "192.168.1.7", map[uint8][]byte{53: nil}),
	} {
		if _, err := parseReply(b, mac1); !errors.Is(err, errNotOurs) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r, err := parseReply(packetOf(dhcpv4.MessageTypeNak, "0.0.0.0", map[uint8][]byte{51: nil, 1: nil}), mac1); err != nil || r.kind != refused {
		t.Errorf("nak: %+v, %v", r, err)
	}
}

// No server, however malicious, gets anything but names and addresses into
// resolv.conf, and no route or address that the kernel could choke on.
func FuzzReply(f *testing.F) {
	f.Add(packetOf(dhcpv4.MessageTypeOffer, "192.168.1.7", map[uint8][]byte{3: {192, 168, 1, 254}, 6: {1, 1, 1, 1}, 12: []byte("a\nb"), 15: []byte("lan\nx")}))
	f.Add(packetOf(dhcpv4.MessageTypeAck, "10.0.0.5", map[uint8][]byte{121: {8, 10, 192, 168, 1, 9, 0, 192, 168, 1, 8}, 119: []byte("\x03eng\x05apple\x03com\x00\x04mark\xc0\x04")}))
	f.Add(packetOf(dhcpv4.MessageTypeNak, "0.0.0.0", nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseReply(b, mac1)
		if err != nil || r.kind == refused {
			return
		}
		x := r.terms
		if !x.Addr.IsValid() || !x.Addr.Addr().Is4() || x.Addr.Bits() < 1 || x.Lease <= 0 || x.Lease > forever {
			t.Fatalf("%+v", x)
		}
		if h := hold(x, start); h.end != 0 && !(start <= h.t1 && h.t1 <= h.t2 && h.t2 <= h.end) {
			t.Fatalf("times out of order: %+v", h)
		}
		for _, p := range plan(x, 100).Routes {
			if !p.To.IsValid() || p.To != p.To.Masked() || !p.Via.Is4() {
				t.Fatalf("route %+v", p)
			}
		}
		if x.Hostname != "" && !isName(x.Hostname) {
			t.Fatalf("host name %q", x.Hostname)
		}
		checkResolv(t, resolvConf([]terms{x, x}))
		if x.MTU != 0 && x.MTU < leastMTU {
			t.Fatalf("mtu %d", x.MTU)
		}
	})
}

func TestMessage(t *testing.T) {
	m := message{xid: 42, secs: 3, ask: netip.MustParseAddr("192.168.1.7"), server: server1}
	p, err := dhcpv4.FromBytes(m.bytes(mac1, "nas"))
	if err != nil {
		t.Fatal(err)
	}
	if binary.BigEndian.Uint32(p.TransactionID[:]) != 42 || p.NumSeconds != 3 || p.IsBroadcast() || p.ClientHWAddr.String() != mac1.String() {
		t.Errorf("%v", p)
	}
	want := dhcpv4.Options{
		12: []byte("nas"), 50: {192, 168, 1, 7}, 53: {3}, 54: {192, 168, 1, 1},
		55: {1, 3, 6, 12, 15, 26, 28, 42, 51, 54, 58, 59, 119, 121},
		57: {1500 >> 8, 1500 & 255}, 61: append([]byte{1}, mac1...),
	}
	if d := cmp.Diff(want, p.Options); d != "" {
		t.Errorf("options (-want +got):\n%s", d)
	}
	m = message{discover: true, ciaddr: netip.MustParseAddr("192.168.1.7")}
	if p, err = dhcpv4.FromBytes(m.bytes(mac1, "")); err != nil || p.Options.Has(dhcpv4.OptionHostName) ||
		p.MessageType() != dhcpv4.MessageTypeDiscover || !p.ClientIPAddr.Equal(net.IPv4(192, 168, 1, 7)) {
		t.Errorf("%v, %v", p, err)
	}
}
