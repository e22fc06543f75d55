package devices

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pilebones/go-udev/netlink"
)

func TestParseUevent(t *testing.T) {
	for _, row := range []struct {
		msg  string
		want Uevent
	}{
		{
			"add@/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0\x00ACTION=add\x00DEVPATH=/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0\x00SUBSYSTEM=net\x00INTERFACE=eth0\x00IFINDEX=2\x00SEQNUM=1234\x00",
			Uevent{Action: "add", DevPath: "/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0", Subsystem: "net", Seq: 1234},
		},
		// What go-udev drops or dies of:
		{
			"add@/devices/platform/soc@0/mmc@1\x00SUBSYSTEM=block\x00DEVNAME=mmcblk0p1\x00PARTNAME=a=b\x00",
			Uevent{Action: "add", DevPath: "/devices/platform/soc@0/mmc@1", Subsystem: "block", DevName: "mmcblk0p1"},
		},
		{"odd@/x\x00nothing\x00=\x00SEQNUM=many\x00", Uevent{Action: "odd", DevPath: "/x"}},
	} {
		got, err := parseUevent([]byte(row.msg))
		if err != nil {
			t.Errorf("%q: %v", row.msg, err)
			continue
		}
		if row.want.DevName == "mmcblk0p1" && got.Env["PARTNAME"] != "a=b" {
			t.Errorf("PARTNAME=%q", got.Env["PARTNAME"])
		}
		got.Env = nil
		if d := cmp.Diff(row.want, got); d != "" {
			t.Error(d)
		}
	}
	for _, msg := range []string{"", "add@/devices/x", "\x00", "@/x\x00", "add@x\x00", "libudev\x00\xfe\xed\xca\xfe\x00", "add\x00A=b\x00"} {
		if u, err := parseUevent([]byte(msg)); !errors.Is(err, errUevent) {
			t.Errorf("%q: %v, %v", msg, u, err)
		}
	}
}

// FuzzUevent compares with go-udev wherever that can parse.
func FuzzUevent(f *testing.F) {
	f.Add([]byte("add@/devices/x\x00ACTION=add\x00SUBSYSTEM=net\x00SEQNUM=1\x00"))
	f.Add([]byte("bind@/devices/soc@0\x00A=b=c\x00"))
	f.Add([]byte("add@/devices/x"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		got, err := parseUevent(msg)
		if err != nil || len(msg) < 40 || msg[len(msg)-1] != 0 {
			return // the library reads fixed offsets of short messages
		}
		want, err := netlink.ParseUEvent(msg)
		if err != nil {
			return
		}
		for key := range want.Env {
			if key == "" {
				return
			}
		}
		if string(want.Action) != got.Action || want.KObj != got.DevPath {
			t.Errorf("%q: %s %s, the library has %s %s", msg, got.Action, got.DevPath, want.Action, want.KObj)
		}
		if d := cmp.Diff(want.Env, got.Env); d != "" {
			t.Errorf("%q: %s", msg, d)
		}
	})
}

// TestUeventLibrary makes sure that the comparison above compares something.
func TestUeventLibrary(t *testing.T) {
	msg := []byte("change@/devices/pci0000:00/x\x00ACTION=change\x00SUBSYSTEM=block\x00DEVNAME=sda\x00SEQNUM=9\x00")
	want, err := netlink.ParseUEvent(msg)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseUevent(msg)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.Env, got.Env); d != "" || got.DevPath != want.KObj {
		t.Error(d, got.DevPath)
	}
}

func TestLane(t *testing.T) {
	for modalias, want := range map[string]lane{
		"pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00": foreground,
		"pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01": background,
		"virtio:d00000001v00001AF4":                             foreground,
		"virtio:d00000002v00001AF4":                             background,
		"virtio:d00000010v00001AF4":                             background,
		"vmbus:635161f83edfc546913ff2d2f965ed0e":                foreground,
		"xen:vif":                                               foreground,
		"xen:vbd":                                               background,
		"usb:v046DpC52B":                                        background,
		"acpi:LNXPWRBN:":                                        background,
		"":                                                      background,
		"mdio:bc02sc00i00":                                      background,
	} {
		if got := laneOf(modalias); got != want {
			t.Errorf("%s: %d", modalias, got)
		}
	}
}

func TestNodeRules(t *testing.T) {
	for _, row := range []struct{ subsystem, name, want string }{
		{"misc", "kvm", "kvm 660"},
		{"misc", "vhost-net", "kvm 660"},
		{"misc", "fuse", "root 666"},
		{"misc", "net/tun", "root 666"},
		{"misc", "rfkill", "root 664"},
		{"misc", "hpet", ""},
		{"drm", "dri/renderD128", "render 660"},
		{"drm", "dri/card0", "video 000"},
		{"block", "sr0", "cdrom 000"},
		{"usb", "bus/usb/001/002", "root 664"},
		{"input", "input/event3", "input 660"},
		{"tty", "tty", "tty 666"},
		{"tty", "ptmx", "tty 666"},
		{"tty", "tty1", "tty 620"},
		{"tty", "tty63", "tty 620"},
		{"tty", "ttyS0", "dialout 660"},
		{"tty", "ttyUSB1", "dialout 660"},
		{"tty", "console", ""},
		{"block", "sda1", "disk 660"},
		{"mem", "null", ""},
		{"net", "", ""},
	} {
		got := ""
		if r, ok := nodeRuleFor(Uevent{Subsystem: row.subsystem, DevName: row.name}); ok {
			got = r.group + " " + octal(uint32(r.mode))
		}
		if got != row.want {
			t.Errorf("%s %s: %q, want %q", row.subsystem, row.name, got, row.want)
		}
	}
}

func octal(mode uint32) string {
	return string([]byte{'0' + byte(mode>>6&7), '0' + byte(mode>>3&7), '0' + byte(mode&7)})
}
