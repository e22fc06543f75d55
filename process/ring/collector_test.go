package ring

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const bound = time.Minute

// TestFloodStarvesNobody: beside a unit that never stops writing, another one's
// line arrives and both can be drained.
func TestFloodStarvesNobody(t *testing.T) {
	c, err := NewCollector(func(s string) { t.Log(s) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	flood, _, floodRd, floodWr := pipes(t, Size)
	calm, _, calmRd, calmWr := pipes(t, Size)
	more := make(chan struct{}, 1)
	defer calm.Follow(more)()
	if err := unix.SetNonblock(floodWr, false); err != nil {
		t.Fatal(err)
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		b := bytes.Repeat([]byte("flood\n"), 1000)
		for {
			select {
			case <-quit:
				return
			default:
				unix.Write(floodWr, b)
			}
		}
	}()
	for name, p := range map[string]struct {
		r  *Ring
		fd int
	}{"flood": {flood, floodRd}, "calm": {calm, calmRd}} {
		if err := c.Add(name, p.r, p.fd); err != nil {
			t.Fatal(err)
		}
	}
	receive := func(what string, ch <-chan struct{}) {
		t.Helper()
		select {
		case <-ch:
		case <-time.After(bound):
			t.Fatal("never: " + what)
		}
	}
	unix.Write(calmWr, []byte("hello\n"))
	receive("a line of the calm one", more)
	for _, name := range []string{"calm", "flood", "nobody"} {
		done := make(chan struct{})
		c.Drain(name, func() { close(done) })
		receive("drained "+name, done)
	}
	// What was written before the drain is in the ring after it.
	for range 100 {
		unix.Write(calmWr, []byte("again\n"))
		done := make(chan struct{})
		c.Drain("calm", func() { close(done) })
		receive("drained", done)
		if last := calm.Lines(1); len(last) != 1 || last[0].Text != "again" {
			t.Fatalf("after the drain: %+v", last)
		}
	}
	close(quit)
	receive("the flood ends", ended)
	c.Close()
	if n := len(calm.Lines(1000)); n != 101 {
		t.Errorf("%d lines", n)
	}
	done := make(chan struct{})
	c.Drain("calm", func() { close(done) })
	receive("drained after the end", done)
}

// TestTakenOver: a collector of an older epoch lets go and says so.
func TestTakenOver(t *testing.T) {
	said := make(chan string, 9)
	c, err := NewCollector(func(s string) { said <- s }, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, memfd, rd, wr := pipes(t, Size)
	if err := c.Add("a", r, rd); err != nil {
		t.Fatal(err)
	}
	later := reopen(t, memfd, 2)
	unix.Write(wr, []byte("for the later one\n"))
	select {
	case s := <-said:
		if s != "log pipe of a: a later epoch reads it" {
			t.Error(s)
		}
	case <-time.After(bound):
		t.Fatal("nothing was said")
	}
	feed(t, later, rd, wr, "")
	if l := later.Lines(9); len(l) != 1 || l[0].Text != "for the later one" {
		t.Errorf("%+v", l)
	}
}

// TestRemove: a ring that is closed and a pipe whose number is another's by then
// are left alone, in the midst of a flood.
func TestRemove(t *testing.T) {
	c, err := NewCollector(func(s string) { t.Error(s) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 200 {
		r, memfd, err := Create("short", sizeMin, 1)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(memfd)
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
			t.Fatal(err)
		}
		more := make(chan struct{}, 1)
		r.Follow(more)
		if err := c.Add("short", r, p[0]); err != nil {
			t.Fatal(err)
		}
		unix.Write(p[1], bytes.Repeat([]byte("flood\n"), 5000))
		select {
		case <-more:
		case <-time.After(bound):
			t.Fatal("nothing is read")
		}
		drained := make(chan struct{})
		c.Drain("short", func() { close(drained) })
		c.Remove("short")
		cursor := r.Oldest()
		r.Close()
		unix.Close(p[0])
		unix.Close(p[1])
		select {
		case <-drained:
		case <-time.After(bound):
			t.Fatal("the drain is never answered")
		}
		if l, ok := cursor.Next(); ok || len(r.Lines(9)) > 0 || r.Posted(1) {
			t.Errorf("a closed ring has %+v", l)
		}
		r.Note("late")
		r.End()
		if err := r.Post([]byte("late"), 0, 0, nil, nil); err != ErrClosed {
			t.Error(err)
		}
	}
}

// TestDrainAskedWhileReading: bytes that were read before somebody asked are not
// those that he asks for. He was told half a pipe too early, under load.
func TestDrainAskedWhileReading(t *testing.T) {
	var told []string
	p := &pipe{}
	ask := func(name string) { p.drains = append(p.drains, drain{64, func() { told = append(told, name) }}) }
	read := func(asked, n int) {
		for _, call := range p.answer(asked, n, n == 0) {
			call()
		}
	}
	ask("first")
	ask("second")
	read(1, 32) // second came while these were read
	read(2, 32)
	if d := cmp.Diff([]string{"first"}, told); d != "" {
		t.Error(d)
	}
	ask("third")
	read(1, 0) // the pipe was empty before third asked
	if d := cmp.Diff([]string{"first", "second"}, told); d != "" {
		t.Error(d)
	}
	read(1, 0)
	if d := cmp.Diff([]string{"first", "second", "third"}, told); d != "" || len(p.drains) != 0 {
		t.Error(d, p.drains)
	}
}
