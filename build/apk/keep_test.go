package apk

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRecall: a lock may name what the repository no longer lists.
func TestRecall(t *testing.T) {
	old := small("one")
	root := makeRepo(t, old, small("two"))
	s := httptest.NewServer(http.FileServer(http.Dir(root)))
	defer s.Close()
	c := openCache(t)
	r := openRepo(t, s.URL, c, FetchOptions{})
	locked := map[Checksum]bool{}
	for _, p := range r.Packages {
		locked[p.Checksum] = true
		if _, err := c.Fetch(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	// the repository moves on
	newer := small("one")
	newer.Info.Version = "1.1-r0"
	next := makeRepo(t, newer)
	for _, f := range []string{IndexName, "one-1.1-r0.apk"} {
		data, err := os.ReadFile(filepath.Join(next, "x86_64", f))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "x86_64", f), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, offline := range []bool{false, true} {
		r = openRepo(t, s.URL, c, FetchOptions{Offline: offline})
		if len(r.Packages) != 1 || r.Packages[0].Version != "1.1-r0" {
			t.Fatalf("the current index is not the new one: %d packages", len(r.Packages))
		}
		pkgs, err := c.Recall(t.Context(), r, locked)
		if err != nil || len(pkgs) != 2 {
			t.Fatalf("%d packages, %v; want 2", len(pkgs), err)
		}
		for _, p := range pkgs {
			if _, err := c.Fetch(t.Context(), p); err != nil {
				t.Error(err)
			}
		}
	}
	// nobody listed this one, and a folder has no past
	if pkgs, err := c.Recall(t.Context(), r, map[Checksum]bool{{1}: true}); err != nil || len(pkgs) != 0 {
		t.Errorf("%v, %v", pkgs, err)
	}
	if pkgs, err := c.Recall(t.Context(), openRepo(t, root, c, FetchOptions{}), locked); err != nil || len(pkgs) != 0 {
		t.Errorf("%v, %v", pkgs, err)
	}
	// an old index that was tampered with is of no use, and says so
	kept, err := c.kept(c.indexDir(s.URL, "x86_64"))
	if err != nil || len(kept) != 2 {
		t.Fatalf("kept %q, %v", kept, err)
	}
	for _, name := range kept {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, spoil(data, len(data)/2), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var n notes
	r.options.Note = n.add
	if pkgs, err := c.Recall(t.Context(), r, locked); err != nil || len(pkgs) != 0 {
		t.Errorf("from spoiled indexes: %v, %v", pkgs, err)
	}
	if !strings.Contains(n.String(), "moved to") || len(files(t, c, "rejected")) != 2 {
		t.Errorf("notes %q, rejected %q", n.String(), files(t, c, "rejected"))
	}
}

func TestKeepsSoMany(t *testing.T) {
	c := openCache(t)
	dir := c.indexDir("x", "y")
	for i := range keptMost + 5 {
		if err := c.keep(dir, fmt.Appendf(nil, "index %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := c.kept(dir)
	if err != nil || len(kept) != keptMost+1 {
		t.Errorf("%d kept, %v; want %d", len(kept), err, keptMost+1)
	}
	name, err := c.current(dir)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(name); err != nil || string(data) != fmt.Sprintf("index %d", keptMost+4) {
		t.Errorf("the current one is %q, %v", data, err)
	}
}

// TestPowerCut: whatever stands in the cache after one, it is either whole or
// refused.
func TestPowerCut(t *testing.T) {
	root := makeRepo(t, small("one"))
	s := httptest.NewServer(http.FileServer(http.Dir(root)))
	defer s.Close()
	c := openCache(t)
	p := openRepo(t, s.URL, c, FetchOptions{}).Packages[0]
	good, err := os.ReadFile(filepath.Join(root, "x86_64", p.File()))
	if err != nil {
		t.Fatal(err)
	}
	// a half-written file beside: not looked at
	if err := os.WriteFile(filepath.Join(c.dir, "package/.new-77"), good[:100], 0o644); err != nil {
		t.Fatal(err)
	}
	if c.Cached(p) {
		t.Error("a half-written file counts as cached")
	}
	if _, err := c.Fetch(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	// a disk that lies: the name is there, the content is not
	for _, bad := range [][]byte{{}, good[:100], make([]byte, len(good))} {
		if err := os.WriteFile(c.packageFile(p.Checksum), bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Fetch(t.Context(), p); !refused(err) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
		if _, err := c.Fetch(t.Context(), p); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	}
	// the file that says which index is current
	for _, bad := range []string{"", "\x00\x00", "../../etc/passwd\n", "none.tar.gz\n"} {
		if err := os.WriteFile(filepath.Join(c.indexDir(s.URL, "x86_64"), currentFile), []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenRepo(t.Context(), s.URL, "x86_64", testKeys(), c, FetchOptions{Offline: true}); err == nil {
			t.Errorf("current is %q, and an index was read", bad)
		}
		openRepo(t, s.URL, c, FetchOptions{})
	}
}
