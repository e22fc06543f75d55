//go:build priv

package process

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// Where there is too little of something a start fails with a word about it,
// leaves nothing behind, and the next one works.

// works starts a unit that has nothing special to it.
func (b *bench) works() {
	b.t.Helper()
	u := shell("works", "exit 0")
	id := b.start(u)
	b.expect("spawned", "ready", "exit 0", "empty")
	b.do(unit.Release, u, id)
}

func TestForkFails(t *testing.T) {
	b := newBench(t)
	set := func(errno unix.Errno) {
		b.keeper.mu.Lock()
		b.keeper.errno = errno
		b.keeper.mu.Unlock()
	}
	u := shell("f", "true")
	u.Hooks[unit.StartPre] = u.Command
	for errno, want := range map[unix.Errno]string{unix.EAGAIN: "resource temporarily unavailable", unix.ENOMEM: "cannot allocate memory", unix.ESHUTDOWN: "cannot send after transport endpoint shutdown"} {
		set(errno)
		for _, part := range []unit.Part{unit.Main, unit.StartPre} {
			id := b.startPart(u, part)
			b.expect("failed: spawn: " + want)
			b.do(unit.Release, u, id)
		}
	}
	set(0)
	b.works()
	// A probe that cannot be started is one that failed.
	u = shell("p", "exec sleep 1000")
	u.Health = &unit.Health{Probe: unit.Probe{Exec: []string{"/bin/true"}, Period: often}, Threshold: 100}
	id := b.start(u)
	b.expect("spawned", "ready")
	set(unix.EAGAIN)
	b.expect("sick: 1 of 100: /bin/true: spawn: resource temporarily unavailable")
	set(0)
	for ev := b.next(); ev.Op != unit.Healthy; ev = b.next() {
	}
	b.do(unit.Kill, u, id)
	b.expect("signal 9", "empty")
	b.do(unit.Release, u, id)
	b.over()
}

func TestDescriptorsRunOut(t *testing.T) {
	b := newBench(t)
	b.works()
	// Nothing else may open or close files meanwhile.
	settled := func() {
		b.over()
		c := make(chan bool)
		b.arm.post(func() { close(c) })
		<-c
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	limit := func(left int) {
		if left < 0 {
			unix.Setrlimit(unix.RLIMIT_NOFILE, &was)
			return
		}
		// Low numbers that are free are taken first.
		var held []int
		defer func() { closeAll(held) }()
		for len(held) <= left {
			fd, err := unix.FcntlInt(uintptr(b.arm.null), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, fd)
		}
		unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(held[left]), Max: was.Max})
	}
	defer limit(-1)
	u := shell("works", "exit 0") // its log is there
	for left := range 5 {
		settled()
		limit(left)
		id := b.start(u)
		ev := b.next()
		limit(-1)
		if ev.Op != unit.StartFailed || !strings.HasSuffix(ev.Text, "too many open files") {
			t.Errorf("%d descriptors left: %s", left, word(ev))
		}
		b.do(unit.Release, u, id)
	}
	b.works()
	b.over()
}

func TestRunIsFull(t *testing.T) {
	b := newBench(t)
	full := filepath.Join(b.run, "full")
	if err := os.Mkdir(full, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", full, "tmpfs", 0, "nr_inodes=2"); err != nil {
		t.Skipf("no tmpfs of our own: %v", err)
	}
	defer unix.Unmount(full, unix.MNT_DETACH)
	c := make(chan string, 1)
	b.arm.post(func() { c <- b.arm.cfg.RunDir; b.arm.cfg.RunDir = full })
	runDir := <-c
	u := acting("n", unit.ByNotify, "act:notify-stay", "READY=1")
	for range 2 {
		id := b.start(u)
		if ev := b.next(); ev.Op != unit.StartFailed || !strings.HasPrefix(ev.Text, "notify socket") || !strings.HasSuffix(ev.Text, "no space left on device") {
			t.Errorf("%s", word(ev))
		}
		b.do(unit.Release, u, id)
	}
	b.arm.post(func() { b.arm.cfg.RunDir = runDir })
	id := b.start(u)
	b.expect("spawned", "ready")
	b.do(unit.Kill, u, id)
	b.expect("signal 9", "empty")
	b.do(unit.Release, u, id)
	b.over()
}

// TestManyEndAtOnce: each is told, and nothing is left.
func TestManyEndAtOnce(t *testing.T) {
	const many = 300
	b := newBench(t)
	units := make(map[string]*unit.Unit, many)
	runs := make(map[string]unit.Run, many)
	for i := range many {
		u := shell("u"+strconv.Itoa(i), "exec sleep 1000")
		units[u.Name], runs[u.Name] = u, b.start(u)
	}
	count := map[unit.EventOp]int{}
	for count[unit.IsReady] < many {
		ev := b.next()
		if ev.Op == unit.StartFailed {
			t.Fatal(word(ev))
		}
		count[ev.Op]++
	}
	if err := os.WriteFile(filepath.Join(b.root, "svc/cgroup.kill"), []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	for count[unit.Empty] < many {
		ev := b.next()
		count[ev.Op]++
		if ev.Op == unit.Exited && word(ev) != "signal 9" {
			t.Errorf("%s: %s", ev.Unit, word(ev))
		}
		if ev.Op == unit.Empty {
			b.do(unit.Release, units[ev.Unit], runs[ev.Unit])
		}
	}
	if count[unit.Exited] != many || count[unit.Spawned] != many {
		t.Errorf("%v", count)
	}
	b.over()
	b.works()
}
