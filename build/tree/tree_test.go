package tree

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// built lays a small merged-usr tree.
func built(t *testing.T) *Tree {
	t.Helper()
	tr := New()
	for _, d := range []string{"usr/bin", "usr/lib", "etc"} {
		if err := tr.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"bin": "usr/bin", "lib": "/usr/lib", "loop": "loop", "etc/up": "../../../../etc", "dangling": "etc/none"} {
		if err := tr.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"bin/sh": "shell", "lib/x.so": "library", "etc/passwd": "root"} {
		if _, err := tr.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

func paths(tr *Tree) []string {
	var out []string
	for e := range tr.Walk() {
		out = append(out, e.Path)
	}
	return out
}

func TestWalk(t *testing.T) {
	want := []string{".", "bin", "dangling", "etc", "etc/passwd", "etc/up", "lib", "loop", "usr", "usr/bin", "usr/bin/sh", "usr/lib", "usr/lib/x.so"}
	tr := built(t)
	if diff := cmp.Diff(want, paths(tr)); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	if tr.Len() != len(want)-1 {
		t.Errorf("Len is %d, want %d", tr.Len(), len(want)-1)
	}
}

func TestResolve(t *testing.T) {
	tr := built(t)
	for _, tc := range []struct {
		name, want string
		err        error
	}{
		{"bin/sh", "usr/bin/sh", nil},
		{"/bin/sh", "usr/bin/sh", nil},
		{"bin/../lib/x.so", "usr/lib/x.so", nil}, // bin is usr/bin, so .. is usr
		{"lib/../../..", ".", nil},
		{"etc/up/passwd", "etc/passwd", nil},
		{"../../etc/passwd", "etc/passwd", nil},
		{"dangling", "etc/none", nil},
		{"", ".", nil},
		{"etc/none", "etc/none", nil},
		{"etc/none/deeper", "", fs.ErrNotExist},
		{"etc/passwd/x", "", ErrNotDir},
		{"loop", "", ErrLoop},
		{"loop/x", "", ErrLoop},
	} {
		have, err := tr.Resolve(tc.name)
		if have != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%q: %q, %v; want %q, %v", tc.name, have, err, tc.want, tc.err)
		}
	}
	if e, err := tr.Lstat("loop"); err != nil || e.Link != "loop" {
		t.Errorf("Lstat of a loop: %v, %v", e, err)
	}
	if _, err := tr.Stat("dangling"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat of a dangling link: %v", err)
	}
}

func TestAdd(t *testing.T) {
	for _, tc := range []struct {
		name string
		e    Entry
		at   string
		err  error
	}{
		{"through a link", Entry{Path: "bin/ls"}, "usr/bin/ls", nil},
		{"over a file", Entry{Path: "etc/passwd"}, "etc/passwd", nil},
		{"a directory's new mode", Entry{Path: "usr", Mode: fs.ModeDir | 0o700}, "usr", nil},
		{"the root's", Entry{Path: ".", Mode: fs.ModeDir | 0o711}, ".", nil},
		{"the root as a file", Entry{Path: "."}, "", ErrIsDir},
		{"over a link, not through it", Entry{Path: "bin", Mode: fs.ModeSymlink, Link: "x"}, "bin", nil},
		{"a directory over a file", Entry{Path: "etc/passwd", Mode: fs.ModeDir}, "", ErrNotDir},
		{"a file over a full directory", Entry{Path: "usr"}, "", ErrNotEmpty},
		{"without parent", Entry{Path: "a/b"}, "", fs.ErrNotExist},
		{"below a file", Entry{Path: "etc/passwd/b"}, "", ErrNotDir},
		{"hard link", Entry{Path: "bin/ash", Hard: "bin/sh"}, "usr/bin/ash", nil},
		{"hard link to nothing", Entry{Path: "bin/ash", Hard: "bin/none"}, "", fs.ErrNotExist},
		{"hard link to a directory", Entry{Path: "bin/ash", Hard: "etc"}, "", ErrNotFile},
		{"hard link to itself", Entry{Path: "bin/sh", Hard: "usr/bin/sh"}, "", fs.ErrExist},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := built(t)
			e := tc.e
			err := tr.Add(&e)
			if !errors.Is(err, tc.err) {
				t.Fatalf("%v, want %v", err, tc.err)
			}
			if err != nil {
				return
			}
			if have, ok := tr.Get(tc.at); !ok || have != &e || e.Path != tc.at {
				t.Errorf("at %q: %+v, want %+v", tc.at, have, e)
			}
		})
	}
}

func TestHardLinks(t *testing.T) {
	tr := built(t)
	for _, n := range []string{"bin/a", "bin/b"} {
		if err := tr.Add(&Entry{Path: n, Mode: 0o644, Hard: "bin/sh"}); err != nil {
			t.Fatal(err)
		}
	}
	// a link to a link is one to the first name
	if err := tr.Add(&Entry{Path: "bin/c", Mode: 0o644, Hard: "bin/b"}); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		t.Helper()
		data, err := tr.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	// the first name goes; the rest keep the content
	if err := tr.Remove("bin/sh"); err != nil {
		t.Fatal(err)
	}
	if e, _ := tr.Get("bin/a"); e.Hard != "" || e.Size != 5 {
		t.Errorf("the next name did not take over: %+v", e)
	}
	for _, n := range []string{"bin/b", "bin/c"} {
		if e, _ := tr.Get(n); e.Hard != "usr/bin/a" || read(n) != "shell" {
			t.Errorf("%s: %+v", n, e)
		}
	}
	// writing breaks one name off
	if _, err := tr.WriteFile("bin/a", []byte("other"), 0); err != nil {
		t.Fatal(err)
	}
	if read("bin/a") != "other" || read("bin/b") != "shell" || read("bin/c") != "shell" {
		t.Errorf("after writing: %q %q %q", read("bin/a"), read("bin/b"), read("bin/c"))
	}
	if err := tr.Remove("bin/c"); err != nil {
		t.Fatal(err)
	}
	if err := tr.Remove("bin/b"); err != nil {
		t.Fatal(err)
	}
	if len(tr.hard) != 0 {
		t.Errorf("links that are gone are remembered: %v", tr.hard)
	}
}

func TestRemove(t *testing.T) {
	tr := built(t)
	if err := tr.Remove("usr"); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("a full directory: %v", err)
	}
	if err := tr.Remove("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	if err := tr.RemoveAll("."); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("the root: %v", err)
	}
	if err := tr.RemoveAll("none"); err != nil {
		t.Errorf("nothing, with all: %v", err)
	}
	if err := tr.RemoveAll("bin"); err != nil {
		t.Fatal(err)
	}
	if _, ok := tr.Get("usr/bin/sh"); !ok {
		t.Error("removing a link removed what it names")
	}
	if err := tr.RemoveAll("usr"); err != nil {
		t.Fatal(err)
	}
	if have := paths(tr); slices.ContainsFunc(have, func(p string) bool { return len(p) > 3 && p[:3] == "usr" }) || tr.Len() != len(have)-1 {
		t.Errorf("left: %q, Len %d", have, tr.Len())
	}
}

func TestFiles(t *testing.T) {
	tr := built(t)
	e, err := tr.WriteFile("etc/passwd", []byte("new"), 0o600)
	if err != nil || e.Mode != 0o644 || e.Size != 3 {
		t.Errorf("a file keeps its mode: %+v, %v", e, err)
	}
	e, err = tr.WriteFile("dangling", []byte("x"), 0o600)
	if err != nil || e.Path != "etc/none" || e.Mode != 0o600 {
		t.Errorf("through a dangling link: %+v, %v", e, err)
	}
	if _, err := tr.WriteFile("etc", nil, 0); !errors.Is(err, ErrNotFile) {
		t.Errorf("onto a directory: %v", err)
	}
	if _, err := tr.ReadFile("etc"); !errors.Is(err, ErrNotFile) {
		t.Errorf("a directory: %v", err)
	}
	if err := tr.Add(&Entry{Path: "empty"}); err != nil {
		t.Fatal(err)
	}
	if data, err := tr.ReadFile("empty"); err != nil || len(data) != 0 {
		t.Errorf("empty: %q, %v", data, err)
	}
	broken := errors.New("broken")
	if err := tr.Add(&Entry{Path: "broken", Open: func() (io.ReadCloser, error) { return nil, broken }}); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.ReadFile("broken"); !errors.Is(err, broken) {
		t.Errorf("broken: %v", err)
	}
	if err := tr.MkdirAll("bin/deep/er", 0o750); err != nil {
		t.Fatal(err)
	}
	if e, ok := tr.Get("usr/bin/deep/er"); !ok || e.Mode != fs.ModeDir|0o750 {
		t.Errorf("MkdirAll: %+v", e)
	}
	if err := tr.MkdirAll("etc/passwd/x", 0); !errors.Is(err, ErrNotDir) {
		t.Errorf("MkdirAll below a file: %v", err)
	}
	if err := tr.Symlink("x", "bin"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Symlink over a link: %v", err)
	}
	list, err := tr.ReadDir("bin")
	if err != nil || len(list) != 2 || list[0].Path != "usr/bin/deep" {
		t.Errorf("ReadDir: %v, %v", list, err)
	}
	if _, err := tr.ReadDir("etc/passwd"); !errors.Is(err, ErrNotDir) {
		t.Errorf("ReadDir of a file: %v", err)
	}
}
