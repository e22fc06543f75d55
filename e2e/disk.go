//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Raw makes an image file of so many MiB, sparse and zero, and returns its path.
func Raw(t testing.TB, mib int64) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "disk-")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(mib << 20); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// Ext4 makes an image file with one ext4 file system and no partition table.
func Ext4(t testing.TB, mib int64, uuid, label string) string {
	t.Helper()
	path := Raw(t, mib)
	format(t, "e2fsprogs", "mkfs.ext4", "-q", "-F", "-U", uuid, "-L", label, path)
	return path
}

// VFAT makes an image file with one FAT file system and no partition table. The
// serial is what UUID= names: "B61B-19E7".
func VFAT(t testing.TB, mib int64, serial, label string) string {
	t.Helper()
	path := Raw(t, mib)
	format(t, "dosfstools", "mkfs.vfat", "-i", strings.ReplaceAll(serial, "-", ""), "-n", label, path)
	return path
}

// format runs a mkfs program.
func format(t testing.TB, debian, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(sbin(t, debian, program), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
}

// sbin finds a program, also in the folders that only root's PATH has.
func sbin(t testing.TB, debian, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err != nil {
			path, err = exec.LookPath(filepath.Join(dir, program))
		}
	}
	if err != nil {
		t.Skipf("%s: not found; install it with: apt-get install -y --no-install-recommends %s", program, debian)
	}
	return path
}
