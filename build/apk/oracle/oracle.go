// Package oracle gives tests the real Alpine: its data, and its own apk in a
// chroot to compare with. Only tests import it.
package oracle

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Data returns the folder with real Alpine data (v3.19, keys, a root archive):
// $HOOPY_ALPINE, or shared/alpine in a folder above. The test is skipped where
// there is none.
func Data(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("HOOPY_ALPINE"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		p := filepath.Join(dir, "shared", "alpine")
		if st, err := os.Stat(p); err == nil && st.IsDir() {
			return p
		}
	}
	t.Skip("no shared/alpine above this folder and HOOPY_ALPINE is not set: nothing is compared with real packages")
	return ""
}

// Root is an unpacked Alpine root with apk in it.
type Root struct {
	Dir string
	t   testing.TB
}

// New unpacks a root for the test. It is skipped without root's rights, data,
// or a root archive for this machine.
func New(t testing.TB) *Root {
	t.Helper()
	data := Data(t)
	if os.Geteuid() != 0 {
		t.Skip("chroot needs uid 0: nothing is compared with the real apk")
	}
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	found, err := filepath.Glob(filepath.Join(data, "alpine-minirootfs-*-"+arch+".tar.gz"))
	if err != nil || len(found) == 0 || arch == "" {
		t.Skipf("no minirootfs for %s in %s: nothing is compared with the real apk", runtime.GOARCH, data)
	}
	r := &Root{Dir: t.TempDir(), t: t}
	if err := os.Chmod(r.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.host("tar", "-xzf", found[0], "-C", r.Dir)
	for _, name := range []string{"null", "zero", "urandom"} {
		minor := map[string]string{"null": "3", "zero": "5", "urandom": "9"}[name]
		r.host("mknod", "-m", "666", filepath.Join(r.Dir, "dev", name), "c", "1", minor)
	}
	keys, err := filepath.Glob(filepath.Join(data, "keys", "*.rsa.pub"))
	if err != nil || len(keys) == 0 {
		t.Fatalf("no keys in %s: %v", data, err)
	}
	r.host("cp", append(keys, filepath.Join(r.Dir, "etc/apk/keys/"))...)
	if err := os.WriteFile(filepath.Join(r.Dir, "etc/apk/repositories"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	// "apk add --simulate" wants a database to be there already
	if out, err := r.Add(Empty, nil, nil); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return r
}

func (r *Root) host(name string, args ...string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		r.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// Empty is a target root with nothing installed, for "apk add --simulate".
const Empty = "/empty"

// Share copies a folder of the host to /name in the root.
func (r *Root) Share(dir, name string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(r.Dir, name)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	r.host("cp", "-r", dir, filepath.Join(r.Dir, name))
}

// Run runs a program in the root and returns what it wrote.
func (r *Root) Run(stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Path = args[0]
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.Dir}
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%q: %w", args, err)
	}
	return string(out), err
}

// Add runs "apk add" for a new target root (a path in the root, made if it
// lacks) with repositories given as paths in the root; flags come first.
func (r *Root) Add(target string, repos, world []string, flags ...string) (string, error) {
	if err := os.MkdirAll(filepath.Join(r.Dir, target), 0o755); err != nil {
		return "", err
	}
	args := []string{"/sbin/apk", "add", "--root", target, "--initdb", "--no-network", "--no-cache",
		"--no-progress", "--keys-dir", "/etc/apk/keys", "--repositories-file", "/etc/apk/repositories"}
	args = append(args, flags...)
	for _, repo := range repos {
		args = append(args, "-X", repo)
	}
	return r.Run("", append(args, world...)...)
}
