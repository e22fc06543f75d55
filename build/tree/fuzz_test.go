package tree

import (
	"io/fs"
	"strings"
	"testing"
)

// FuzzTree does what the bytes say, and looks whether the tree still holds
// together: every entry is found by its own path, below a directory, and every
// hard link has a first name with a content.
func FuzzTree(f *testing.F) {
	f.Add([]byte("da fab lxa hxb rab"))
	f.Add([]byte{0, 1, 0, 1, 9, 2, 2, 3, 1, 3, 4, 9, 4, 9, 0, 5, 0, 0})
	f.Add([]byte{2, 1, 1, 1, 13, 1, 0, 1, 0, 3, 2, 13, 1, 2, 2})
	names := []string{".", "a", "b", "a/b", "a/b/a", "b/a", "/a/../b", "a/..", "..", "../a", "x", "a/x", "b/x", "x/a", "", "/"}
	f.Fuzz(func(t *testing.T, ops []byte) {
		tr := New()
		for len(ops) >= 3 && len(ops) < 3000 {
			op, one, two := ops[0], names[ops[1]%16], names[ops[2]%16]
			ops = ops[3:]
			switch op % 9 {
			case 0:
				tr.MkdirAll(one, 0o755)
			case 1:
				tr.WriteFile(one, []byte(two), 0o644)
			case 2:
				tr.Symlink(two, one)
			case 3:
				tr.Add(&Entry{Path: one, Mode: 0o644, Hard: two})
			case 4:
				tr.Remove(one)
			case 5:
				tr.RemoveAll(one)
			case 6:
				tr.Add(&Entry{Path: one, Mode: fs.ModeDir | 0o700})
			case 7:
				tr.Add(&Entry{Path: one, Mode: fs.ModeSymlink | 0o777, Link: two})
			case 8:
				tr.ReadDir(one)
				tr.Resolve(two)
			}
		}
		n := 0
		for e := range tr.Walk() {
			n++
			if e.Path == "." {
				continue
			}
			if e.Path != Clean(e.Path) || e.Path == "" || strings.HasPrefix(e.Path, "..") {
				t.Fatalf("path %q", e.Path)
			}
			have, err := tr.Lstat(e.Path)
			if err != nil || have != e {
				t.Fatalf("%q: %+v, %v; want %+v", e.Path, have, err, e)
			}
			if e.Hard == "" {
				continue
			}
			first, err := tr.Lstat(e.Hard)
			if err != nil || first.Path != e.Hard || first.Hard != "" || !first.Mode.IsRegular() {
				t.Fatalf("%q: first name %q: %+v, %v", e.Path, e.Hard, first, err)
			}
		}
		if n != tr.Len()+1 {
			t.Fatalf("Walk yields %d entries, Len is %d", n, tr.Len())
		}
	})
}
