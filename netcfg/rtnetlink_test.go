package netcfg

import (
	"bytes"
	"encoding/hex"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wire is an RTM_NEWLINK of Linux 6.1, without most of its attributes: a veth
// called lan0, up, with a carrier, port of a bridge.
const wire = "00000100" + "07000000" + "43100100" + "00000000" + // ifinfomsg
	"0900" + "0300" + "6c616e3000" + "000000" + // IFLA_IFNAME
	"0800" + "0400" + "dc050000" + // IFLA_MTU
	"0800" + "0a00" + "03000000" + // IFLA_MASTER
	"0a00" + "0100" + "525400123456" // IFLA_ADDRESS, not padded

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseIface(t *testing.T) {
	b := unhex(t, wire)
	want := iface{index: 7, name: "lan0", mac: net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56},
		up: true, carrier: true, mtu: 1500, port: true}
	got, ok := parseIface(b)
	if d := cmp.Diff(want, got, cmp.AllowUnexported(iface{})); d != "" || !ok {
		t.Errorf("%v, (-want +got):\n%s", ok, d)
	}
	clear(b)
	if got.mac.String() != "52:54:00:12:34:56" {
		t.Error("the MAC lies in the message")
	}
	if _, ok := parseIface(b[:15]); ok {
		t.Error("half a head is an interface")
	}
}

// Attributes are those that are whole, wherever the message is cut.
func FuzzAttributes(f *testing.F) {
	whole := unhex(f, wire)
	for i := range whole {
		f.Add(whole[:i])
	}
	f.Add([]byte{3, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		parseIface(b)
		sum := 0
		for _, v := range attributes(b) {
			if sum += 4 + len(v); sum > len(b) {
				t.Fatal("more in the attributes than in the message")
			}
			if !bytes.Contains(b, v) {
				t.Fatal("an attribute of elsewhere")
			}
		}
	})
}
