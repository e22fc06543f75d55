//go:build priv

package install

import (
	"os"
	"path/filepath"
	"testing"

	"hoopy/build/apk/oracle"
)

// TestScriptsAsBusybox runs the snippets of TestScripts in a real root, by
// busybox's own shell and commands.
func TestScriptsAsBusybox(t *testing.T) {
	alpine := oracle.New(t)
	for _, tc := range snippets {
		t.Run(tc.name, func(t *testing.T) {
			root := &oracle.Root{Dir: t.TempDir()}
			for _, name := range []string{"bin", "lib", "usr/bin", "usr/sbin", "sbin", "dev", "home", "var"} {
				if err := os.MkdirAll(filepath.Join(root.Dir, name), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			libs, err := filepath.Glob(filepath.Join(alpine.Dir, "lib/ld-musl-*"))
			if err != nil || len(libs) != 1 {
				t.Fatalf("libraries %q, %v", libs, err)
			}
			for _, name := range []string{"bin/busybox", "usr/bin/getent", "lib/" + filepath.Base(libs[0])} {
				if err := os.Link(filepath.Join(alpine.Dir, name), filepath.Join(root.Dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			for _, e := range base().Entries {
				if e.Mode.IsDir() {
					if err := os.MkdirAll(filepath.Join(root.Dir, e.Path), 0o755); err != nil {
						t.Fatal(err)
					}
					continue
				}
				if e.Path == "bin/busybox" {
					continue
				}
				r, err := e.Open()
				if err != nil {
					t.Fatal(err)
				}
				f, err := os.Create(filepath.Join(root.Dir, e.Path))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.ReadFrom(r); err != nil {
					t.Fatal(err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if out, err := root.Run("", "/bin/busybox", "--install", "-s"); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if out, err := root.Run("", "/bin/sh", "-c", tc.text); err != nil {
				t.Logf("%v\n%s", err, out)
			}
			have, err := os.ReadFile(filepath.Join(root.Dir, "out"))
			if err != nil || string(have) != tc.want {
				t.Errorf("busybox makes %q of it, %v; the table says %q", have, err, tc.want)
			}
		})
	}
}
