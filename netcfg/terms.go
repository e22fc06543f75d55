package netcfg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

// terms are what a server offers or grants, checked: nothing in them can harm
// a route table or a resolv.conf, whoever sent them.
type terms struct {
	Addr     netip.Prefix  `json:"addr"` // the address with its prefix length
	Server   netip.Addr    `json:"server"`
	Lease    time.Duration `json:"lease"` // forever: without end
	T1       time.Duration `json:"t1,omitempty"`
	T2       time.Duration `json:"t2,omitempty"`
	Routes   []route       `json:"routes,omitempty"` // option 121, else 3
	DNS      []netip.Addr  `json:"dns,omitempty"`
	Search   []string      `json:"search,omitempty"` // option 119, else 15
	NTP      []netip.Addr  `json:"ntp,omitempty"`    // for whoever reads the lease file
	MTU      int           `json:"mtu,omitempty"`
	Hostname string        `json:"hostname,omitempty"`
}

// route leads to To through Via; an unspecified Via means on the link itself.
type route struct {
	To  netip.Prefix `json:"to"`
	Via netip.Addr   `json:"via"`
}

// isDefault says whether the route leads everywhere.
func (r route) isDefault() bool { return r.To.Bits() == 0 }

// What is kept of a list; a packet can name more, no machine needs them.
const (
	mostRoutes = 64
	mostDNS    = 3 // MAXNS of resolv.conf(5)
	mostSearch = 6
	mostNTP    = 4
	leastMTU   = 576 // RFC 2132 5.1 says 68; below 576 nothing works
	mostMTU    = 65535
)

// replyKind is what a server said.
type replyKind uint8

const (
	offered replyKind = iota + 1
	acked
	refused // DHCPNAK
)

// reply is a packet of a server.
type reply struct {
	kind   replyKind
	xid    uint32
	server netip.Addr
	terms  terms // unless refused
}

// errNotOurs: a well-formed packet for somebody else.
var errNotOurs = errors.New("not for us")

// parseReply reads a DHCP packet that is meant for mac. Errors other than
// errNotOurs name what is wrong with an answer to us.
func parseReply(b []byte, mac net.HardwareAddr) (reply, error) {
	p, err := dhcpv4.FromBytes(b)
	if err != nil || p.OpCode != dhcpv4.OpcodeBootReply || string(p.ClientHWAddr) != string(mac) {
		return reply{}, errNotOurs
	}
	r := reply{xid: binary.BigEndian.Uint32(p.TransactionID[:])}
	kind := p.Options[optMessageType]
	if len(kind) != 1 {
		return reply{}, errNotOurs
	}
	switch dhcpv4.MessageType(kind[0]) {
	case dhcpv4.MessageTypeOffer:
		r.kind = offered
	case dhcpv4.MessageTypeAck:
		r.kind = acked
	case dhcpv4.MessageTypeNak:
		r.kind = refused
	default:
		return reply{}, errNotOurs
	}
	server := p.Options[optServer]
	r.server, _ = netip.AddrFromSlice(server)
	if !host(r.server) {
		return reply{}, fmt.Errorf("answer without a server: identifier %v", server)
	}
	if r.kind == refused {
		return r, nil
	}
	r.terms, err = parseTerms(p)
	r.terms.Server = r.server
	if err != nil {
		return reply{}, fmt.Errorf("answer of %s: %w", r.server, err)
	}
	return r, nil
}

// parseTerms reads the lease in p. A wrong address, mask or lease time is an
// error; of anything else what is wrong is left out.
func parseTerms(p *dhcpv4.DHCPv4) (terms, error) {
	var t terms
	o := p.Options
	addr, ok := netip.AddrFromSlice(p.YourIPAddr.To4())
	if !ok || !host(addr) {
		return t, fmt.Errorf("address %v is no address of a host", p.YourIPAddr)
	}
	bits, err := prefixLength(addr, o[optMask])
	if err != nil {
		return t, err
	}
	t.Addr = netip.PrefixFrom(addr, bits)
	if bits < 31 && (addr == t.Addr.Masked().Addr() || addr == broadcastOf(t.Addr)) {
		return t, fmt.Errorf("address %s is the network itself or its broadcast", t.Addr)
	}
	t.Lease = seconds(o, optLease)
	if t.Lease == 0 {
		return t, errors.New("no lease time")
	}
	t.T1 = seconds(o, optT1)
	t.T2 = seconds(o, optT2)
	t.Routes = routes(o, addr)
	t.DNS = hosts(o, optDNS, mostDNS)
	t.NTP = hosts(o, optNTP, mostNTP)
	t.Search = search(o)
	if b := o[optMTU]; len(b) == 2 {
		if mtu := int(binary.BigEndian.Uint16(b)); mtu >= leastMTU && mtu <= mostMTU {
			t.MTU = mtu
		}
	}
	if name := text(o[optHostname]); isName(name) && len(name) <= 64 {
		t.Hostname = name
	}
	return t, nil
}

// host says whether a can be the address of one machine on a network.
func host(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && a.As4()[0] < 240 && a.As4()[0] != 0
}

// prefixLength is the length of mask; without one, that of the address's
// class. A mask with holes or of no bits is an error.
func prefixLength(addr netip.Addr, mask []byte) (int, error) {
	if mask == nil {
		ones, _ := net.IP(addr.AsSlice()).DefaultMask().Size()
		return ones, nil
	}
	ones, bits := net.IPMask(mask).Size()
	if bits != 32 || ones == 0 {
		return 0, fmt.Errorf("subnet mask %v is none", mask)
	}
	return ones, nil
}

func broadcastOf(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	v := binary.BigEndian.Uint32(a[:]) | (1<<(32-p.Bits()) - 1)
	binary.BigEndian.PutUint32(a[:], v)
	return netip.AddrFrom4(a)
}

// seconds reads an option of seconds; 0 if there is none.
func seconds(o dhcpv4.Options, code uint8) time.Duration {
	b := o[code]
	if len(b) != 4 {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Second
}

// hosts reads an option of addresses.
func hosts(o dhcpv4.Options, code uint8, most int) []netip.Addr {
	var as []netip.Addr
	for b := o[code]; len(b) >= 4 && len(as) < most; b = b[4:] {
		if a := netip.AddrFrom4([4]byte(b)); host(a) {
			as = append(as, a)
		}
	}
	return as
}

// routes are those of option 121 if it is there and sound: then the routers
// of option 3 are ignored, RFC 3442. Of those the first is the default route.
func routes(o dhcpv4.Options, self netip.Addr) []route {
	if b := o[optClassless]; b != nil {
		if rs, ok := classless(b, self); ok {
			return rs
		}
	}
	for _, via := range hosts(o, optRouter, mostRoutes) {
		if via != self {
			return []route{{netip.PrefixFrom(netip.IPv4Unspecified(), 0), via}}
		}
	}
	return nil
}

// classless reads RFC 3442's list: prefix length, as many octets of the
// destination as it covers, router. It is sound as a whole or not at all.
func classless(b []byte, self netip.Addr) ([]route, bool) {
	var rs []route
	seen := map[netip.Prefix]bool{}
	for len(b) > 0 {
		bits := int(b[0])
		n := (bits + 7) / 8
		if bits > 32 || len(b) < 1+n+4 {
			return nil, false
		}
		var to [4]byte
		copy(to[:], b[1:1+n])
		r := route{netip.PrefixFrom(netip.AddrFrom4(to), bits).Masked(), netip.AddrFrom4([4]byte(b[1+n:]))}
		b = b[1+n+4:]
		if (!host(r.Via) && !r.Via.IsUnspecified()) || r.Via == self || seen[r.To] {
			continue
		}
		if r.To.Addr().IsLoopback() || r.To.Addr().IsMulticast() {
			continue
		}
		if seen[r.To] = true; len(rs) < mostRoutes {
			rs = append(rs, r)
		}
	}
	return rs, true
}

// search is the list of option 119, else the domain of option 15 (in which
// some servers put several, with spaces between).
func search(o dhcpv4.Options) []string {
	var names []string
	if b := o[optSearch]; b != nil {
		if l, err := rfc1035label.FromBytes(b); err == nil {
			names = l.Labels
		}
	}
	if names == nil {
		names = strings.Split(text(o[optDomain]), " ")
		if slices.ContainsFunc(names, func(n string) bool { return strings.ContainsFunc(n, unicode.IsControl) }) {
			return nil // no slip: somebody tries to write lines of his own
		}
	}
	var good []string
	for _, n := range names {
		if n = strings.TrimSuffix(n, "."); isName(n) && len(good) < mostSearch {
			good = append(good, n)
		}
	}
	return good
}

// text is an option's string; some servers end it with zeros.
func text(b []byte) string { return strings.TrimRight(string(b), "\x00") }

// isName says whether s is a domain name of letters, digits, '-' and '_', RFC
// 1123 2.1: the only strings of a server that leave this package.
func isName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

// asked are the options that a server is asked for, option 55.
var asked = []byte{
	optMask, optRouter, optDNS, optHostname, optDomain, optMTU, optBroadcast, optNTP, optLease,
	optServer, optT1, optT2, optSearch, optClassless,
}

// maxMessage is what we take, option 57: a whole Ethernet frame.
const maxMessage = 1500

// The options, as plain numbers: a dhcpv4.OptionCode knows its name, and brings
// all names there are into /init.
const (
	optMask        = uint8(dhcpv4.OptionSubnetMask)
	optRouter      = uint8(dhcpv4.OptionRouter)
	optDNS         = uint8(dhcpv4.OptionDomainNameServer)
	optHostname    = uint8(dhcpv4.OptionHostName)
	optDomain      = uint8(dhcpv4.OptionDomainName)
	optMTU         = uint8(dhcpv4.OptionInterfaceMTU)
	optBroadcast   = uint8(dhcpv4.OptionBroadcastAddress)
	optNTP         = uint8(dhcpv4.OptionNTPServers)
	optAddr        = uint8(dhcpv4.OptionRequestedIPAddress)
	optLease       = uint8(dhcpv4.OptionIPAddressLeaseTime)
	optMessageType = uint8(dhcpv4.OptionDHCPMessageType)
	optServer      = uint8(dhcpv4.OptionServerIdentifier)
	optAsked       = uint8(dhcpv4.OptionParameterRequestList)
	optMaxSize     = uint8(dhcpv4.OptionMaximumDHCPMessageSize)
	optT1          = uint8(dhcpv4.OptionRenewTimeValue)
	optT2          = uint8(dhcpv4.OptionRebindingTimeValue)
	optClient      = uint8(dhcpv4.OptionClientIdentifier)
	optSearch      = uint8(dhcpv4.OptionDNSDomainSearchList)
	optClassless   = uint8(dhcpv4.OptionClasslessStaticRoute)
)

// bytes is the DHCP packet of m from the interface with mac. The client
// identifier is hardware type and MAC, as everybody's: a reservation made for
// any other system on this machine holds. hostname may be empty.
func (m message) bytes(mac net.HardwareAddr, hostname string) []byte {
	p := &dhcpv4.DHCPv4{
		OpCode:       dhcpv4.OpcodeBootRequest,
		HWType:       iana.HWTypeEthernet,
		NumSeconds:   m.secs,
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero,
		ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero,
		ClientHWAddr: mac,
		Options: dhcpv4.Options{
			optMessageType: {byte(dhcpv4.MessageTypeRequest)},
			optClient:      append([]byte{byte(iana.HWTypeEthernet)}, mac...),
			optMaxSize:     {maxMessage >> 8, maxMessage & 0xff},
			optAsked:       asked,
		},
	}
	binary.BigEndian.PutUint32(p.TransactionID[:], m.xid)
	if m.discover {
		p.Options[optMessageType][0] = byte(dhcpv4.MessageTypeDiscover)
	}
	if hostname != "" {
		p.Options[optHostname] = []byte(hostname)
	}
	if m.ciaddr.IsValid() {
		p.ClientIPAddr = m.ciaddr.AsSlice()
	}
	if m.ask.IsValid() {
		p.Options[optAddr] = m.ask.AsSlice()
	}
	if m.server.IsValid() {
		p.Options[optServer] = m.server.AsSlice()
	}
	return p.ToBytes()
}
