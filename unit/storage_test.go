package unit

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const storageFile = `hostid = "00c0ffee"
pools = "all"
[persist]
device = "UUID=B61B-19E7"
path = "/media/usb"
options = "noatime,rw,fmask=177"
wait = "10s"
[[mount]]
what = "LABEL=data"
where = "/srv"
required = false
[[mount]]
what = "tank/photos"
where = "/srv/photos"
type = "zfs"
[[swap]]
what = "zram"
size = "1G"
[[pool]]
name = "tank"
guid = "12345678901234567890"
degraded = "allow"
after = ["tler"]
[[pool.key]]
dataset = "tank/photos"
file = "/persist/tank.key"
[[device]]
match = { SUBSYSTEM = "tty", DEVNAME = "ttyUSB*" }
group = "dialout"
mode = "660"
link = "ups"
`

func TestStorage(t *testing.T) {
	c, err := Load(files("init.toml", storageFile, "svc/tler.toml", "kind = \"task\"\ncommand = \"tler\"",
		"svc/photos.toml", "command = \"x\"\nneeds = [\"mount:/tank/photos\", \"device:ups\"]\nafter = [\"mount:/media/usb\"]"), "/etc")
	if err != nil {
		t.Fatal(err)
	}
	m := c.Machine
	if d := cmp.Diff([]MountConfig{
		{What: "UUID=B61B-19E7", Where: "/media/usb", Options: "noatime,rw,fmask=177", Persist: true, Wait: 10 * time.Second},
		{What: "LABEL=data", Where: "/srv", Optional: true, Wait: DeviceWait},
		{What: "tank/photos", Where: "/srv/photos", Type: "zfs", Wait: DeviceWait},
		{What: "zram", Swap: true, Size: 1 << 30, Wait: DeviceWait},
	}, m.Mounts); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]PoolConfig{
		{Name: "tank", GUID: 12345678901234567890, Degraded: true, Wait: PoolWait, After: []string{"tler"}, Keys: []KeyConfig{{"tank/photos", "/persist/tank.key"}}},
		{Wait: PoolWait},
	}, m.Pools); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]DeviceRule{{Match: map[string]string{"SUBSYSTEM": "tty", "DEVNAME": "ttyUSB*"}, Group: "dialout", Mode: 0o660, Link: "ups"}}, m.Rules); d != "" || m.HostID != 0xc0ffee {
		t.Error(d, m.HostID)
	}
	g, err := c.Graph()
	if err != nil {
		t.Fatal(err)
	}
	edges := func(name string) (out []string) {
		i := g.Index(name)
		if i < 0 {
			t.Fatalf("no unit %s", name)
		}
		for _, e := range g.Out(i) {
			out = append(out, e.Kind.String()+" "+g.Units[e.To].Name)
		}
		return out
	}
	for name, want := range map[string][]string{
		"mount:/persist":     nil,
		"mount:/srv/photos":  {"needs mount:/srv", "needs pool:tank"},
		"swap:zram":          nil,
		"pool:tank":          {"after tler"},
		"pool:*":             nil,
		"mount:/tank/photos": {"after pool:*", "after pool:tank"},
		"device:ups":         nil,
		"photos":             {"needs device:ups", "after mount:/persist", "needs mount:/tank/photos"},
	} {
		got := edges(name)
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", name, got, want)
			continue
		}
		for _, w := range want {
			if !strings.Contains(strings.Join(got, ";"), w) {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
	}
}

func TestStorageMistakes(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"[persist]\ndevice = \"UID=1\"", `persist.device = "UID=1" begins with none of UUID, LABEL, PARTUUID, PARTLABEL or ID; did you mean "UUID"?`},
		{"[persist]\ndevice = \"sda1\"", `persist.device = "sda1" is no device; write "UUID=…", "LABEL=…" or a path below /dev`},
		{"[[mount]]\nwhat = \"/a\"\nwhere = \"/b\"", `what = "/a" is a folder; write options = "bind"`},
		{"[[mount]]\nwhat = \"tmpfs\"\nwhere = \"/\"", `mount.where = "/" is no place for it`},
		{"[[mount]]\nwhat = \"tmpfs\"\nwhere = \"/a\"\n[[mount]]\nwhat = \"tmpfs\"\nwhere = \"/a/\"", `mount:/a is there twice`},
		{"[persist]\ndevice = \"UUID=1\"\npath = \"/media/usb\"\n[[mount]]\nwhat = \"tmpfs\"\nwhere = \"/media/usb\"", `mount:/media/usb is there twice`},
		{"[persist]\ndevice = \"UUID=1\"\npath = \"/media/usb\"\n[[mount]]\nwhat = \"tmpfs\"\nwhere = \"/persist\"", `mount:/persist is there twice`},
		{"hostid = \"xyz\"", `hostid = "xyz" is no host number; write eight hex digits such as "00c0ffee"`},
		{"[[pool]]\nname = \"tank\"\n[[pool.key]]\ndataset = \"other/a\"\nfile = \"/k\"", `key.dataset = "other/a" is not of the pool "tank"`},
		{"[[pool]]\nname = \"tank\"\ndegraded = true", `pool.degraded = true is no text`},
		{"[[device]]\nmatch = { A = \"[\" }", `match.A = "[" is no shell pattern; write "ttyUSB*"`},
		{"[[device]]\nmatch = { A = \"b\" }\nmode = \"9\"", `device.mode = "9" is no mode; write three octal digits such as "660"`},
		{"[[device]]\nmatch = { A = \"b\" }\nlink = \"/dev/x\"", `device.link = "/dev/x" is no name below /dev`},
		{"[[swap]]\nwhat = \"file\"", `swap.what = "file" is no device`},
	} {
		_, err := Load(files("init.toml", tt.text), "/etc")
		if err == nil || !strings.Contains(err.Error(), ": "+tt.want) {
			t.Errorf("%s:\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

// The persistence device is one unit under two names, wherever it is mounted.
func TestPersistNames(t *testing.T) {
	const web = "command = \"x\"\nneeds = [\"mount:/persist\"]\nafter = [\"mount:/media/usb\"]"
	c, err := Load(files("init.toml", storageFile, "svc/tler.toml", "kind = \"task\"\ncommand = \"tler\"", "svc/web.toml", web), "/etc")
	if err != nil {
		t.Fatal(err)
	}
	g, err := c.Graph()
	if err != nil {
		t.Fatal(err)
	}
	if out := g.Out(g.Index("web")); len(out) != 1 || g.Units[out[0].To].Name != "mount:/persist" || out[0].Kind != Needs {
		t.Errorf("%+v", out)
	}
	if g.Index("mount:/media/usb") >= 0 {
		t.Error("there is a second unit of it")
	}
	c, err = Load(files("init.toml", "hostname = \"a\"", "svc/web.toml", "command = \"x\"\nafter = [\"mount:/persist\"]"), "/etc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.Graph(); err == nil || err.Error() != `/etc/svc/web.toml:2: after: no unit is called "mount:/persist"; init.toml has no [persist]` {
		t.Error(err)
	}
}

func TestDiskIs(t *testing.T) {
	d := &Disk{Node: "sda1", Links: []string{"disk/by-uuid/B61B-19E7"}, UUID: "B61B-19E7", Label: "A b", PartUUID: "x-1", PartLabel: "p", ID: "usb-X"}
	for what, want := range map[string]bool{"UUID=b61b-19e7": true, "UUID=": false, "LABEL=A b": true, "LABEL=a b": false, "PARTUUID=X-1": true,
		"PARTLABEL=p": true, "ID=usb-X": true, "/dev/sda1": true, "/dev/disk/by-uuid/B61B-19E7": true, "/dev/sda": false, "/srv": false, "sda1": false, "": false} {
		if d.Is(what) != want {
			t.Errorf("%s: %v", what, !want)
		}
	}
}
