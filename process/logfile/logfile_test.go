package logfile

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"hoopy/process/ring"
	"hoopy/unit"
)

// newFile is a file without its goroutine.
func newFile(t *testing.T, c unit.LogFile) *File {
	t.Helper()
	r, fd, err := ring.Create("test", ring.Size, 1)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	t.Cleanup(r.Close)
	p, fd, err := NewPosition()
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	if c.Path == "" {
		c.Path = filepath.Join(t.TempDir(), "dir", "log")
	}
	if c.Size == 0 {
		c.Size = DefaultSize
	}
	return &File{cfg: Config{LogFile: c, Unit: "u", Ring: r, Position: p, Say: func(s string) { t.Log(s) }}}
}

var stamp = regexp.MustCompile(`(?m)^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ `)

// content is a file without its stamps, each of which is of the last minute.
func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return stamp.ReplaceAllString(string(b), "")
}

func (f *File) mustWrite(t *testing.T) {
	t.Helper()
	if err := f.write(); err != nil {
		t.Fatal(err)
	}
}

func TestWrite(t *testing.T) {
	f := newFile(t, unit.LogFile{})
	before := time.Now().Add(-time.Second).UTC().Format(stampForm)
	f.mustWrite(t)
	if _, err := os.Stat(f.cfg.Path); err == nil {
		t.Error("a file without a line")
	}
	f.cfg.Ring.Note("one")
	f.cfg.Ring.Note("a\x1b[1m\x00\ttab ü\xff\r")
	f.mustWrite(t)
	f.mustWrite(t)
	want := "one\na\\x1b[1m\\x00\ttab ü\xff\n"
	if d := cmp.Diff(want, content(t, f.cfg.Path)); d != "" {
		t.Error(d)
	}
	b, _ := os.ReadFile(f.cfg.Path)
	if now := time.Now().Add(time.Second).UTC().Format(stampForm); string(b) < before || string(b) > now {
		t.Errorf("%.30s is not between %s and %s", b, before, now)
	}
	if st, err := os.Stat(f.cfg.Path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	// The machine was switched off in a line.
	if err := os.WriteFile(f.cfg.Path, []byte("torn"), 0); err != nil {
		t.Fatal(err)
	}
	f.cfg.Ring.Note("two")
	f.mustWrite(t)
	if d := cmp.Diff("torn\ntwo\n", content(t, f.cfg.Path)); d != "" {
		t.Error(d)
	}
	// More than the ring holds.
	for i := range 20000 {
		f.cfg.Ring.Note(fmt.Sprint("line ", i))
	}
	f.mustWrite(t)
	lines := strings.Split(content(t, f.cfg.Path), "\n")
	var lost, first int
	if n, _ := fmt.Sscanf(lines[2], "hoopy: %d lines lost", &lost); n != 1 {
		t.Fatalf("%.300q", lines[:9])
	}
	if n, _ := fmt.Sscanf(lines[3], "line %d", &first); n != 1 || first != lost || lost == 0 || len(lines) != 4+20000-lost {
		t.Errorf("%d lost, the first is %d, %d lines", lost, first, len(lines))
	}
}

func TestRotate(t *testing.T) {
	f := newFile(t, unit.LogFile{Size: 1000, Count: 3})
	n := 0
	for range 10 {
		for range 9 { // of 44 bytes: two times do not fit
			n++
			f.cfg.Ring.Note(fmt.Sprintf("line %03d of the log", n))
		}
		for range 2 {
			f.mustWrite(t)
		}
	}
	var got []string
	for _, name := range []string{".2", ".1", ""} {
		for l := range strings.Lines(content(t, f.cfg.Path+name)) {
			got = append(got, l)
		}
		if st, err := os.Stat(f.cfg.Path + name); err != nil || st.Size() > 1000 {
			t.Errorf("%v, %v", st, err)
		}
	}
	for i, l := range got {
		if want := fmt.Sprintf("line %03d of the log\n", n-len(got)+i+1); l != want {
			t.Errorf("%q, not %q", l, want)
		}
	}
	if files, _ := os.ReadDir(filepath.Dir(f.cfg.Path)); len(files) != 3 || len(got) < 27 {
		t.Errorf("%d files, %d lines", len(files), len(got))
	}
	f.cfg.Count = 1
	f.cfg.Ring.Note(strings.Repeat("x", 2000))
	f.mustWrite(t)
	if c := content(t, f.cfg.Path); c != strings.Repeat("x", 2000)+"\n" {
		t.Errorf("one file alone: %.99q", c)
	}
}

// TestWhole: what cannot be written whole is not written.
func TestWhole(t *testing.T) {
	f := newFile(t, unit.LogFile{})
	f.cfg.Ring.Note("one")
	f.mustWrite(t)
	st, err := os.Stat(f.cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	f.cfg.Ring.Note(strings.Repeat("two", 1000))
	limit := unix.Rlimit{Cur: uint64(st.Size() + 100), Max: unix.RLIM_INFINITY} // as a full disk is; a signal comes along
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Skip(err)
	}
	err = f.write()
	limit.Cur = unix.RLIM_INFINITY
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	if err == nil || f.cfg.Position.planned() {
		t.Errorf("%v, planned %v", err, f.cfg.Position.planned())
	}
	if d := cmp.Diff("one\n", content(t, f.cfg.Path)); d != "" {
		t.Error(d)
	}
	f.mustWrite(t)
	if d := cmp.Diff("one\n"+strings.Repeat("two", 1000)+"\n", content(t, f.cfg.Path)); d != "" {
		t.Error(d)
	}
}

// TestSettle: the write of an epoch that died was made, was not, or in part.
func TestSettle(t *testing.T) {
	for _, c := range []struct {
		name, tail, want string
	}{
		{"not made", "", "one\ntwo\n"},
		{"in part", "2026-01-01T00:00", "one\ntwo\n"},
		{"made", "2026-01-01T00:00:00.000Z 2wo\n", "one\n2wo\n"},
		{"the file is gone", "gone", "two\n"},
		{"another file", "another", "another\ntwo\n"},
	} {
		f := newFile(t, unit.LogFile{})
		f.cfg.Ring.Note("one")
		f.mustWrite(t)
		var st unix.Stat_t
		if err := unix.Stat(f.cfg.Path, &st); err != nil {
			t.Fatal(err)
		}
		f.cfg.Ring.Note("two")
		f.cfg.Position.plan(2, &st, 29)
		switch c.tail {
		case "gone":
			os.Remove(f.cfg.Path)
		case "another":
			os.Rename(f.cfg.Path, f.cfg.Path+"x")
			os.WriteFile(f.cfg.Path, []byte("another\n"), 0o600)
		default:
			w, err := os.OpenFile(f.cfg.Path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			w.WriteString(c.tail)
			w.Close()
		}
		f.mustWrite(t)
		if d := cmp.Diff(c.want, content(t, f.cfg.Path)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// TestTrouble: one warning when it begins, one line when it is over, nothing is
// lost meanwhile, and the end is a last write.
func TestTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFile(t, unit.LogFile{})
		said := make(chan string, 9)
		f.cfg.Say = func(s string) { said <- strings.ReplaceAll(s, f.cfg.Path, "PATH") }
		dir := filepath.Dir(f.cfg.Path)
		if err := os.WriteFile(dir, nil, 0o600); err != nil { // where the directory should be
			t.Fatal(err)
		}
		w := Open(f.cfg)
		for i := range 5 {
			f.cfg.Ring.Note(fmt.Sprint(i))
			time.Sleep(DefaultEvery)
			synctest.Wait()
		}
		if s := <-said; len(said) != 0 || !strings.HasPrefix(s, `unit u: log file "PATH": `) {
			t.Errorf("%q, and %d more", s, len(said))
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(DefaultEvery)
		synctest.Wait()
		if s := <-said; len(said) != 0 || s != `unit u: log file "PATH": is written again` {
			t.Errorf("%q, and %d more", s, len(said))
		}
		if d := cmp.Diff("0\n1\n2\n3\n4\n", fakeContent(t, f.cfg.Path)); d != "" {
			t.Error(d)
		}
		f.cfg.Ring.Note("5")
		time.Sleep(DefaultEvery - 1)
		synctest.Wait()
		if c := fakeContent(t, f.cfg.Path); strings.Contains(c, "5") {
			t.Error("written before its time")
		}
		f.cfg.Ring.Note("last")
		next := f.cfg
		next.Path += "2"
		next.Before = w
		w2 := Open(next)
		f.cfg.Ring.Note("late")
		after := 0
		w2.End(func() { after++ })
		w2.End(func() { after++ })
		if !w2.Wait(time.After(time.Second)) || !w.Wait(time.After(time.Second)) {
			t.Error("it does not end")
		}
		if w2.End(func() { after++ }); after != 3 {
			t.Errorf("%d of 3 were told", after)
		}
		both := fakeContent(t, f.cfg.Path)
		if b, err := os.ReadFile(next.Path); err == nil {
			both += string(b)
		}
		if !strings.HasSuffix(both, "late\n") || strings.Count(both, "late") != 1 {
			t.Errorf("%q", both)
		}
		if c := fakeContent(t, f.cfg.Path); !strings.HasPrefix(c, "0\n1\n2\n3\n4\n5\nlast\n") {
			t.Errorf("%q", c)
		}
	})
}

// fakeContent is content whose stamps are of a clock that is not of this time.
func fakeContent(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^\S+Z `).ReplaceAllString(string(b), "")
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	f := newFile(t, unit.LogFile{Path: dir + "/log"})
	f.cfg.Ring.Note("secret")
	if err := os.WriteFile(dir+"/other", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for what, make := range map[string]func() error{
		"a symbolic link": func() error { return os.Symlink("other", dir+"/log") },
		"a pipe":          func() error { return unix.Mkfifo(dir+"/log", 0o600) },
		"a directory":     func() error { return os.Mkdir(dir+"/log", 0o700) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		if err := f.write(); err == nil {
			t.Errorf("%s was written", what)
		}
		os.Remove(dir + "/log")
	}
	if b, err := os.ReadFile(dir + "/other"); err != nil || len(b) > 0 {
		t.Errorf("%q, %v", b, err)
	}
	for _, size := range []int64{0, pageSize} {
		fd, err := unix.MemfdCreate("bare", 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Ftruncate(fd, size)
		if _, err := OpenPosition(fd); err == nil {
			t.Errorf("%d bytes, unsealed, are a position", size)
		}
		unix.Close(fd)
	}
}
