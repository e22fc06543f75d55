package apk

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// large is a package of some 200 KB that does not compress.
func large(name string) *Archive {
	b := make([]byte, 200_000)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	a := small(name)
	a.Entries = append(a.Entries, fileEntry("usr/large", string(b)))
	return a
}

// flaky serves files, but breaks off each answer after some bytes. What it was
// asked for is in asked.
type flaky struct {
	root   string
	after  int
	ranges bool // honours Range
	tag    func() string
	lie    bool // answers a Range with another part
	mu     sync.Mutex
	asked  []string
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := os.ReadFile(path.Join(f.root, r.URL.Path))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if path.Ext(r.URL.Path) != ".apk" {
		w.Write(data)
		return
	}
	f.mu.Lock()
	f.asked = append(f.asked, r.Header.Get("Range"))
	f.mu.Unlock()
	tag := ""
	if f.tag != nil {
		tag = f.tag()
		w.Header().Set("ETag", tag)
	}
	from := 0
	cond := r.Header.Get("If-Range")
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil && f.ranges && (cond == "" || cond == tag) {
		if f.lie {
			from /= 2
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
		data = data[from:]
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.WriteHeader(http.StatusPartialContent)
	} else {
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	}
	// a shorter body than promised: the connection is closed
	w.Write(data[:min(len(data), f.after)])
}

func TestResume(t *testing.T) {
	root := makeRepo(t, large("one"))
	good, err := os.ReadFile(filepath.Join(root, "x86_64/one-1.0-r0.apk"))
	if err != nil {
		t.Fatal(err)
	}
	always := func() string { return `"1"` }
	n := 0
	changing := func() string { n++; return fmt.Sprintf(`"%d"`, n) }
	for _, tc := range []struct {
		name  string
		f     *flaky
		asked int // 0: it fails
	}{
		{"goes on where it broke off", &flaky{after: 60_000, ranges: true, tag: always}, 4},
		{"without a tag", &flaky{after: 60_000, ranges: true}, 4},
		{"with a weak tag", &flaky{after: 60_000, ranges: true, tag: func() string { return `W/"1"` }}, 4},
		{"no ranges", &flaky{after: 60_000, tag: always}, 0},
		{"another file each time", &flaky{after: 60_000, ranges: true, tag: changing}, 0},
		{"another part than asked for", &flaky{after: 60_000, ranges: true, lie: true}, 0},
		{"hardly anything each time", &flaky{after: 10, ranges: true}, 0},
		{"whole", &flaky{after: 1 << 20, ranges: true}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := tc.f
			f.root = root
			s := httptest.NewServer(f)
			defer s.Close()
			c := openCache(t)
			p := openRepo(t, s.URL, c, FetchOptions{Attempts: 3, Pause: time.Millisecond}).Packages[0]
			_, err := c.Fetch(t.Context(), p)
			if (err == nil) != (tc.asked > 0) {
				t.Fatalf("%v, asked %q", err, f.asked)
			}
			noLeftovers(t, c)
			if tc.asked == 0 {
				if len(f.asked) > 24 {
					t.Errorf("asked %d times", len(f.asked))
				}
				return
			}
			have, err := os.ReadFile(c.packageFile(p.Checksum))
			if err != nil || !bytes.Equal(have, good) {
				t.Errorf("the cached file is not the package: %d bytes, %v", len(have), err)
			}
			if len(f.asked) != tc.asked {
				t.Errorf("asked %q, want %d times", f.asked, tc.asked)
			}
		})
	}
}

// TestResumeElsewhere: what one mirror began, another ends; and one that has
// another file there spoils nothing.
func TestResumeElsewhere(t *testing.T) {
	root := makeRepo(t, large("one"))
	other := t.TempDir()
	if err := os.CopyFS(other, os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(other, "x86_64/one-1.0-r0.apk")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, spoil(data, 5000), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, first := range []string{root, other} {
		f, g := &flaky{root: first, after: 90_000}, &flaky{root: root, after: 1 << 20, ranges: true}
		a, b := httptest.NewServer(f), httptest.NewServer(g)
		c := openCache(t)
		p := openRepo(t, a.URL, c, FetchOptions{Attempts: 1, Pause: time.Millisecond, Mirrors: []string{b.URL}}).Packages[0]
		_, err := c.Fetch(t.Context(), p)
		if err != nil {
			t.Error(err)
		}
		if len(g.asked) == 0 || g.asked[0] != "bytes=90000-" {
			t.Errorf("the second was asked for %q", g.asked)
		}
		if first == other && len(g.asked) != 2 {
			t.Errorf("the second was asked for %q; want the rest and then the whole", g.asked)
		}
		a.Close()
		b.Close()
	}
}

func TestFolderAsMirror(t *testing.T) {
	root := makeRepo(t, small("one"))
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	c := openCache(t)
	var n notes
	r := openRepo(t, gone.URL, c, FetchOptions{Attempts: 1, Mirrors: []string{"file://" + root}, Note: n.add})
	if _, err := c.Fetch(t.Context(), r.Packages[0]); err != nil {
		t.Error(err)
	}
	if !strings.Contains(n.String(), "answered 404") {
		t.Errorf("notes: %q", n.String())
	}
	// one that is not plugged in is passed over
	s := httptest.NewServer(http.FileServer(http.Dir(root)))
	defer s.Close()
	c = openCache(t)
	r = openRepo(t, gone.URL, c, FetchOptions{Attempts: 9, Pause: time.Hour, Mirrors: []string{"file:///no/such/stick", s.URL}})
	if _, err := c.Fetch(t.Context(), r.Packages[0]); err != nil {
		t.Error(err)
	}
	// a repository in a folder is never downloaded
	if err := c.Download(t.Context(), openRepo(t, root, c, FetchOptions{}).Packages, DownloadOptions{Progress: func(Progress) { t.Error("progress") }}); err != nil {
		t.Error(err)
	}
}

func TestDownload(t *testing.T) {
	var list []*Archive
	for i := range 9 {
		list = append(list, large(fmt.Sprintf("p%d", i)))
	}
	root := makeRepo(t, list...)
	files := http.FileServer(http.Dir(root))
	var now, most atomic.Int32
	three := make(chan struct{}) // closed when three are asked for at once
	once := sync.OnceFunc(func() { close(three) })
	var alone atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Ext(r.URL.Path) == ".apk" && !alone.Load() {
			n := now.Add(1)
			defer now.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			if n == 3 {
				once()
			}
			select {
			case <-three:
			case <-time.After(time.Minute):
			}
		}
		files.ServeHTTP(w, r)
	}))
	defer s.Close()
	c := openCache(t)
	r := openRepo(t, s.URL, c, FetchOptions{})
	alone.Store(true)
	if _, err := c.Fetch(t.Context(), r.Packages[0]); err != nil {
		t.Fatal(err)
	}
	alone.Store(false)
	var all []Progress
	o := DownloadOptions{Parallel: 3, Progress: func(p Progress) { all = append(all, p) }}
	if err := c.Download(t.Context(), r.Packages, o); err != nil {
		t.Fatal(err)
	}
	if most.Load() != 3 {
		t.Errorf("%d at a time, want 3", most.Load())
	}
	size := int64(0)
	for _, p := range r.Packages[1:] {
		size += p.Size
	}
	if len(all) < 2 || all[0] != (Progress{OfPackages: 8, OfBytes: size}) || all[len(all)-1] != (Progress{8, 8, size, size}) {
		t.Errorf("progress %v, want from 0 to 8 packages of %d bytes", all, size)
	}
	for _, p := range r.Packages {
		if !c.Cached(p) {
			t.Errorf("%s is not cached", p.ID())
		}
	}
	all = nil
	if err := c.Download(t.Context(), r.Packages, o); err != nil || len(all) != 0 {
		t.Errorf("again: %v, progress %v", err, all)
	}
}

func TestDownloadFails(t *testing.T) {
	root := makeRepo(t, small("one"), small("two"), small("three"))
	s := httptest.NewServer(http.FileServer(http.Dir(root)))
	defer s.Close()
	c := openCache(t)
	r := openRepo(t, s.URL, c, FetchOptions{Attempts: 1})
	if err := os.Remove(filepath.Join(root, "x86_64/two-1.0-r0.apk")); err != nil {
		t.Fatal(err)
	}
	err := c.Download(t.Context(), r.Packages, DownloadOptions{Parallel: 1})
	if err == nil || !strings.Contains(err.Error(), "package two-1.0-r0") || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Download(ctx, r.Packages, DownloadOptions{}); err == nil {
		t.Error("cancelled, and no error")
	}
	off := openRepo(t, s.URL, c, FetchOptions{Offline: true})
	if err := c.Download(t.Context(), off.Packages, DownloadOptions{}); err == nil || !strings.Contains(err.Error(), "the network is off") {
		t.Errorf("offline: %v", err)
	}
}

// TestProgressRate: a fast download does not drown a terminal.
func TestProgressRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := 0
		m := meter{tell: func(Progress) { said++ }, p: Progress{OfPackages: 1}}
		for range 1000 {
			m.add(1)
			time.Sleep(time.Millisecond)
		}
		m.done()
		if said < 9 || said > 12 {
			t.Errorf("told %d times in a second", said)
		}
	})
}
