package image

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"hoopy/build/tiny"
)

// full is an image that uses what could let the host in: users whose numbers
// are chosen, a script, files of any mode, all compressed.
func full(t *testing.T, dir string, o *Options) {
	t.Helper()
	if err := tiny.Folder(dir); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "image.toml"), read(t, filepath.Join(dir, "image.toml"))+`
[users]
ann = { keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== ann"] }
bob = {}
[groups]
ops = { members = ["ann"] }
[[file]]
path = "/etc/token"
content = "x"
mode = "0600"
owner = "bob"
`)
	write(t, filepath.Join(dir, "setup.sh"), "echo made >/etc/made\n")
	*o = Options{Dir: dir, Out: filepath.Join(dir, "out"), Cache: filepath.Join(dir, "cache")}
}

// Two folders, two umasks, two days, one processor and many, a cold cache and
// a warm one: the same bytes.
func TestReproducible(t *testing.T) {
	top := t.TempDir()
	var first, second Options
	old := syscall.Umask(0o022)
	t.Cleanup(func() { syscall.Umask(old) })
	full(t, filepath.Join(top, "one"), &first)
	repo := filepath.Join(top, "one/repo")
	if err := tiny.Repository(repo, filepath.Join(top, "one/src")); err != nil {
		t.Fatal(err)
	}
	today := time.Date(2026, 11, 20, 23, 59, 0, 0, time.UTC)
	syscall.Umask(0o077)
	full(t, filepath.Join(top, "elsewhere/and/deeper"), &second)
	sums := map[string]string{}
	for _, tc := range []struct {
		name  string
		o     Options
		umask int
		procs int
		day   time.Time
		fresh bool
	}{
		{"cold", first, 0o022, 1, today, true},
		{"warm", first, 0o077, 8, today.Add(36 * time.Hour), false},
		{"cold again", first, 0o000, 4, today.Add(400 * 24 * time.Hour), true},
		{"elsewhere", second, 0o077, 2, today.Add(-time.Hour), true},
		{"elsewhere, warm", second, 0o027, 1, today, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(tc.procs))
			syscall.Umask(tc.umask)
			if tc.fresh {
				if err := os.RemoveAll(filepath.Join(tc.o.Cache, "base")); err != nil {
					t.Fatal(err)
				}
			}
			// a checkout has the time of its day
			if err := filepath.WalkDir(filepath.Join(tc.o.Dir, "root"), func(file string, _ os.DirEntry, err error) error {
				return os.Chtimes(file, tc.day, tc.day)
			}); err != nil {
				t.Fatal(err)
			}
			tc.o.Now = func() time.Time { return tc.day }
			tc.o.Repos, tc.o.Keys = []string{repo}, []string{filepath.Join(repo, tiny.KeyName)}
			r := build(t, tc.o)
			for _, file := range []string{r.Initramfs, r.Vmlinuz, r.Manifest} {
				sum, err := fileSum(file)
				if err != nil {
					t.Fatal(err)
				}
				name := filepath.Base(file)
				if sums[name] == "" {
					sums[name] = sum
				}
				if sums[name] != sum {
					t.Errorf("%s differs", name)
				}
			}
		})
	}
}

// Each compression gives the same bytes with one processor and with many, and
// all of them unpack to the same.
func TestCompressionsAgree(t *testing.T) {
	var o Options
	full(t, t.TempDir(), &o)
	repo := filepath.Join(o.Dir, "repo")
	if err := tiny.Repository(repo, filepath.Join(o.Dir, "src")); err != nil {
		t.Fatal(err)
	}
	o.Repos, o.Keys = []string{repo}, []string{filepath.Join(repo, tiny.KeyName)}
	plain := read(t, filepath.Join(o.Dir, "image.toml"))
	var base *Contents
	for _, kind := range []string{"none", "zstd", "lz4", "gzip"} {
		for _, release := range []bool{false, true} {
			write(t, filepath.Join(o.Dir, "image.toml"), fmt.Sprintf("compression = %q\n", kind)+plain)
			o.Release = release
			var sum string
			for _, procs := range []int{1, 4} {
				func() {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
					frames, err := filepath.Glob(filepath.Join(o.Cache, "base/*/*.frames*"))
					if err != nil {
						t.Fatal(err)
					}
					for _, f := range frames {
						if err := os.Remove(f); err != nil {
							t.Fatal(err)
						}
					}
					build(t, o)
				}()
				now, err := fileSum(filepath.Join(o.Out, "initramfs"))
				if err != nil {
					t.Fatal(err)
				}
				if sum != "" && now != sum {
					t.Errorf("%s, release %v: the number of processors shows", kind, release)
				}
				sum = now
			}
			c, err := Inspect(o.Out)
			if err != nil {
				t.Fatal(err)
			}
			if base == nil {
				base = c
			}
			if lines := Diff(base, c); len(lines) > 0 || !c.Complete {
				t.Errorf("%s: complete %v, %s", kind, c.Complete, strings.Join(lines, "\n"))
			}
			if len(c.Segments) != frames || c.Segments[0].Kind != kind {
				t.Errorf("%s: segments %+v", kind, c.Segments)
			}
		}
	}
}
