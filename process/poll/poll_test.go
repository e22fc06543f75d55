package poll

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSet(t *testing.T) {
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	calls := 0
	if err := s.Add(p[0], In, func() { calls++ }); err != nil {
		t.Fatal(err)
	}
	wait := func(d time.Duration, want int) {
		t.Helper()
		if err := s.Wait(d); err != nil {
			t.Fatal(err)
		}
		if calls != want {
			t.Errorf("%d calls, not %d", calls, want)
		}
	}
	wait(0, 0)
	s.Wake()
	wait(-1, 0) // returns, and the wake is spent
	wait(time.Microsecond, 0)
	unix.Write(p[1], []byte("x"))
	wait(-1, 1)
	wait(-1, 2) // level-triggered
	s.Del(p[0])
	s.Del(p[0])
	wait(0, 2)

	if err := s.Add(p[0], In, func() { panic("once") }); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		s.Wait(-1)
	}()
	wait(0, 2)
}
