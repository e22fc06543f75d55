package ring

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain is the reader that gets killed when RING_EPOCH is set.
func TestMain(m *testing.M) {
	if e := os.Getenv("RING_EPOCH"); e != "" {
		os.Exit(victim(e))
	}
	os.Exit(m.Run())
}

func victim(e string) int {
	epoch, err := strconv.Atoi(e)
	if err != nil {
		return 2
	}
	r, err := Open(3, uint32(epoch))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		fds := []unix.PollFd{{Fd: 4, Events: unix.POLLIN}}
		unix.Poll(fds, -1)
		if _, err := r.Fill(4); err != nil && err != unix.EAGAIN && err != unix.EINTR {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
}

// TestKill kills the reader of a busy log pipe again and again: no line may be
// lost or doubled.
func TestKill(t *testing.T) {
	kills := 300
	if testing.Short() {
		kills = 30
	}
	const size = 32 << 20
	r, memfd, err := Create("kill", size, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(memfd)
	published := word(r.mem, offPublished) // the mapping stays, only to look
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	rd, wr := os.NewFile(uintptr(p[0]), "r"), os.NewFile(uintptr(p[1]), "w")
	defer rd.Close()
	if err := unix.SetNonblock(p[0], true); err != nil {
		t.Fatal(err)
	}
	// What is written between two checks must fit into the ring, however long
	// this test waits for a processor.
	budget := make(chan int, 1)
	defer close(budget)
	go write(wr, budget)
	defer wr.Close()

	epoch, seq, last, spent := uint32(1), uint64(0), uint64(0), 0
	check := func() {
		epoch++
		view, err := Open(memfd, epoch)
		if err != nil {
			t.Fatal(err)
		}
		defer view.Close()
		lines, lost := view.Since(seq, 1<<30)
		if lost != 0 {
			t.Fatalf("%d lines fell out of the ring, it is too small for this test", lost)
		}
		for _, l := range lines {
			n, ok := number(l.Text)
			if !ok || n != last+1 {
				t.Fatalf("after line %d came %.60q (%d bytes)", last, l.Text, len(l.Text))
			}
			seq, last = l.Seq, n
		}
	}
	for i := range kills {
		epoch++
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), "RING_EPOCH="+strconv.Itoa(int(epoch)))
		cmd.Stderr = os.Stderr
		cmd.ExtraFiles = []*os.File{os.NewFile(uintptr(dup(t, memfd)), "ring"), rd}
		from := published.Load() >> 16
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmd.ExtraFiles[0].Close()
		select { // not saved up: that came to more than the ring
		case <-budget:
		default:
		}
		budget <- 1 << 20
		goal := from + uint64(rand.IntN(400<<10)) + 1
		for deadline := time.Now().Add(bound); published.Load()>>16 < goal; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("kill %d: the reader does not read", i)
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
		if n := published.Load() & 0xffff; n != 0 {
			spent++
		}
		if i%3 == 0 { // else the next victim recovers by itself
			check()
		}
	}
	check()
	t.Logf("%d kills, %d lines, %d times between the two stores", kills, last, spent)
	if last < uint64(kills) {
		t.Errorf("only %d lines", last)
	}
}

func dup(t *testing.T, fd int) int {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// write writes numbered lines of random length, several or a part of one at a
// time, as many bytes as the budget has, until that is closed or the pipe breaks.
func write(w *os.File, budget <-chan int) {
	left := 0
	rnd := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for n := 1; ; n++ {
		b = strconv.AppendInt(b, int64(n), 10)
		b = append(b, ' ')
		for range rnd.IntN(200) {
			b = append(b, byte('a'+n%26))
		}
		b = append(b, '\n')
		if k := rnd.IntN(4000); k < len(b) {
			for left -= len(b) - k/2; left < 0; {
				more, open := <-budget
				if !open {
					return
				}
				left += more
			}
			if _, err := w.Write(b[:len(b)-k/2]); err != nil {
				return
			}
			b = append(b[:0], b[len(b)-k/2:]...)
		}
	}
}

func number(text string) (uint64, bool) {
	head, tail, ok := bytes.Cut([]byte(text), []byte(" "))
	n, err := strconv.ParseUint(string(head), 10, 64)
	if !ok || err != nil {
		return 0, false
	}
	return n, len(bytes.Trim(tail, string(rune('a'+n%26)))) == 0
}
