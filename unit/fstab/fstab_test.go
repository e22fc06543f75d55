package fstab_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"hoopy/unit"
	"hoopy/unit/fstab"
)

const frood = `# as frood has it
UUID=B61B-19E7	/media/usb	vfat	noatime,rw,fmask=177 0 0
/dev/cdrom	/media/cdrom	iso9660	noauto,ro 0 0
/dev/sda2 / ext4 rw 0 1
LABEL="big\040data" /srv\040x/ ext4 defaults,noatime,nofail,x-systemd.device-timeout=5 0 2
none /tmp tmpfs size=1G,nodev 0 0
proc /proc proc defaults 0 0
tank/photos /tank/photos zfs rw 0 0
/srv /exports none bind,ro
PARTUUID=12-34 none swap sw,pri=5 0 0
/swapfile none swap sw 0 0
UUID=b /srv\040x ext4
//nas/share /nas cifs guest 0 0
nas:/export /n nfs ro
x
`

const wantToml = `# fstab line 2
[persist]
device = "UUID=B61B-19E7"
path = "/media/usb"
type = "vfat"
options = "noatime,rw,fmask=177"

# fstab line 5
[[mount]]
what = "LABEL=big data"
where = "/srv x"
type = "ext4"
options = "noatime"
required = false
wait = "5s"

# fstab line 6
[[mount]]
what = "tmpfs"
where = "/tmp"
options = "size=1G,nodev"

# fstab line 8
[[mount]]
what = "tank/photos"
where = "/tank/photos"
type = "zfs"
options = "rw"

# fstab line 9
[[mount]]
what = "/srv"
where = "/exports"
options = "bind,ro"

# fstab line 10
[[swap]]
what = "PARTUUID=12-34"
priority = 5

# fstab line 14
[[mount]]
what = "nas:/export"
where = "/n"
type = "nfs"
options = "ro"

`

func TestParse(t *testing.T) {
	toml, notes := fstab.Parse(frood)
	if d := cmp.Diff(wantToml, toml); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{
		"line 3: left out: /media/cdrom is noauto",
		"line 4: left out: the root is the image itself",
		"line 7: left out: proc is mounted anyway",
		"line 11: left out: /swapfile is a file; swap needs a device",
		"line 12: left out: /srv x is there twice",
		`line 13: left out: "//nas/share" is no device`,
		"line 15: left out: it has 1 fields, not 3 or more",
	}, notes); d != "" {
		t.Error(d)
	}
	load(t, toml)
}

// load has init.toml's own loader read it.
func load(t *testing.T, toml string) {
	t.Helper()
	c, err := unit.Load(fstest.MapFS{"init.toml": {Data: []byte(toml)}}, "etc")
	if err != nil {
		t.Fatalf("init.toml does not take it: %v\n%s", err, toml)
	}
	if want := strings.Count(toml, "# fstab line"); len(c.Machine.Mounts) != want {
		t.Errorf("%d mounts, want %d of\n%s", len(c.Machine.Mounts), want, toml)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(frood)
	f.Add("UUID= /a b\n= / x\n\\057 /\\012 tmpfs \\,")
	f.Fuzz(func(t *testing.T, text string) {
		toml, _ := fstab.Parse(text)
		load(t, toml)
	})
}
