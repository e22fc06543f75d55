package mounts

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want options
	}{
		{"", options{}},
		{"defaults,nofail,noauto,x-systemd.automount,_netdev,comment=x", options{}},
		{"rw,noatime,fmask=177", options{flags: unix.MS_NOATIME, data: "fmask=177"}},
		{"ro,rw", options{}},
		{"ro", options{flags: unix.MS_RDONLY}},
		{"nosuid,nodev,noexec,suid", options{flags: unix.MS_NODEV | unix.MS_NOEXEC}},
		{"sync,dirsync,lazytime,nosymfollow", options{flags: unix.MS_SYNCHRONOUS | unix.MS_DIRSYNC | unix.MS_LAZYTIME | unix.MS_NOSYMFOLLOW}},
		{"rbind,rslave", options{flags: unix.MS_BIND | unix.MS_REC, propagation: unix.MS_SLAVE | unix.MS_REC}},
		{"rshared", options{propagation: unix.MS_SHARED | unix.MS_REC}},
		{`size=50%,context="a:b:c0,c1",mode=0755`, options{data: `size=50%,context="a:b:c0,c1",mode=0755`}},
		{"noauto nouser", options{data: "noauto nouser"}},
	} {
		if got := parse(c.text); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.text, got, c.want)
		}
	}
	o := parse("lowerdir=/a:/b,upperdir=/u,workdir=/w")
	if o.option("upperdir") != "/u" || o.option("dir") != "" {
		t.Error("option")
	}
}

// TestFlagsAreTold holds the table: each word of the manual page on its own.
func TestFlagsAreTold(t *testing.T) {
	for _, f := range flags {
		if got := parse(f.word).flags; f.clear && got != 0 || !f.clear && got != f.bit {
			t.Errorf("%s: %#x", f.word, got)
		}
		if no := "no" + f.word; f.clear && !strings.HasPrefix(f.word, "no") {
			for _, g := range flags {
				if g.word == no && (g.bit != f.bit || g.clear) {
					t.Errorf("%s does not undo %s", f.word, no)
				}
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"rw,noatime,fmask=177", `a="b,c",ro`, ",,", `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := parse(text)
		if again := parse(o.data); !strings.Contains(text, `"`) && (again.data != o.data || again.flags != 0) {
			t.Errorf("%q: data %q is %+v", text, o.data, again)
		}
	})
}

func FuzzTable(f *testing.F) {
	f.Add("36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n")
	f.Add("1 2 3 4 5 6 - x")
	f.Fuzz(func(t *testing.T, text string) {
		all := parseTable(text)
		for i := range all {
			isBind(all, &all[i], all[i].where)
			_ = all[i].readOnly()
		}
	})
}

func TestTable(t *testing.T) {
	all := parseTable("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n36 1 8:2 /x /mnt\\0402 ro,noatime shared:1 - ext4 /dev/sdb\\134 rw,a\nnonsense\n37 1 8:2 /x/y/z /bound rw - ext4 /dev/sdb rw\n")
	if len(all) != 3 || all[1].where != "/mnt 2" || all[1].source != `/dev/sdb\` || all[1].readOnly() {
		t.Fatalf("%+v", all)
	}
	if !isBind(all, &all[2], "/mnt 2/y/z") || isBind(all, &all[2], "/mnt 2/y") || isBind(all, &all[2], "/home") {
		t.Error("isBind")
	}
}

func TestSwapHeader(t *testing.T) {
	b := swapHeader(1<<20, 4096)
	if string(b[4086:]) != "SWAPSPACE2" || b[1024] != 1 || b[1028] != 255 {
		t.Errorf("% x", b[1024:1032])
	}
}
