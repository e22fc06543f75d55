//go:build e2e

package debian

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hoopy/build/apk"
	"hoopy/build/tree"
)

// cache is the one that image builds of this checkout use, too.
const cache = "../../out/cache/debian"

// unroll lays packages on the disk, without owners.
func unroll(t *testing.T, packages []pkg) string {
	root := t.TempDir()
	for _, p := range packages {
		for e := range p.tree.Walk() {
			to := filepath.Join(root, e.Path)
			var err error
			switch {
			case e.Mode.IsDir():
				err = os.MkdirAll(to, 0o755)
			case e.Link != "":
				err = os.Symlink(e.Link, to)
			case e.Hard != "":
				err = os.Link(filepath.Join(root, e.Hard), to)
			default:
				err = copyOut(p.tree, e, to)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

func copyOut(from *tree.Tree, e *tree.Entry, to string) error {
	r, err := from.Content(e)
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, e.Mode.Perm())
}

// TestEveryLibraryIsThere asks the loader of the image which files it would
// take for each program: none may lack, none may be the host's.
func TestEveryLibraryIsThere(t *testing.T) {
	a, err := Options{CacheDir: cache}.archive()
	if err != nil {
		t.Skip(err)
	}
	m := maker{archive: a, policy: DefaultModules}
	names := []string{"alpine-baselayout", "busybox", "openssh", "e2fsprogs", "dosfstools"}
	if err := m.choose(t.Context(), names); err != nil {
		t.Fatal(err)
	}
	if err := m.make(t.Context()); err != nil {
		t.Fatal(err)
	}
	root := unroll(t, m.packages)
	// Absolute links would lead to the host's files.
	loader := filepath.Join(root, "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
	libs := filepath.Join(root, "lib/x86_64-linux-gnu") + ":" + filepath.Join(root, "usr/lib/x86_64-linux-gnu")
	for _, program := range []string{
		"usr/sbin/sshd", "usr/bin/ssh", "usr/bin/ssh-keygen", "usr/lib/openssh/sftp-server",
		"sbin/mke2fs", "sbin/e2fsck", "sbin/mkfs.fat",
	} {
		out, err := exec.Command(loader, "--inhibit-cache", "--library-path", libs, "--list", filepath.Join(root, program)).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", program, err, out)
			continue
		}
		for line := range strings.Lines(string(out)) {
			if _, file, ok := strings.Cut(line, "=>"); ok && !strings.Contains(file, root) {
				t.Errorf("%s: takes %s", program, strings.TrimSpace(line))
			}
		}
	}
	paths, err := os.ReadFile(filepath.Join(root, "etc/busybox-paths.d/busybox"))
	if err != nil || !strings.Contains(string(paths), "bin/sh\n") {
		t.Errorf("busybox paths: %q, %v", paths, err)
	}
	// The shell must find our programs, and the table must still be sorted.
	busybox := filepath.Join(root, "bin/busybox")
	for _, h := range hidden {
		cmd := exec.Command(busybox, "sh", "-c", h.applet)
		cmd.Env = []string{"PATH=/nonexistent"}
		if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), "not found") {
			t.Errorf("%s is still an applet: %s", h.applet, out)
		}
	}
	for applet := range strings.FieldsSeq("more mount su svok stty modinfo") {
		if out, _ := exec.Command(busybox, applet, "--help").CombinedOutput(); !strings.Contains(string(out), "Usage") {
			t.Errorf("%s is lost: %s", applet, out)
		}
	}
}

func TestLoadKernel(t *testing.T) {
	k, err := LoadKernel(t.Context(), Options{CacheDir: cache})
	if err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat(k.Image); err != nil {
		t.Error(err)
	}
	for _, file := range []string{
		"kernel/drivers/net/virtio_net.ko", "kernel/net/core/failover.ko", "kernel/drivers/virtio/virtio_ring.ko",
		"kernel/fs/ext4/ext4.ko", "kernel/lib/crc16.ko", "modules.builtin", "modules.builtin.modinfo",
	} {
		if _, err := os.Stat(filepath.Join(k.Root, "lib/modules", k.Release, file)); err != nil {
			t.Error(err)
		}
	}
	var n, size int64
	filepath.Walk(k.Root, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			n, size = n+1, size+info.Size()
		}
		return err
	})
	if n < 50 || size > 150<<20 {
		t.Errorf("%d files, %d MB", n, size>>20)
	}
	t.Logf("%s: %d files, %d MB", k.Release, n, size>>20)
}

// TestRepositoryIsReadAsAlpines opens what was made as a build does, with its
// key alone, and reads each package back against the signed index.
func TestRepositoryIsReadAsAlpines(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "repo")
	o := Options{Dir: dir, CacheDir: cache, Names: []string{"linux-lts", "linux-firmware-none", "busybox", "openssh"}}
	if _, err := o.archive(); err != nil {
		t.Skip(err)
	}
	if err := Repository(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(filepath.Join(dir, KeyName))
	if err != nil {
		t.Fatal(err)
	}
	keys := apk.NewKeys()
	if err := keys.AddPEM(KeyName, pem); err != nil {
		t.Fatal(err)
	}
	packages, err := apk.NewCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	repo, err := apk.OpenRepo(t.Context(), dir, Arch, keys, packages, apk.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	laid := map[string]string{}
	for _, p := range repo.Packages {
		a, err := packages.Fetch(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Scripts) > 0 != (p.Name == "busybox") {
			t.Errorf("%s has %d scripts", p.Name, len(a.Scripts))
		}
		for _, e := range a.Entries {
			if e.Mode.IsDir() {
				continue
			}
			if other, twice := laid[e.Path]; twice {
				t.Errorf("%s is in %s and %s", e.Path, other, p.Name)
			}
			laid[e.Path] = p.Name
		}
	}
	for file, from := range map[string]string{
		"boot/vmlinuz-lts": "linux-lts", "bin/busybox": "busybox", "usr/sbin/sshd": "openssh-server",
		"usr/lib/ssh/sftp-server": "openssh-sftp-server", "lib64/ld-linux-x86-64.so.2": librariesName,
	} {
		if laid[file] != from {
			t.Errorf("%s comes from %q, want %s", file, laid[file], from)
		}
	}
	before, _ := os.Stat(filepath.Join(dir, Arch))
	if err := Repository(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(filepath.Join(dir, Arch)); !os.SameFile(before, after) {
		t.Error("the same repository was made again")
	}
}
