package apk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// notes collects what Note hears.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) add(l string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, l)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.lines, "\n")
}

// mirror serves a repository, and packages in the way that bad says.
func mirror(t *testing.T, root string, bad http.HandlerFunc) (*httptest.Server, *atomic.Int32) {
	var asked atomic.Int32
	files := http.FileServer(http.Dir(root))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if bad != nil && path.Ext(r.URL.Path) == ".apk" {
			asked.Add(1)
			bad(w, r)
			return
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s, &asked
}

func TestBadMirrors(t *testing.T) {
	root := makeRepo(t, small("one"))
	good, _ := mirror(t, root, nil)
	half := func(w http.ResponseWriter, r *http.Request) {
		data, err := os.ReadFile(path.Join(root, r.URL.Path))
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.Write(data[:len(data)/2])
		// the handler's return closes the connection: the rest never comes
	}
	stalled := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "500")
		w.Write([]byte("xx"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	for _, tc := range []struct {
		name  string
		bad   http.HandlerFunc
		asked int32
		says  string
	}{
		{"dies half-way", half, 2, "unexpected EOF"},
		{"stalls", stalled, 2, "nothing more came in time"},
		{"answers 500", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }, 2, "answered 500"},
		{"answers 404", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) }, 1, "answered 404"},
		{"answers something else", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>") }, 1, "do not match"},
		{"answers without end", func(w http.ResponseWriter, r *http.Request) {
			for range 1000 {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, 2, "more than"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, asked := mirror(t, root, tc.bad)
			var n notes
			o := FetchOptions{Attempts: 2, Pause: time.Millisecond, Connect: time.Minute, Stall: time.Minute, Note: n.add}
			if tc.name == "stalls" {
				o.Stall = 2 * time.Second // the good mirror has no more on a busy machine
			}
			// alone
			cache := openCache(t)
			p := openRepo(t, s.URL, cache, o).Packages[0]
			_, err := cache.Fetch(t.Context(), p)
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "one-1.0-r0") || !strings.Contains(err.Error(), s.URL) {
				t.Errorf("alone: %v; want the package, the mirror and %q", err, tc.says)
			}
			if asked.Load() != tc.asked {
				t.Errorf("asked %d times, want %d", asked.Load(), tc.asked)
			}
			noLeftovers(t, cache)
			if cache.Cached(p) {
				t.Error("half a package is in the cache")
			}
			// with another mirror behind it
			o.Mirrors = []string{good.URL}
			p = openRepo(t, s.URL, cache, o).Packages[0]
			if _, err := cache.Fetch(t.Context(), p); err != nil {
				t.Errorf("with a good mirror: %v", err)
			}
			if !strings.Contains(n.String(), tc.says) {
				t.Errorf("notes %q do not say %q", n.String(), tc.says)
			}
		})
	}
}

func TestOffline(t *testing.T) {
	root := makeRepo(t, small("one"), small("two"))
	s, _ := mirror(t, root, nil)
	cache := openCache(t)
	if _, err := OpenRepo(t.Context(), s.URL, "x86_64", testKeys(), cache, FetchOptions{Offline: true}); !errors.Is(err, ErrOffline) {
		t.Errorf("with nothing cached: %v", err)
	}
	r := openRepo(t, s.URL, cache, FetchOptions{})
	if _, err := cache.Fetch(t.Context(), r.Packages[0]); err != nil {
		t.Fatal(err)
	}
	s.Close()
	off := openRepo(t, s.URL, cache, FetchOptions{Offline: true})
	if _, err := cache.Fetch(t.Context(), off.Packages[0]); err != nil {
		t.Errorf("the cached package: %v", err)
	}
	if _, err := cache.Fetch(t.Context(), off.Packages[1]); !errors.Is(err, ErrOffline) {
		t.Errorf("the other package: %v", err)
	}
	// a mirror that is gone is as good as the network being off, for the index
	var n notes
	gone := openRepo(t, s.URL, cache, FetchOptions{Attempts: 1, Note: n.add})
	if !strings.Contains(n.String(), "using the cached index") {
		t.Errorf("notes: %q", n.String())
	}
	var un *UnreachableError
	if _, err := cache.Fetch(t.Context(), gone.Packages[1]); !errors.As(err, &un) {
		t.Errorf("a package of a mirror that is gone: %v", err)
	}
}

func TestDownloadEnds(t *testing.T) {
	// a listener that accepts and says nothing
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := "http://" + l.Addr().String()
	_, err = OpenRepo(t.Context(), at, "x86_64", testKeys(), openCache(t), FetchOptions{Attempts: 1, Connect: 50 * time.Millisecond, Stall: 50 * time.Millisecond})
	var un *UnreachableError
	if !errors.As(err, &un) || un.Answered {
		t.Errorf("a silent mirror: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenRepo(ctx, at, "x86_64", testKeys(), openCache(t), FetchOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestTwoBuilds(t *testing.T) {
	root := makeRepo(t, small("one"), small("two"), small("three"))
	s, _ := mirror(t, root, nil)
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c, err := NewCache(dir)
			if err != nil {
				t.Error(err)
				return
			}
			r, err := OpenRepo(t.Context(), s.URL, "x86_64", testKeys(), c, FetchOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			for _, p := range r.Packages {
				if _, err := c.Fetch(t.Context(), p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	c, err := NewCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	noLeftovers(t, c)
	if n := len(files(t, c, "package")); n != 3 {
		t.Errorf("%d packages in the cache, want 3", n)
	}
}

func TestSweep(t *testing.T) {
	c := openCache(t)
	old, fresh := c.dir+"/package/.new-1", c.dir+"/package/.new-2"
	for _, f := range []string{old, fresh} {
		if err := os.WriteFile(f, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	if err := c.Sweep(); err != nil {
		t.Fatal(err)
	}
	if have := files(t, c, "package"); len(have) != 1 || have[0] != ".new-2" {
		t.Errorf("after the sweep: %q", have)
	}
}
