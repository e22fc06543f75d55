//go:build e2e

package e2e

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"hoopy/build/cpio"
)

// File is one file of an Overlay. The zero mode means 0644.
type File struct {
	Mode    uint32
	Content []byte
	Link    string // makes it a symbolic link
}

// Overlay returns an initramfs that is base with files laid over it, as one
// segment more; an empty base means none. Paths are relative to the root. The
// files belong to root. Directories above them are 0755, but /root 0700 and
// /tmp 1777.
func Overlay(t testing.TB, base string, files map[string]File) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "initramfs"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if base != "" {
		in, err := os.Open(base)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		n, err := io.Copy(out, in)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(make([]byte, -n&3)); err != nil { // a plain segment starts at a multiple of 4
			t.Fatal(err)
		}
	}
	w := cpio.NewWriter(out)
	if err := segment(w, files); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

func segment(w *cpio.Writer, files map[string]File) error {
	dirs := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := parents(w, dirs, path.Dir(name)); err != nil {
			return err
		}
		f := files[name]
		h := cpio.Header{Name: name, Mode: cpio.TypeRegular | 0o644}
		if f.Mode != 0 {
			h.Mode = cpio.TypeRegular | f.Mode
		}
		if f.Link != "" {
			h.Mode, f.Content = cpio.TypeSymlink|0o777, []byte(f.Link)
		}
		h.Size = uint32(len(f.Content))
		if err := w.Add(h, bytes.NewReader(f.Content)); err != nil {
			return err
		}
	}
	return w.Close()
}

func parents(w *cpio.Writer, dirs map[string]bool, dir string) error {
	if dir == "." || dirs[dir] {
		return nil
	}
	if err := parents(w, dirs, path.Dir(dir)); err != nil {
		return err
	}
	dirs[dir] = true
	mode := uint32(0o755)
	switch dir {
	case "root", "root/.ssh":
		mode = 0o700
	case "tmp":
		mode = 0o1777
	}
	return w.Add(cpio.Header{Name: dir, Mode: cpio.TypeDir | mode}, nil)
}
