package netcfg

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hoopy/unit"
)

func TestMatches(t *testing.T) {
	eth0 := iface{index: 2, name: "eth0", mac: mac1, driver: "virtio_net"}
	for _, c := range []struct {
		l     unit.LinkConfig
		i     iface
		match bool
		exact bool
	}{
		{unit.LinkConfig{MatchName: "eth0"}, eth0, true, true},
		{unit.LinkConfig{MatchName: "eth1"}, eth0, false, true},
		{unit.LinkConfig{MatchName: "e*"}, eth0, true, false},
		{unit.LinkConfig{MatchName: "e??0"}, eth0, true, false},
		{unit.LinkConfig{MatchName: "en*"}, eth0, false, false},
		{unit.LinkConfig{MatchName: "["}, eth0, false, false},
		{unit.LinkConfig{MatchMAC: "52:54:00:12:34:56"}, eth0, true, true},
		{unit.LinkConfig{MatchMAC: "52:54:00:12:34:57"}, eth0, false, true},
		{unit.LinkConfig{MatchDriver: "virtio_net"}, eth0, true, false},
		{unit.LinkConfig{MatchDriver: "e1000"}, eth0, false, false},
		{unit.LinkConfig{MatchName: "e*", MatchDriver: "e1000"}, eth0, false, false},
		{unit.LinkConfig{MatchName: "e*", MatchMAC: "52:54:00:12:34:56"}, eth0, true, true},
		{unit.LinkConfig{}, eth0, false, false},
		{unit.LinkConfig{MatchName: "*"}, iface{name: "lo", loopback: true}, false, false},
		{unit.LinkConfig{MatchName: "*"}, iface{name: "eth0", port: true}, false, false},
	} {
		if got := matches(&c.l, c.i); got != c.match {
			t.Errorf("%+v matches %s: %v", c.l, c.i.name, got)
		}
		if got := exact(&c.l); got != c.exact {
			t.Errorf("%+v exact: %v", c.l, got)
		}
	}
}

func TestNoMatchNamesWhatIsThere(t *testing.T) {
	l := &unit.LinkConfig{MatchMAC: "d0:50:99:c0:ff:ee", MatchDriver: "igb"}
	got := noMatch(l, []iface{{name: "lo", loopback: true}, {name: "eth0", mac: mac1, driver: "virtio_net"}, {name: "veth1", mac: net.HardwareAddr{2, 0, 0, 0, 0, 1}}})
	want := "no interface matches mac d0:50:99:c0:ff:ee, driver igb; present: eth0 52:54:00:12:34:56 (virtio_net), veth1 02:00:00:00:00:01"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := noMatch(&unit.LinkConfig{MatchName: "e*"}, nil); got != "no interface matches name e*; no interface is present" {
		t.Error(got)
	}
}

// A sysfs with a wired card, a wireless one, a bridge and lo.
func TestWiredAndDriver(t *testing.T) {
	sys := t.TempDir()
	lay := func(name, kind string, dirs ...string) {
		at := filepath.Join(sys, "class/net", name)
		for _, d := range append(dirs, "") {
			if err := os.MkdirAll(filepath.Join(at, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(at, "type"), []byte(kind+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	lay("lo", "772")
	lay("eth1", "1", "device")
	lay("eth0", "1", "device")
	lay("wlan0", "1", "device", "phy80211")
	lay("br0", "1", "bridge")
	if err := os.Symlink("../../../../bus/virtio/drivers/virtio_net", filepath.Join(sys, "class/net/eth0/device/driver")); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"eth0", "eth1"}, Wired(sys)); d != "" {
		t.Error(d)
	}
	if got := driver(sys, "eth0"); got != "virtio_net" {
		t.Errorf("driver %q", got)
	}
	if got := driver(sys, "br0"); got != "" {
		t.Errorf("driver %q", got)
	}
	if got := Wired(t.TempDir()); got != nil {
		t.Errorf("without sysfs: %v", got)
	}
}
