//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hoopy/build/debian"
	"hoopy/build/image"
	"hoopy/build/qemu"
)

const cmdline = "console=ttyS0 panic=-1 loglevel=4"

// TestBoot is the road that everything else stands on: the image as the
// checkout builds it comes up, is looked at over ssh, and goes down.
func TestBoot(t *testing.T) {
	kernel, initrd := Image(t)
	vm := Boot(t, Config{Config: qemu.Config{Kernel: kernel, Initrd: initrd, Cmdline: cmdline, MemoryMB: 1024, SMP: 2}})
	vm.Expect(`hoopy \S+ on Linux`, 0)
	vm.Expect(`(?m)sshd +ready`, 0)
	if got := vm.Must("cat /proc/1/comm"); got != "init" {
		t.Errorf("PID 1 is %q", got)
	}
	status := vm.Must("svc status sshd")
	if !strings.Contains(status, "sshd") || !strings.Contains(status, "ready") {
		t.Errorf("svc status sshd:\n%s", status)
	}
	if out, exit := vm.Run("svc check /etc"); exit != 0 {
		t.Errorf("svc check: exit %d:\n%s", exit, out)
	}
	vm.Run("svc poweroff")
	if got := vm.Ended(0); got != "guest-shutdown" {
		t.Errorf("svc poweroff: the machine ended by %q", got)
	}
}

// TestAlpineUserland boots real Alpine packages, whose index and signatures the
// build verified against Alpine's own keys, with Debian's kernel.
func TestAlpineUserland(t *testing.T) {
	alpine, err := filepath.Abs("../../shared/alpine/v3.19/main")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(alpine, "x86_64", "APKINDEX.tar.gz")); err != nil {
		t.Skip("no Alpine packages at hand: ", err)
	}
	dir := t.TempDir()
	copyCheckout(t, dir)
	packages := "alpine-baselayout\nalpine-release\nbusybox\nbusybox-binsh\nlinux-lts\nopenssh-server\nopenssh-sftp-server\ne2fsprogs\n"
	if err := os.WriteFile(filepath.Join(dir, "packages"), []byte(packages), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "packages.lock")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	cache, err := filepath.Abs(cacheDir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := image.Build(t.Context(), image.Options{
		Dir: dir, Out: filepath.Join(dir, "out"), Cache: cache, Login: true, StandIn: debian.StandIn,
		Repos: []string{alpine}, Only: []string{"linux-lts"},
	})
	if err != nil {
		t.Fatal(err)
	}
	key, err := readKey(r.SSHKey)
	if err != nil {
		t.Fatal(err)
	}
	vm := Boot(t, Config{Key: key, Config: qemu.Config{
		Kernel: r.Vmlinuz, Initrd: r.Initramfs, Cmdline: cmdline, MemoryMB: 1024, SMP: 2,
	}})
	if got := vm.Must("cat /etc/alpine-release"); !strings.HasPrefix(got, "3.19") {
		t.Errorf("alpine-release is %q", got)
	}
	if got := vm.Must("readlink -f /proc/$(pidof -s sshd)/exe"); got != "/usr/sbin/sshd" {
		t.Errorf("sshd is %q", got)
	}
	if maps := vm.Must("cat /proc/$(pidof -s sshd)/maps"); !strings.Contains(maps, "ld-musl") {
		t.Error("sshd is not Alpine's: it does not run on musl")
	}
	vm.Must("svc status sshd")
	vm.Run("svc poweroff")
	if got := vm.Ended(0); got != "guest-shutdown" {
		t.Errorf("svc poweroff: the machine ended by %q", got)
	}
}

// copyCheckout copies what a build reads, so that a test may change it.
func copyCheckout(t testing.TB, to string) {
	t.Helper()
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		from := filepath.Join("..", e.Name())
		switch {
		case e.Name() == "out" || e.Name() == ".git":
		case e.IsDir():
			if err := os.CopyFS(filepath.Join(to, e.Name()), os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
		default:
			b, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(filepath.Join(to, e.Name()), b, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
