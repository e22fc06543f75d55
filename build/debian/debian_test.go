package debian

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hoopy/build/apk"
	"hoopy/build/tree"
)

func TestParseURI(t *testing.T) {
	sum := strings.Repeat("d7", 32)
	good := "'http://deb.debian.org/debian/pool/main/z/zlib/zlib1g_1.2.13.dfsg-1_amd64.deb' zlib1g_1%3a1.2.13.dfsg-1_amd64.deb 86684 SHA256:" + sum
	want := deb{Name: "zlib1g", File: "zlib1g_1%3a1.2.13.dfsg-1_amd64.deb", Sum: sum}
	if d, ok := parseURI(good); !ok || d != want {
		t.Errorf("got %+v, %v", d, ok)
	}
	for _, line := range []string{
		"", "Reading package lists...", "'u' x_1_amd64.deb 3", "'u' x.deb 3 SHA256:" + sum,
		"'u' x_1_amd64.deb 3 MD5Sum:" + sum, "'u' ../x_1_amd64.deb 3 SHA256:" + sum, "'u' x_1_amd64.deb 3 SHA256:d7",
	} {
		if d, ok := parseURI(line); ok {
			t.Errorf("%q was taken for %+v", line, d)
		}
	}
}

func TestParseControl(t *testing.T) {
	got := parseControl("Version: 1:9.2p1-2+deb12u10\nDepends: adduser, debconf (>= 0.5) | debconf-2.0, libc6 (>= 2.36), python3:any\nPre-Depends: init-system-helpers (>= 1.54~)\n")
	want := control{"1:9.2p1-2+deb12u10", []string{"adduser", "debconf", "libc6", "python3", "init-system-helpers"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(control{})); diff != "" {
		t.Error(diff)
	}
}

func TestAPKVersion(t *testing.T) {
	for in, want := range map[string]string{
		"1:9.2p1-2+deb12u10":    "9.2-r2",
		"6.1.192-2":             "6.1.192-r2",
		"1:1.35.0-4+deb12u1+b1": "1.35.0-r4",
		"4.2-1":                 "4.2-r1",
		"2.36-9+deb12u14":       "2.36-r9",
		"20230311+deb12u1":      "20230311-r0",
		"1:1.2.13.dfsg-1":       "1.2.13-r1",
		"":                      "0-r0",
	} {
		got := apkVersion(in)
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
		if !apk.ValidVersion(got) {
			t.Errorf("%q: %q is no version to apk", in, got)
		}
	}
}

func TestModinfoNeeds(t *testing.T) {
	info := "license=GPL\x00depends=net-failover,virtio_ring\x00softdep=pre: crc32c post: x-y\x00alias=virtio:d00000001v*\x00depends=\x00"
	want := []string{"net_failover", "virtio_ring", "crc32c", "x_y"}
	if diff := cmp.Diff(want, modinfoNeeds(info)); diff != "" {
		t.Error(diff)
	}
}

func TestClosure(t *testing.T) {
	all := map[string]module{}
	for _, m := range []module{
		{"virtio", "drivers/virtio/virtio.ko", []string{"virtio_ring"}},
		{"virtio_ring", "drivers/virtio/virtio_ring.ko", nil},
		{"virtio_net", "drivers/net/virtio_net.ko", []string{"virtio", "net_failover"}},
		{"net_failover", "net/core/net_failover.ko", []string{"a"}},
		{"a", "lib/a.ko", []string{"b"}},
		{"b", "lib/b.ko", []string{"a", "builtin"}},
		{"sound", "sound/sound.ko", nil},
	} {
		all[m.name] = m
	}
	for _, tc := range []struct {
		policy []string
		want   string
	}{
		{nil, ""},
		{[]string{"virtio-net"}, "a b net_failover virtio virtio_net virtio_ring"},
		{[]string{"virtio-r*"}, "virtio_ring"},
		{[]string{"drivers/virtio/"}, "virtio virtio_ring"},
		{[]string{"/"}, "a b net_failover sound virtio virtio_net virtio_ring"},
		{[]string{"unknown", "sound"}, "sound"},
	} {
		keep, err := closure(all, tc.policy)
		if err != nil {
			t.Errorf("%v: %v", tc.policy, err)
		}
		var got []string
		for _, name := range strings.Fields("a b net_failover sound virtio virtio_net virtio_ring") {
			if keep[name] {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%v: got %v, want %s", tc.policy, got, tc.want)
		}
	}
	for _, mistake := range []string{"drivers/sound/", "[a"} {
		if _, err := closure(all, []string{mistake}); err == nil {
			t.Errorf("%q: no error", mistake)
		}
	}
}

func TestRecipes(t *testing.T) {
	for name, r := range recipes {
		for _, d := range r.depends {
			if _, ok := recipes[d]; !ok {
				t.Errorf("%s depends on %s, which has no recipe", name, d)
			}
		}
		if _, err := apk.ParseDeps(strings.Join(append(r.depends, r.provides...), " ")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLayout(t *testing.T) {
	root := tree.New()
	for _, add := range []string{"alpine-baselayout", "alpine-baselayout-data", "alpine-release"} {
		if err := recipes[add].add(t.Context(), nil, root); err != nil {
			t.Fatal(err)
		}
	}
	shadow, err := root.ReadFile("etc/shadow")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(shadow)) {
		if f := strings.Split(line, ":"); len(f) != 9 || f[1] != "*" && f[1] != "!" {
			t.Errorf("shadow %q: nine fields with a locked password wanted", line)
		}
	}
	if !strings.HasPrefix(string(shadow), "root:*:") {
		t.Error("root must be locked by *: sshd refuses keys where it is !")
	}
	if e, _ := root.Lstat("etc/shadow"); e.Mode != 0o640 || e.GID != 42 {
		t.Errorf("shadow is %v, group %d", e.Mode, e.GID)
	}
	if e, err := root.Lstat("tmp"); err != nil || e.Mode != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("tmp: %v, %v", e, err)
	}
}

func TestReleaseVersion(t *testing.T) {
	for in, want := range map[string]string{
		"NAME=x\nVERSION_ID=\"12\"\n":        "12",
		"VERSION_ID=22.04\n":                 "22.04",
		"VERSION_ID=\"$(reboot)\"\nNAME=x\n": "unknown",
		"":                                   "unknown",
	} {
		if got := releaseVersion(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestMoveSeparationDir(t *testing.T) {
	got, err := moveSeparationDir("", []byte("a\x00/run/sshd\x00/run/sshd.pid\x00"))
	if err != nil || string(got) != "a\x00/var/sshd\x00/run/sshd.pid\x00" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := moveSeparationDir("", []byte("no such string")); err == nil {
		t.Error("no error where the string is absent")
	}
}

func TestHideApplets(t *testing.T) {
	got, err := hideApplets("", []byte("svc\x00modprobe\x00[\x00[[\x00modinfo\x00modprobe\x00more\x00su\x00svc\x00svok\x00svc\x00"))
	if want := "svc\x00modprobe\x00[\x00[[\x00modinfo\x00modprobf\x00more\x00su\x00svd\x00svok\x00svc\x00"; err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := hideApplets("", []byte("no table")); err == nil {
		t.Error("no error where there is no table")
	}
	for _, h := range hidden {
		if len(h.applet) != len(h.to) {
			t.Errorf("%s and %s differ in length", h.applet, h.to)
		}
	}
}

func TestSwap(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "repo")
	for _, content := range []string{"1", "2"} {
		fresh := filepath.Join(base, "fresh")
		if err := os.Mkdir(fresh, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(fresh, "f"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := swap(fresh, dir); err != nil {
			t.Fatal(err)
		}
		if b, _ := os.ReadFile(filepath.Join(dir, "f")); string(b) != content {
			t.Errorf("holds %q, want %q", b, content)
		}
	}
	if left, _ := os.ReadDir(base); len(left) != 1 {
		t.Errorf("%d entries left beside each other, want 1", len(left))
	}
}
