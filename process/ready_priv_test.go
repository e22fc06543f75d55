//go:build priv

package process

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"hoopy/unit"
)

func TestNotify(t *testing.T) {
	b := newBench(t)
	u := acting("n", unit.ByNotify, "act:notify-stay", "STATUS=warming up", "nothing of ours", "READY=1\nSTATUS=at work")
	id := b.start(u)
	b.expect("spawned", "noted: warming up", "ready", "noted: at work")
	b.do(unit.Stop, u, id)
	b.next()
	b.expect("empty")
	b.do(unit.Release, u, id)
	b.over()
}

// A sender that has exited by the time that it is heard, as any user.
func TestNotifyOfAShortLife(t *testing.T) {
	for _, user := range []string{"", "nobody"} {
		b := newBench(t)
		u := acting("n", unit.ByNotify, "act:notify", "READY=1")
		u.User = user
		if user != "" {
			u.Command[0] = worldReadable(t, u.Command[0])
		}
		b.start(u)
		b.expect("spawned")
		got := map[string]bool{}
		for len(got) < 3 {
			got[word(b.next())] = true
		}
		if !got["ready"] || !got["exit 0"] || !got["empty"] {
			t.Errorf("user %q: %v", user, got)
		}
		b.end()
	}
}

// worldReadable copies a program to where everybody can execute it.
func worldReadable(t *testing.T, from string) string {
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "hp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755)
	to := filepath.Join(dir, "act")
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// The sender of a barrier goes on when what it said before is committed.
func TestNotifyBarrier(t *testing.T) {
	b := newBench(t)
	b.hold = true
	b.start(acting("n", unit.ByNotify, "act:notify-barrier", "READY=1"))
	ev := b.expect("spawned", "ready")
	if lines := b.lines("n"); len(lines) != 0 {
		t.Errorf("before the commit: %q", lines)
	}
	b.hold = false
	b.arm.Do(unit.Action{Op: unit.Commit, Unit: &unit.Unit{Name: "n"}, Run: ev.Run, Seq: ev.Seq})
	b.expect("exit 0", "empty")
	if d := cmp.Diff([]string{"barrier: true"}, b.lines("n")); d != "" {
		t.Error(d)
	}
}

// A stranger may not speak for a unit.
func TestNotifyByAStranger(t *testing.T) {
	b := newBench(t)
	u := acting("n", unit.ByNotify, "act:notify-stay")
	id := b.start(u)
	b.expect("spawned")
	// In another unit's cgroup, as another user: the other unit is nobody's.
	other := acting("other", unit.BySpawn, "act:notify", "READY=1", "READY=1")
	other.Command[0] = worldReadable(t, other.Command[0])
	other.User = "nobody"
	other.Env = []string{"NOTIFY_SOCKET=" + notifyPath(b.run, "n", id)}
	b.start(other)
	b.expect("spawned", "ready", "exit 0", "empty") // all of the other's
	b.do(unit.Stop, u, id)
	if ev := b.next(); ev.Op != unit.Exited {
		t.Errorf("%s", word(ev))
	}
}

func TestTCP(t *testing.T) {
	b := newBench(t)
	port := freePort(t)
	u := acting("tcp", unit.ByTCP, "act:listen", strconv.Itoa(port))
	u.ReadyPort = uint16(port)
	id := b.start(u)
	b.expect("spawned", "noted: listening on "+strconv.Itoa(port), "ready")
	b.do(unit.Stop, u, id)
	b.next()
	b.expect("empty")
}

func freePort(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	addr, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return addr.(*unix.SockaddrInet4).Port
}

// TestListening asks about sockets in a network namespace of its own.
func TestListening(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread goes with the namespace
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Errorf("unshare: %v", err)
			return
		}
		look := func(port uint16) bool {
			up, err := listening(port)
			if err != nil {
				t.Error(err)
			}
			return up
		}
		for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
			port := 4000 + family
			fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Error(err)
				return
			}
			var addr unix.Sockaddr = &unix.SockaddrInet4{Port: port}
			if family == unix.AF_INET6 {
				addr = &unix.SockaddrInet6{Port: port}
			}
			if err := unix.Bind(fd, addr); err != nil {
				t.Error(err)
			}
			if look(uint16(port)) {
				t.Errorf("port %d: bound is not listening", port)
			}
			if err := unix.Listen(fd, 1); err != nil {
				t.Error(err)
			}
			if !look(uint16(port)) || look(uint16(port+1)) {
				t.Errorf("port %d: not found, or its neighbour is", port)
			}
			unix.Close(fd)
		}
	}()
	<-done
}
