package ring

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMonsters: whatever a unit writes, as fast as it can, is read to its end,
// costs no memory but its ring, and leaves its neighbour alone.
func TestMonsters(t *testing.T) {
	const total = 64 << 20
	mib := bytes.Repeat([]byte("m"), 1<<20)
	for _, c := range []struct {
		name, chunk string
		lines       uint64 // that total makes
	}{
		{"lines of 1 MiB", string(mib[1:]) + "\n", total / (1 << 20) * ((1<<20)/LineMax - 1 + 1)},
		{"no newline", string(mib), total/LineMax - 1}, // the last could still grow
		{"zero bytes", strings.Repeat("\x00", 1<<20), total/LineMax - 1},
		{"newlines", strings.Repeat("\n", 64<<10), total / 8}, // an eighth of the others
		{"short lines", strings.Repeat("0123456\n", 8<<10), total / 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			col, err := NewCollector(func(s string) { t.Error(s) }, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer col.Close()
			r, _, rd, wr := pipes(t, Size)
			calm, _, calmRd, calmWr := pipes(t, Size)
			more := make(chan struct{}, 1)
			defer calm.Follow(more)()
			if err := unix.SetNonblock(wr, false); err != nil {
				t.Fatal(err)
			}
			for name, p := range map[string]struct {
				r  *Ring
				fd int
			}{"monster": {r, rd}, "calm": {calm, calmRd}} {
				if err := col.Add(name, p.r, p.fd); err != nil {
					t.Fatal(err)
				}
			}
			bytes := total
			if c.name == "newlines" {
				bytes /= 8
			}
			chunk := []byte(c.chunk)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			written := make(chan struct{})
			go func() {
				defer close(written)
				for n := 0; n < bytes; { // a signal of the runtime cuts a write short
					if k, err := unix.Write(wr, chunk[n%len(chunk):]); err == nil {
						n += k
					} else if err != unix.EINTR {
						t.Error(err)
						return
					}
				}
			}()
			for going := true; going; {
				unix.Write(calmWr, []byte("calm\n"))
				select {
				case <-more:
				case <-time.After(bound):
					t.Fatal("the neighbour is not heard")
				}
				select {
				case <-written:
					going = false
				case <-time.After(time.Millisecond):
				}
				if time.Since(began) > bound {
					t.Fatal("it is not read to its end")
				}
			}
			drained := make(chan struct{})
			col.Drain("monster", func() { close(drained) })
			select {
			case <-drained:
			case <-time.After(bound):
				t.Fatal("it is never drained")
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
				t.Errorf("it cost %d bytes of memory", n)
			}
			r.mu.Lock()
			ended := r.seq - 1
			r.mu.Unlock()
			if ended != c.lines {
				t.Errorf("%d lines, not %d", ended, c.lines)
			}
			lines := r.Lines(1 << 30)
			if n := len(lines); n == 0 {
				t.Error("no line is there")
			}
			for _, l := range lines {
				if len(l.Text) > LineMax || strings.Trim(l.Text, c.chunk) != "" {
					t.Fatalf("a line of %d bytes, %.40q", len(l.Text), l.Text)
				}
			}
			t.Logf("%.0f MB/s", float64(bytes)/1e6/time.Since(began).Seconds())
		})
	}
}
