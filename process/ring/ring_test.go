package ring

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// pipes makes a ring and a pipe to feed it.
func pipes(t testing.TB, size int) (r *Ring, memfd, rd, wr int) {
	t.Helper()
	r, memfd, err := Create("test", size, 1)
	if err != nil {
		t.Fatal(err)
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		for _, fd := range []int{memfd, p[0], p[1]} {
			unix.Close(fd)
		}
	})
	return r, memfd, p[0], p[1]
}

func feed(t testing.TB, r *Ring, rd, wr int, text string) {
	t.Helper()
	if n, err := unix.Write(wr, []byte(text)); err != nil || n != len(text) {
		t.Fatalf("write: %d, %v", n, err)
	}
	for {
		if _, err := r.Fill(rd); err == unix.EAGAIN {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func texts(lines []Line) (s []string) {
	for _, l := range lines {
		text := fmt.Sprintf("%d %s", l.Seq, l.Text)
		if l.Open {
			text += "…"
		}
		s = append(s, text)
	}
	return s
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", LineMax)
	for _, c := range []struct {
		name   string
		writes []string
		want   []string
	}{
		{"nothing", nil, nil},
		{"two", []string{"a\nb\n"}, []string{"1 a", "2 b"}},
		{"joined", []string{"a", "b", "c\nd\n"}, []string{"1 abc", "2 d"}},
		{"open", []string{"a\nb"}, []string{"1 a", "2 b…"}},
		{"empty lines", []string{"\n\n", "\n"}, []string{"1 ", "2 ", "3 "}},
		{"exactly the longest", []string{long + "\n", "b\n"}, []string{"1 " + long, "2 b"}},
		{"cut", []string{long + "y\n"}, []string{"1 " + long, "2 y"}},
		{"cut over pieces", []string{long[:LineMax-1], "xyz", "\n"}, []string{"1 " + long, "2 yz"}},
		{"longest, newline later", []string{long, "\nb\n"}, []string{"1 " + long, "2 b"}},
		{"zero bytes inside", []string{"a\x00b\n"}, []string{"1 a\x00b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, memfd, rd, wr := pipes(t, Size)
			for _, w := range c.writes {
				feed(t, r, rd, wr, w)
			}
			if d := cmp.Diff(c.want, texts(r.Lines(100))); d != "" {
				t.Error(d)
			}
			again, err := Open(memfd, 2)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if d := cmp.Diff(c.want, texts(again.Lines(100))); d != "" {
				t.Error("taken over: " + d)
			}
			if _, err := r.Fill(rd); err != ErrFenced {
				t.Errorf("the older epoch still reads: %v", err)
			}
		})
	}
}

func TestTakeover(t *testing.T) {
	// Each case is what a writer that was killed left: what it had put in the
	// staging area, and how much of that its last store had declared spent.
	for _, c := range []struct {
		name, stage string
		spent       int
		want        []string
	}{
		{"read, not published", "b\nc\n", 0, []string{"1 a", "2 b", "3 c"}},
		{"published, not zeroed", "b\nc\n", 4, []string{"1 a"}},
		{"half of a batch published", "b\nc\n", 2, []string{"1 a", "2 c"}},
		{"half zeroed", "\x00\x00c\n", 4, []string{"1 a"}},
		{"partial line", "b\nc", 0, []string{"1 a", "2 b", "3 c…"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, memfd, rd, wr := pipes(t, Size)
			feed(t, r, rd, wr, "a\n")
			copy(r.stage, c.stage)
			word(r.mem, offPublished).Store(r.head<<16 | uint64(c.spent))
			again, err := Open(memfd, 2)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if d := cmp.Diff(c.want, texts(again.Lines(100))); d != "" {
				t.Error(d)
			}
			third, err := Open(memfd, 3)
			if err != nil {
				t.Fatal(err)
			}
			defer third.Close()
			if d := cmp.Diff(c.want, texts(third.Lines(100))); d != "" {
				t.Error("taken over twice: " + d)
			}
		})
	}
}

func TestDropOldest(t *testing.T) {
	r, memfd, rd, wr := pipes(t, sizeMin)
	const n = 20000
	for i := range n {
		feed(t, r, rd, wr, fmt.Sprintf("line %d\n", i+1))
	}
	for _, r := range []*Ring{r, reopen(t, memfd, 2)} {
		lines, lost := r.Since(0, n)
		if lost != r.Lost() || lost == 0 || lost+uint64(len(lines)) != n {
			t.Errorf("%d lines, %d lost, Lost says %d", len(lines), lost, r.Lost())
		}
		for i, l := range lines {
			if want := fmt.Sprintf("line %d", l.Seq); l.Text != want || l.Seq != lost+uint64(i)+1 {
				t.Fatalf("line %d: seq %d, %q", i, l.Seq, l.Text)
			}
		}
	}
}

// A batch of lines whose records are larger than the whole ring.
func TestManyShortLines(t *testing.T) {
	r, _, rd, wr := pipes(t, sizeMin)
	for range 3 {
		feed(t, r, rd, wr, strings.Repeat("\n", StageSize))
	}
	lines, lost := r.Since(0, 1<<20)
	if got := lost + uint64(len(lines)); got != 3*StageSize {
		t.Errorf("%d lines, %d lost", len(lines), lost)
	}
}

func TestSinceFollows(t *testing.T) {
	r, _, rd, wr := pipes(t, Size)
	more := make(chan struct{}, 1)
	defer r.Follow(more)()
	var seq uint64
	var got []string
	for _, w := range []string{"a\nb\nc", "d\n", "e\nf\n"} {
		feed(t, r, rd, wr, w)
		select {
		case <-more:
		default:
			t.Errorf("%q: not told", w)
		}
		for {
			lines, lost := r.Since(seq, 1)
			if len(lines) == 0 {
				break
			}
			if lost != 0 {
				t.Errorf("%d lost", lost)
			}
			seq = lines[0].Seq
			got = append(got, texts(lines)...)
		}
	}
	if d := cmp.Diff([]string{"1 a", "2 b", "3 cd", "4 e", "5 f"}, got); d != "" {
		t.Error(d)
	}
}

func TestEndAndNote(t *testing.T) {
	r, memfd, rd, wr := pipes(t, Size)
	feed(t, r, rd, wr, "half")
	r.End()
	r.End()
	feed(t, r, rd, wr, "next\nhalf")
	r.Note("noted")
	want := []string{"1 half", "2 next", "3 half", "4 noted"}
	if d := cmp.Diff(want, texts(reopen(t, memfd, 2).Lines(9))); d != "" {
		t.Error(d)
	}
}

func TestOpenRefuses(t *testing.T) {
	_, memfd, _, _ := pipes(t, Size)
	reopen(t, memfd, 9)
	if _, err := Open(memfd, 8); err != ErrFenced {
		t.Errorf("an older epoch: %v", err)
	}
	bare, err := unix.MemfdCreate("bare", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(bare)
	for _, size := range []int64{0, 1, headerSize + StageSize + Size} {
		if err := unix.Ftruncate(bare, size); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(bare, 1); err != ErrCorrupt {
			t.Errorf("%d bytes, unsealed: %v", size, err)
		}
	}
}

func reopen(t *testing.T, memfd int, epoch uint32) *Ring {
	t.Helper()
	r, err := Open(memfd, epoch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// FuzzOpen: no bytes make a ring that panics, neither when it is opened nor when
// it is read or written afterwards.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{}, uint64(0), uint64(0))
	f.Add([]byte("abc"), uint64(64)<<16, uint64(0))
	f.Add([]byte{3, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c'}, uint64(32)<<16, uint64(0))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, uint64(sizeMin)<<16|0xffff, uint64(8))
	f.Fuzz(func(t *testing.T, data []byte, published, tail uint64) {
		// A slice of words is aligned as a mapping is.
		r, fd, err := Create("fuzz", sizeMin, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		defer r.Close()
		copy(r.data, data)
		if len(data) > 40 {
			copy(r.stage, data[40:])
		}
		word(r.mem, offPublished).Store(published)
		word(r.mem, offTail).Store(tail)
		again, err := Open(fd, 2)
		if err != nil {
			return
		}
		defer again.Close()
		copy(again.data, data) // and it may go bad later
		again.Lines(10)
		again.Since(0, 10)
		again.Lost()
		again.Posted(1)
		c := again.Oldest()
		c.Stamps(func(unit.Time) {})
		c.Seek(1)
		c.Next()
		again.Post([]byte("p"), 1, 1, nil, nil)
		c.Next()
		again.Note(strings.Repeat("z", LineMax))
		again.End()
		again.Lines(10)
	})
}
