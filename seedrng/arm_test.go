package seedrng

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestLayout holds poolInfo against struct rand_pool_info { int; int; __u32[] }.
func TestLayout(t *testing.T) {
	var p poolInfo
	if unsafe.Offsetof(p.entropy) != 0 || unsafe.Offsetof(p.size) != 4 || unsafe.Offsetof(p.buf) != 8 || unsafe.Sizeof(p) != 8+seedMost {
		t.Errorf("%d %d %d %d", unsafe.Offsetof(p.entropy), unsafe.Offsetof(p.size), unsafe.Offsetof(p.buf), unsafe.Sizeof(p))
	}
	if request := uint32(1<<30 | 2*unsafe.Sizeof(p.size)<<16 | 'R'<<8 | 3); request != unix.RNDADDENTROPY || rndAddEntropy != unix.RNDADDENTROPY {
		t.Errorf("RNDADDENTROPY %#x", request)
	}
}

func TestLength(t *testing.T) {
	for text, want := range map[string]int{"256\n": 32, "4096\n": 512, "2049": 257, "1\n": 32, "99999": 512, "": 32, "x": 32, "-1": 32} {
		if got := lengthOf([]byte(text)); got != want {
			t.Errorf("%q: %d, not %d", text, got, want)
		}
	}
}

// TestRestore is what is credited, and what is said.
func TestRestore(t *testing.T) {
	seed32, seed512 := strings.Repeat("s", 32), strings.Repeat("t", 512)
	for name, row := range map[string]struct {
		files map[string]string
		mode  uint32 // of seed.credit; 0: as it should be
		skip  bool
		ready bool
		note  string
		left  string // name of the one seed that is left
	}{
		"first boot":     {note: "no seed yet; the next is without credit", left: uncredited},
		"first, ready":   {ready: true, note: "no seed yet", left: credited},
		"credit":         {files: map[string]string{credited: seed32}, note: "seed of 256 bits credited", left: credited},
		"old kernel's":   {files: map[string]string{credited: seed512}, note: "seed of 4096 bits credited", left: credited},
		"no credit":      {files: map[string]string{uncredited: seed32}, note: "seed of 256 bits used without credit; the next is without credit", left: uncredited},
		"both, the same": {files: map[string]string{uncredited: seed32, credited: seed32}, note: "seed of 256 bits credited", left: credited},
		"skip":           {files: map[string]string{credited: seed32}, skip: true, note: "seed of 256 bits used without credit; the next is without credit", left: uncredited},
		"short":          {files: map[string]string{credited: "short"}, ready: true, note: "seed of 40 bits used without credit", left: credited},
		"zeros":          {files: map[string]string{credited: strings.Repeat("\x00", 32)}, ready: true, note: "seed of 256 bits used without credit", left: credited},
		"empty":          {files: map[string]string{credited: ""}, ready: true, note: "no seed yet", left: credited},
		"too long":       {files: map[string]string{credited: seed512 + "x"}, ready: true, note: "no seed used; read seed.credit: too long for a seed", left: credited},
		"symlink":        {files: map[string]string{credited: seed32}, mode: unix.S_IFLNK | 0o777, ready: true, note: "no seed used; open seed.credit: too many levels of symbolic links", left: credited},
		"fifo":           {files: map[string]string{credited: seed32}, mode: unix.S_IFIFO | 0o600, ready: true, note: "no seed used; read seed.credit: no regular file", left: credited},
		"others write":   {files: map[string]string{credited: seed32}, mode: unix.S_IFREG | 0o666, ready: true, note: "no seed used; read seed.credit: owned, or to be written, by others", left: credited},
	} {
		f := newFake(t, row.files)
		f.ready = row.ready
		if row.mode != 0 {
			f.durable[credited].mode = row.mode
		}
		r := (&seed{system: f, skipCredit: row.skip}).restore(fakeDir)
		if got := r.note(); got != row.note {
			t.Errorf("%s: %q, want %q", name, got, row.note)
		}
		files := oneOf(f)
		if len(files) != 1 || len(files[row.left]) != 32 || files[row.left] == seed32 {
			t.Errorf("%s: left %q", name, files)
		}
		if len(f.open_) > 0 {
			t.Errorf("%s: left open: %v", name, f.open_)
		}
	}
}

type lines struct {
	mu   sync.Mutex
	said []string
}

func (l *lines) log(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, s)
}

// TestHang holds that a disk that does not answer costs 5 s at most, each time,
// and that its seed is used when it does.
func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, map[string]string{credited: strings.Repeat("s", 32)})
		release := make(chan struct{})
		f.hook = func(string) { <-release }
		var l lines
		a := New(Config{Log: l.log, Fault: func(v any, _ []byte) { t.Error(v) }, testOnlySystem: f})
		begun := time.Now()
		note := a.Persisted(fakeDir)
		if took := time.Since(begun); took > 5*time.Second || note != "no seed used: the disk does not answer" {
			t.Errorf("%q after %s", note, took)
		}
		close(release)
		synctest.Wait()
		want := []string{"seed: " + note, "seed: the disk answers at last: seed of 256 bits credited"}
		if !slices.Equal(l.said, want) {
			t.Errorf("%q", l.said)
		}
		if a.hung != 0 {
			t.Errorf("%d hang", a.hung)
		}
	})
}

// TestDaily holds that the seed is renewed each day until its disk leaves.
func TestDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, nil)
		f.ready = true
		var l lines
		a := New(Config{Log: l.log, Fault: func(v any, _ []byte) { t.Error(v) }, testOnlySystem: f})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		a.Persisted(fakeDir)
		seeds := []string{oneOf(f)[credited]}
		step := func() {
			b := oneOf(f)[credited]
			if slices.Contains(seeds, b) {
				t.Errorf("seed %d is an old one", len(seeds))
			}
			seeds = append(seeds, b)
		}
		for range 2 {
			time.Sleep(daily)
			synctest.Wait()
			step()
		}
		a.Leaving("/another")
		a.Leaving(fakeDir)
		step()
		before := f.step
		a.Leaving(fakeDir)
		time.Sleep(3 * daily)
		synctest.Wait()
		if f.step != before {
			t.Error("touched after it left")
		}
		if want := []string{"seed: no seed yet"}; !slices.Equal(l.said, want) {
			t.Errorf("%q", l.said)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestPanic(t *testing.T) {
	f := newFake(t, nil)
	f.hook = func(string) { panic("mine") }
	var faults lines
	a := New(Config{Log: func(string) {}, Fault: func(v any, _ []byte) { faults.log(v.(string)) }, testOnlySystem: f})
	if note := a.Persisted(fakeDir); !strings.Contains(note, "mistake") || !slices.Equal(faults.said, []string{"mine"}) {
		t.Errorf("%q %q", note, faults.said)
	}
}

func TestSkip(t *testing.T) {
	for word, want := range map[string]bool{"SEEDRNG_SKIP_CREDIT=1": true, "SEEDRNG_SKIP_CREDIT=Yes": true, "SEEDRNG_SKIP_CREDIT=0": false, "quiet": false} {
		if got := Skip([]string{"a", word}); got != want {
			t.Errorf("%s: %t", word, got)
		}
	}
}
