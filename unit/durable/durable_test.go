package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder")
	for _, text := range []string{"long, as the first one is", "short", ""} {
		if err := Write(dir, "file", text); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(b) != text {
			t.Errorf("%q, %v; want %q", b, err, text)
		}
		if l, err := os.ReadDir(dir); err != nil || len(l) != 1 {
			t.Errorf("left: %v, %v", l, err)
		}
	}
	if err := Remove(dir, "file"); err != nil {
		t.Error(err)
	}
	if err := Remove(dir, "file"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := Write(filepath.Join(dir, "not", "there"), "file", "text"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, "taken", "text"); err == nil {
		t.Error("a folder was written over")
	}
}
