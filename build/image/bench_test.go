package image

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hoopy/build/tiny"
)

// BenchmarkRootChange is what a person waits for who edits a file of root/:
// everything but the go command's own start.
func BenchmarkRootChange(b *testing.B) {
	dir := b.TempDir()
	if err := tiny.Folder(dir); err != nil {
		b.Fatal(err)
	}
	repo := filepath.Join(dir, "repo")
	if err := tiny.Repository(repo, filepath.Join(dir, "src")); err != nil {
		b.Fatal(err)
	}
	o := Options{
		Dir: dir, Out: filepath.Join(dir, "out"), Cache: filepath.Join(dir, "cache"),
		Repos: []string{repo}, Keys: []string{filepath.Join(repo, tiny.KeyName)},
	}
	if _, err := Build(b.Context(), o); err != nil {
		b.Fatal(err)
	}
	motd := filepath.Join(dir, "root/etc/motd")
	for i := 0; b.Loop(); i++ {
		if err := os.WriteFile(motd, fmt.Appendln(nil, i), 0o644); err != nil {
			b.Fatal(err)
		}
		if _, err := Build(b.Context(), o); err != nil {
			b.Fatal(err)
		}
	}
}
