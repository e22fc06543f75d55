package syslog

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/process/ring"
)

// TestMain is the server that gets killed when SYSLOG_EPOCH is set.
func TestMain(m *testing.M) {
	if e := os.Getenv("SYSLOG_EPOCH"); e != "" {
		os.Exit(victim(e))
	}
	os.Exit(m.Run())
}

// victim serves with the socket 3, the intake 4 and the rings 5 and 6.
func victim(e string) int {
	epoch, err := strconv.Atoi(e)
	if err != nil {
		return 2
	}
	rings := map[string]*ring.Ring{}
	for i, name := range []string{Name, "unit"} {
		if rings[name], err = ring.Open(5+i, uint32(epoch)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	_, err = New(Config{Stored: map[string]int{KeySocket: 3, KeyIntake: 4},
		Unit: func(int) string { return []string{"", "unit"}[rand.IntN(2)] },
		Ring: func(name string) *ring.Ring { return rings[name] },
		Say:  func(s string) { fmt.Fprintln(os.Stderr, s) }})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	select {}
}

// TestKill kills the server again and again while it is spoken to: no line may be
// lost or doubled, whichever ring it went to.
func TestKill(t *testing.T) {
	kills := 300
	if testing.Short() {
		kills = 30
	}
	h := newHouse(t)
	h.Close()
	h.Server = nil
	var files []*os.File
	for _, fd := range []int{h.stored[KeySocket], h.stored[KeyIntake]} {
		files = append(files, os.NewFile(uintptr(fd), "stored"))
	}
	memfds := map[string]int{}
	for _, name := range []string{Name, "unit"} {
		r, fd, err := ring.Create(name, 16<<20, 1)
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		memfds[name] = fd
		files = append(files, os.NewFile(uintptr(fd), name))
	}
	c := h.dial()
	quit, said := make(chan struct{}), make(chan int, 1)
	var sent atomic.Int64 // no more than are received, when the queue is full
	go func() {
		n := 0
		defer func() { said <- n }()
		for {
			select {
			case <-quit:
				return
			default:
			}
			c.SetWriteDeadline(time.Now().Add(bound))
			if _, err := fmt.Fprintf(c, "<13>Oct 11 22:14:15 test: %d", n+1); err != nil {
				return
			}
			n++
			sent.Store(int64(n))
		}
	}()
	epoch := uint32(1)
	seen := map[int]bool{}
	most := 0
	seqs := map[string]uint64{}
	check := func() {
		t.Helper()
		epoch++
		for name, fd := range memfds {
			r, err := ring.Open(fd, epoch)
			if err != nil {
				t.Fatal(err)
			}
			for cur := r.After(seqs[name]); ; {
				l, ok := cur.Next()
				if !ok {
					break
				}
				var n int
				if _, err := fmt.Sscanf(l.Text, "test: %d", &n); err != nil || l.Lost != 0 || seen[n] {
					t.Fatalf("%s: %+v: %v, seen %v", name, l, err, seen[n])
				}
				seen[n], most, seqs[name] = true, max(most, n), l.Seq
			}
			r.Close()
		}
	}
	for i := range kills {
		epoch++
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), "SYSLOG_EPOCH="+strconv.Itoa(int(epoch)))
		cmd.Stderr = os.Stderr
		cmd.ExtraFiles = files
		before := sent.Load()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// At any moment of its life, most often after it has begun to receive.
		if i%4 != 0 {
			for end := time.Now().Add(bound); sent.Load() < before+2; unix.Poll(nil, 1) {
				if time.Now().After(end) {
					t.Fatalf("kill %d: the server receives nothing", i)
				}
			}
		}
		unix.Poll(nil, rand.IntN(12))
		cmd.Process.Kill()
		cmd.Wait()
		if i%10 == 9 {
			check()
		}
	}
	close(quit)
	cfg := h.config()
	h.rings = map[string]*ring.Ring{}
	epoch++
	for name, fd := range memfds {
		r, err := ring.Open(fd, epoch)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		h.rings[name] = r
	}
	cfg.Ring = func(name string) *ring.Ring { return h.rings[name] }
	var err error
	if h.Server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	var n int
	select {
	case n = <-said:
	case <-time.After(bound):
		t.Fatal("the sender hangs")
	}
	for end := time.Now().Add(bound); len(seen) < n && time.Now().Before(end); unix.Poll(nil, 10) {
		for name, r := range h.rings {
			for cur := r.After(seqs[name]); ; {
				l, ok := cur.Next()
				if !ok {
					break
				}
				var n int
				if _, err := fmt.Sscanf(l.Text, "test: %d", &n); err != nil || seen[n] {
					t.Fatalf("%+v: %v, seen %v", l, err, seen[n])
				}
				seen[n], most, seqs[name] = true, max(most, n), l.Seq
			}
		}
	}
	if len(seen) != n || most != n {
		t.Errorf("%d lines of %d, the last is %d", len(seen), n, most)
	}
	if n < kills {
		t.Errorf("only %d datagrams", n)
	}
	t.Logf("%d kills, %d datagrams", kills, n)
}
