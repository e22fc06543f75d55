package kmsg

import (
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTwoWriters: keeper and supervisor write to one terminal. While one does, the
// kernel turns the other away (tty_write_lock with O_NONBLOCK); no line may be lost
// of that.
func TestTwoWriters(t *testing.T) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	defer unix.Close(master)
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	var logs [2]*Log
	for i := range logs {
		logs[i] = Open(Options{Kmsg: filepath.Join(t.TempDir(), "none"), Console: "/dev/pts/" + strconv.Itoa(n)})
		defer logs[i].Close()
		logs[i].console.testOnlyPatience = 60_000 // the other one may be kept from its processor
	}
	const rounds, burst = 300, 8 // what is in a round fits any buffer
	text := ""
	for round := range rounds {
		var said sync.WaitGroup
		for _, l := range logs {
			said.Go(func() {
				for range burst {
					l.Say(Info, "x")
				}
			})
		}
		said.Wait()
		for end := time.Now().Add(time.Minute); strings.Count(text, "\n") < (round+1)*len(logs)*burst; {
			fds := []unix.PollFd{{Fd: int32(master), Events: unix.POLLIN}}
			if n, _ := unix.Poll(fds, 1000); n == 0 && fds[0].Revents == 0 {
				break // lines are missing
			}
			b := make([]byte, 4096)
			n, err := unix.Read(master, b)
			if err != nil || time.Now().After(end) {
				t.Fatalf("reading the terminal: %v", err)
			}
			text += string(b[:n])
		}
		if got, want := strings.Count(text, "] x\r"), (round+1)*len(logs)*burst; got != want {
			t.Fatalf("after round %d: %d of %d lines came:\n%s", round, got, want, tail(text))
		}
	}
}

func tail(text string) string { return text[max(0, len(text)-400):] }
