package logfile

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/process/ring"
	"hoopy/unit"
)

const bound = time.Minute // for anything that is expected to happen

// TestMain is the writer that gets killed when LOGFILE_EPOCH is set.
func TestMain(m *testing.M) {
	if e := os.Getenv("LOGFILE_EPOCH"); e != "" {
		os.Exit(victim(e))
	}
	os.Exit(m.Run())
}

// victim has the ring 3, the position 4 and the pipe 5, and writes all the time.
func victim(e string) int {
	epoch, err := strconv.Atoi(e)
	if err != nil {
		return 2
	}
	r, err := ring.Open(3, uint32(epoch))
	var p *Position
	if err == nil {
		p, err = OpenPosition(4)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	Open(Config{LogFile: unit.LogFile{Path: os.Getenv("LOGFILE_PATH"), Size: 100 << 10, Count: 1000, Every: time.Microsecond},
		Unit: "u", Ring: r, Position: p, Say: func(s string) { fmt.Fprintln(os.Stderr, s) }})
	for {
		fds := []unix.PollFd{{Fd: 5, Events: unix.POLLIN}}
		unix.Poll(fds, -1)
		if _, err := r.Fill(5); err != nil && err != unix.EAGAIN && err != unix.EINTR {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
}

// TestKill kills the writer again and again: each line is in one of the files,
// once.
func TestKill(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 20
	}
	r, rfd, err := ring.Create("kill", 32<<20, 1)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	p, pfd, err := NewPosition()
	if err != nil {
		t.Fatal(err)
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(pipe[0], true); err != nil {
		t.Fatal(err)
	}
	files := []*os.File{os.NewFile(uintptr(rfd), "ring"), os.NewFile(uintptr(pfd), "position"), os.NewFile(uintptr(pipe[0]), "r")}
	w := os.NewFile(uintptr(pipe[1]), "w")
	path := filepath.Join(t.TempDir(), "log")
	quit, written := make(chan struct{}), make(chan int, 1)
	go func() {
		n := 0
		defer func() { written <- n }()
		b := make([]byte, 0, 200)
		for {
			select {
			case <-quit:
				return
			default:
			}
			if uint64(n) > p.done()+50000 { // never more than the ring holds
				unix.Poll(nil, 1)
				continue
			}
			n++
			b = append(strconv.AppendInt(b[:0], int64(n), 10), strings.Repeat(" ", n%100)...)
			if _, err := w.Write(append(b, '\n')); err != nil {
				return
			}
		}
	}()
	planned := 0
	for i := range kills {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), "LOGFILE_EPOCH="+strconv.Itoa(i+2), "LOGFILE_PATH="+path)
		cmd.Stderr = os.Stderr
		cmd.ExtraFiles = files
		before := p.done()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// At any moment, most often after it has begun to write.
		if i%4 != 0 {
			for end := time.Now().Add(bound); p.done() == before; unix.Poll(nil, 1) {
				if time.Now().After(end) {
					t.Fatalf("kill %d: nothing is written", i)
				}
			}
		}
		unix.Poll(nil, rand.IntN(12))
		cmd.Process.Kill()
		cmd.Wait()
		if p.planned() {
			planned++
		}
	}
	close(quit)
	// The last epoch lives.
	r, err = ring.Open(rfd, uint32(kills+2))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	said := 0
	for end := time.Now().Add(bound); said == 0; {
		select {
		case said = <-written:
		default:
			if time.Now().After(end) {
				t.Fatal("the unit hangs")
			}
		}
		for {
			if _, err := r.Fill(pipe[0]); err != nil {
				break
			}
		}
	}
	f := &File{cfg: Config{LogFile: unit.LogFile{Path: path, Size: 1 << 30}, Ring: r, Position: p}}
	for p.done() < uint64(said) {
		f.mustWrite(t)
	}
	next := 1
	names, _ := filepath.Glob(path + ".*")
	for n := len(names) + 1; n >= 0; n-- { // one number may be free: of a rotation that was killed
		name := path
		if n > 0 {
			name += "." + strconv.Itoa(n)
		}
		if _, err := os.Stat(name); err != nil {
			continue
		}
		for l := range strings.Lines(content(t, name)) {
			if got, err := strconv.Atoi(strings.TrimSpace(l)); err != nil || got != next {
				t.Fatalf("%s: %q where %d was due", filepath.Base(name), l, next)
			}
			next++
		}
	}
	if next-1 != said {
		t.Errorf("%d lines of %d", next-1, said)
	}
	t.Logf("%d kills, %d in a write, %d lines in %d files", kills, planned, said, len(names)+1)
}
