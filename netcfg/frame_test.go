package netcfg

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"
)

// toUs is frame's packet as if a server had sent it.
func toUs(payload []byte) []byte {
	b := frame(payload, netip.MustParseAddr("192.168.1.1"))
	binary.BigEndian.PutUint16(b[20:], 67)
	binary.BigEndian.PutUint16(b[22:], 68)
	return b
}

func TestFrame(t *testing.T) {
	b := frame([]byte("abc"), netip.Addr{})
	// 0.0.0.0:68 > 255.255.255.255:67; checksums by hand: both sums are ffff.
	if sum(b[:20], 0) != 0xffff {
		t.Errorf("header checksum of %s", hex.EncodeToString(b))
	}
	if sum(b[20:], uint32(sum(b[12:20], 0))+17+11) != 0xffff {
		t.Errorf("udp checksum of %s", hex.EncodeToString(b))
	}
	if got := hex.EncodeToString(b[:10]) + " " + hex.EncodeToString(b[12:26]); got !=
		"4500001f000000004011 00000000ffffffff00440043000b" {
		t.Error(got)
	}
}

func TestUnframeAndFilter(t *testing.T) {
	vm, err := bpf.NewVM(toClient)
	if err != nil {
		t.Fatal(err)
	}
	good := toUs([]byte("payload"))
	edit := func(f func(b []byte)) []byte {
		b := bytes.Clone(good)
		f(b)
		return b
	}
	withOptions := append(append([]byte{0x46}, good[1:20]...), append([]byte{1, 1, 1, 1}, good[20:]...)...)
	binary.BigEndian.PutUint16(withOptions[2:], uint16(len(withOptions)))
	for _, c := range []struct {
		name           string
		b              []byte
		filter, parsed bool
	}{
		{"good", good, true, true},
		{"with IP options", withOptions, true, true},
		{"with padding", append(bytes.Clone(good), 0, 0, 0), true, true},
		{"another port", edit(func(b []byte) { b[23] = 69 }), false, false},
		{"tcp", edit(func(b []byte) { b[9] = 6 }), false, false},
		{"first of fragments", edit(func(b []byte) { b[6] = 0x20 }), false, true},
		{"a later fragment", edit(func(b []byte) { b[7] = 1 }), false, true},
		{"don't fragment", edit(func(b []byte) { b[6] = 0x40 }), true, true},
		{"cut short", good[:25], true, false},
		{"header only", good[:20], false, false},
		{"nothing", nil, false, false},
		{"udp length too long", edit(func(b []byte) { b[25] = 200 }), true, false},
		{"udp length too short", edit(func(b []byte) { b[25] = 7 }), true, false},
		{"header length 4", edit(func(b []byte) { b[0] = 0x41 }), false, false},
	} {
		n, err := vm.Run(c.b)
		if (err == nil && n > 0) != c.filter {
			t.Errorf("%s: filter %d, %v; want %v", c.name, n, err, c.filter)
		}
		if p, ok := unframe(c.b); ok != c.parsed || ok && string(p) != "payload" {
			t.Errorf("%s: %q, %v; want %v", c.name, p, ok, c.parsed)
		}
	}
}

func FuzzUnframe(f *testing.F) {
	f.Add(toUs([]byte("payload")))
	f.Add([]byte{0x4f})
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := unframe(b); ok && len(p) > len(b)-ipHeader-udpHeader {
			t.Fatalf("%d bytes out of %d", len(p), len(b))
		}
	})
}
