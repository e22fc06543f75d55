//go:build priv && linux

package image

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"hoopy/build/apk"
	"hoopy/build/install"
	"hoopy/build/tree"
)

// alpineTree installs real packages.
func alpineTree(t testing.TB, world ...string) *tree.Tree {
	t.Helper()
	const data = "../../../shared/alpine"
	if _, err := os.Stat(data); err != nil || runtime.GOARCH != "amd64" {
		t.Skip("needs ../shared/alpine and an x86_64 machine")
	}
	keys, err := apk.LoadKeys(filepath.Join(data, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := apk.NewCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	repo, err := apk.OpenRepo(t.Context(), data+"/v3.19/main", "x86_64", keys, cache, apk.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pkgs, err := apk.Solve(world, []*apk.Repo{repo}, apk.SolveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tr := tree.New()
	if err := install.Install(t.Context(), tr, pkgs, cache, install.Options{}); err != nil {
		t.Fatal(err)
	}
	return tr
}

const chrootScript = `set -e
adduser -D -u 2000 ann
echo hello >/etc/hello
chmod 600 /etc/hello
chown ann /etc/hello
rm /etc/motd
ln -s hello /etc/link
ln /etc/hello /etc/hard
mkdir -p /srv/a/b
sed -i 's/localhost/elsewhere/' /etc/hosts
echo x >/dev/null
`

func TestSetupInChroot(t *testing.T) {
	tr := alpineTree(t, "alpine-baselayout", "busybox", "tzdata")
	before := map[string]string{}
	for e := range tr.Walk() {
		before[e.Path] = e.Mode.String() + e.Link + e.Hard
	}
	if err := chroot(t.Context(), tr, chrootScript, runtime.GOARCH); err != nil {
		t.Fatal(err)
	}
	e, ok := tr.Get("etc/hello")
	if !ok || e.UID != 2000 || e.Mode != 0o600 || e.Source != setupFile {
		t.Errorf("etc/hello: %+v", e)
	}
	if h, ok := tr.Get("etc/hard"); !ok || h.Hard != "" && h.Hard != "etc/hello" || e.Hard != "" && e.Hard != "etc/hard" {
		t.Errorf("etc/hard: %+v", h)
	}
	for name, want := range map[string]string{"etc/passwd": "ann:x:2000:", "etc/hosts": "elsewhere", "etc/link": "hello", "etc/alpine-release": ""} {
		text, err := tr.ReadFile(name)
		if name == "etc/alpine-release" {
			continue
		}
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if _, ok := tr.Get("etc/motd"); ok {
		t.Error("etc/motd is still there")
	}
	if _, ok := tr.Get("srv/a/b"); !ok {
		t.Error("srv/a/b was not taken back")
	}
	changed := 0
	for e := range tr.Walk() {
		if was, ok := before[e.Path]; ok && was != e.Mode.String()+e.Link+e.Hard {
			t.Errorf("%s: was %s, is %s%s%s", e.Path, was, e.Mode, e.Link, e.Hard)
		} else if !ok {
			changed++
		}
		if e.Mode.IsRegular() && e.Hard == "" && strings.HasPrefix(e.Path, "usr/share/zoneinfo/Europe/B") {
			if text, err := tr.ReadFile(e.Path); err != nil || !strings.HasPrefix(string(text), "TZif") || int64(len(text)) != e.Size {
				t.Errorf("%s: %v", e.Path, err)
			}
		}
	}
	if changed < 6 || len(before) < 500 {
		t.Errorf("%d of %d entries are new", changed, len(before))
	}
}

func TestSetupThatFails(t *testing.T) {
	tr := alpineTree(t, "alpine-baselayout", "busybox")
	err := chroot(t.Context(), tr, "echo oh no >&2\nexit 3\n", runtime.GOARCH)
	if err == nil || err.Error() != "exit status 3\noh no" {
		t.Error(err)
	}
	if err := chroot(t.Context(), tr, "", "nosuch"); err == nil || !strings.Contains(err.Error(), "needs root and a nosuch machine") {
		t.Error(err)
	}
}

// What a shell does in a chroot today and tomorrow makes the same image.
func TestChrootBuildIsReproducible(t *testing.T) {
	o := realImage(t)
	for file, text := range map[string]string{
		"setup.sh":   chrootScript,
		"image.toml": "setup = \"chroot\"\n" + read(t, filepath.Join(o.Dir, "image.toml")),
	} {
		write(t, filepath.Join(o.Dir, file), text)
	}
	var sums []string
	for range 2 {
		coldly(t, o)
		sum, err := fileSum(filepath.Join(o.Out, "initramfs"))
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, sum)
	}
	if sums[0] != sums[1] {
		t.Error("two builds differ")
	}
	manifest := read(t, filepath.Join(o.Out, "manifest"))
	for _, want := range []string{"\netc/hello\t100600\t2000:0\t", "\netc/hard\t100600\t2000:0\t", "\nsrv/a/b\t040755\t0:0\t"} {
		if !strings.Contains(manifest, want) {
			t.Errorf("manifest has no %q", want)
		}
	}
	if !strings.Contains(read(t, filepath.Join(o.Out, "packages.lock")), "\nuser ann 2000\n") {
		t.Error("the lock does not keep the number of ann")
	}
}
