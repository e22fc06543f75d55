package timers

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestStoreSparesTheDisk(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(func(line string) { t.Error(line) }, nil)
		go s.run(t.Context())
		path := filepath.Join(dir, "a")
		content := func() string {
			synctest.Wait()
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		day := time.Duration(time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC).UnixNano())
		s.put("a", day)
		synctest.Wait()
		if _, err := os.Stat(path); err == nil {
			t.Error("it was written nowhere, and is there")
		}
		s.use(dir)
		if got := content(); got != "2026-11-21T02:00:00Z\n" {
			t.Errorf("%q", got)
		}
		for i := range 9 {
			time.Sleep(time.Minute)
			s.put("a", day+time.Duration(i+1)*time.Minute)
		}
		if got := content(); got != "2026-11-21T02:00:00Z\n" {
			t.Errorf("%q is written too soon", got)
		}
		time.Sleep(time.Minute)
		if got := content(); got != "2026-11-21T02:09:00Z\n" {
			t.Errorf("%q", got)
		}
	})
}

func TestStoreTriesAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "persist", "timers")
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var lines []string
		s := newStore(func(line string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, line)
		}, nil)
		go s.run(t.Context())
		s.use(dir)
		s.put("a", 1_800_000_000*time.Second)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		mu.Lock()
		if len(lines) != 1 || !strings.HasSuffix(lines[0], "no such file or directory") {
			t.Errorf("%q", lines)
		}
		mu.Unlock()
		if err := os.Mkdir(filepath.Dir(dir), 0o755); err != nil {
			t.Fatal(err)
		}
		time.Sleep(writeEvery + time.Second)
		synctest.Wait()
		if _, err := os.Stat(filepath.Join(dir, "a")); err != nil {
			t.Error(err)
		}
	})
}

// TestStoreReads takes what a disk may hold by accident.
func TestStoreReads(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"good": "2026-11-21T02:00:00Z\n", "zone": "2026-11-21T03:00:00+01:00", "empty": "",
		"zeros": strings.Repeat("\x00", 100), "long": strings.Repeat("2026-11-21T02:00:00Z\n", 1000), "year": "9999-11-21T02:00:00Z\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := 0
	s := newStore(func(string) { lines++ }, nil)
	got := s.read(dir, []string{"good", "zone", "empty", "zeros", "long", "year", "folder", "pipe", "missing"})
	want := time.Duration(time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC).UnixNano())
	if len(got) != 9 || got["good"] != want || got["zone"] != want {
		t.Errorf("%v", got)
	}
	for name, at := range got {
		if name != "good" && name != "zone" && at != 0 {
			t.Errorf("%s: %v", name, at)
		}
	}
	if lines != 6 {
		t.Errorf("%d lines about 6 files that are no good", lines)
	}
}

func FuzzLastRun(f *testing.F) {
	for _, text := range []string{"2026-11-21T02:00:00Z\n", "", "\x00", "1970-01-01T00:00:00Z", "2200-12-31T23:59:60Z", "2026-11-21"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, ok := parse(text)
		if !ok {
			if at != 0 {
				t.Errorf("%q: %v", text, at)
			}
			return
		}
		if again, ok := parse(time.Unix(0, int64(at)).Format(time.RFC3339)); !ok || (again-at).Abs() >= time.Second {
			t.Errorf("%q: %v, then %v", text, at, again)
		}
	})
}
