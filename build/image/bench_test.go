package image

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hoopy/build/apk/oracle"
	"hoopy/build/tiny"
)

// bootList is what the facts of this repository were measured with: 75 packages.
const bootList = "alpine-base openssh e2fsprogs chrony dhcpcd openssl"

// realImage makes the folder of an image of real Alpine packages, 75 of them,
// with a kernel of a few bytes. It is skipped where there are none.
func realImage(t testing.TB) Options {
	t.Helper()
	data := oracle.Data(t)
	dir := t.TempDir()
	if err := tiny.Folder(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "src/base-1-r0")); err != nil {
		t.Fatal(err)
	}
	repo := filepath.Join(dir, "repo")
	if err := tiny.Repository(repo, filepath.Join(dir, "src")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "keys"), os.DirFS(filepath.Join(data, "keys"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "packages"), []byte(bootList+" linux-lts\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := Options{
		Dir: dir, Out: filepath.Join(dir, "out"), Cache: filepath.Join(dir, "cache"),
		Repos: []string{filepath.Join(data, "v3.19/main"), repo}, Keys: []string{filepath.Join(repo, tiny.KeyName)},
	}
	if _, err := Build(t.Context(), o); err != nil { // compiles the programs
		t.Fatal(err)
	}
	return o
}

// coldly forgets all but the packages and the programs.
func coldly(b testing.TB, o Options) {
	b.Helper()
	if err := os.RemoveAll(filepath.Join(o.Cache, "base")); err != nil {
		b.Fatal(err)
	}
	if _, err := Build(b.Context(), o); err != nil {
		b.Fatal(err)
	}
}

// touched builds after a change in root/, the i-th of its kind.
func touched(b testing.TB, o Options, i int) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(o.Dir, "root/etc/motd"), fmt.Appendln(nil, i), 0o644); err != nil {
		b.Fatal(err)
	}
	if _, err := Build(b.Context(), o); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkImage makes an image of 75 real packages: cold is with the packages
// at hand and nothing else, warm with nothing to do, root after a change of one
// file in root/, which is what a person waits for most, but for the go command's
// own start.
func BenchmarkImage(b *testing.B) {
	o := realImage(b)
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			coldly(b, o)
		}
	})
	b.Run("warm", func(b *testing.B) {
		for b.Loop() {
			if _, err := Build(b.Context(), o); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("root", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			touched(b, o, i)
		}
	})
}
