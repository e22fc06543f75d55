//go:build priv

package seedrng

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKernel gives the kernel of this machine a seed, without credit, and leaves
// a new one as seedrng would.
func TestKernel(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "seedrng")
	s := &seed{system: linux{}, skipCredit: true}
	if r := s.restore(dir); len(r.wrong) > 0 || r.used != 0 || r.next == 0 {
		t.Fatalf("first: %+v", r)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode() != os.ModeDir|0o700 {
		t.Errorf("folder: %v, %v", info.Mode(), err)
	}
	first := only(t, dir)
	r := s.restore(dir)
	if len(r.wrong) > 0 || r.used != 8*len(first) || r.credit != 0 {
		t.Fatalf("second: %+v", r)
	}
	second := only(t, dir)
	if r := s.renew(dir); len(r.wrong) > 0 || r.used != 0 {
		t.Fatalf("renewal: %+v", r)
	}
	if third := only(t, dir); first == second || second == third || len(third) != s.length() {
		t.Errorf("%x %x %x", first, second, third)
	}
}

// only reads the one seed that there is.
func only(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || !strings.HasPrefix(entries[0].Name(), "seed.") {
		t.Fatalf("%v, %v", entries, err)
	}
	path := filepath.Join(dir, entries[0].Name())
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o400 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRefused is what a real file system says of what may not be used.
func TestRefused(t *testing.T) {
	s := &seed{system: linux{}, skipCredit: true}
	for name, row := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"another's folder": {func(dir string) error { return os.Chown(dir, 1234, 0) }, "by others"},
		"open folder":      {func(dir string) error { return os.Chmod(dir, 0o777) }, "by others"},
		"another's seed": {func(dir string) error {
			return os.Chown(filepath.Join(dir, credited), 1234, 0)
		}, "by others"},
		"symlink": {func(dir string) error {
			path := filepath.Join(dir, credited)
			if err := os.Rename(path, filepath.Join(dir, "real")); err != nil {
				return err
			}
			return os.Symlink("real", path)
		}, "symbolic links"},
		"fifo": {func(dir string) error {
			path := filepath.Join(dir, credited)
			if err := os.Remove(path); err != nil {
				return err
			}
			return unix.Mkfifo(path, 0o600)
		}, "no regular file"},
	} {
		dir := filepath.Join(t.TempDir(), "seedrng")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, credited), []byte(strings.Repeat("s", 32)), 0o400); err != nil {
			t.Fatal(err)
		}
		if err := row.spoil(dir); err != nil {
			t.Fatal(err)
		}
		if r := s.restore(dir); r.used != 0 || !strings.Contains(r.note(), row.want) {
			t.Errorf("%s: %s", name, r.note())
		}
	}
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if r := s.restore(link); r.used != 0 || r.next != 0 || len(r.wrong) == 0 {
		t.Errorf("link: %s", r.note())
	}
}
