package debian

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestZFS(t *testing.T) {
	all := t.TempDir()
	t.Setenv("HOOPY_ZFS", all)
	const release = "6.1.0-56-amd64"
	if _, err := ZFS(release); !errors.Is(err, ErrNoZFS) || !strings.HasSuffix(err.Error(), "tools/zfs "+release) {
		t.Errorf("error %v does not end with the command", err)
	}
	dir := filepath.Join(all, release)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "zfs.ko"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := ZFS(release); err != nil || got != dir {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := ZFS("6.1.0-57-amd64"); !errors.Is(err, ErrNoZFS) {
		t.Errorf("another kernel's modules are taken: %v", err)
	}
}

func TestOfZFS(t *testing.T) {
	for name, want := range map[string]bool{"libzfs6linux": true, "libnvpair3linux": true, "libzpool6linux": true,
		"libc6": false, "zfsutils-linux": false, "libssl3": false, "linux-base": false} {
		if got := ofZFS(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
