//go:build priv

package process

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// TestAdopt: a service outlives the supervisor, with its log.
func TestAdopt(t *testing.T) {
	b := newBench(t)
	u := shell("a", `trap 'echo bye; exit 0' TERM; i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done`)
	id := b.start(u)
	pid := b.expect("spawned").Pid
	b.expect("ready")
	b.line("a", "line 3")
	b.end()
	b.begin()
	if len(b.table.Rows) != 1 || b.table.Rows[0].Pid != pid {
		t.Fatalf("%+v", b.table.Rows)
	}
	if len(b.table.Stored) != 0 {
		t.Errorf("nobody took %v", b.table.Stored)
	}
	b.do(unit.Adopt, u, id)
	if got := b.expect("spawned").Pid; got != pid {
		t.Errorf("pid %d, not %d", got, pid)
	}
	b.expect("ready")
	n := len(b.lines("a"))
	b.line("a", fmt.Sprintf("line %d", n+3))
	b.do(unit.Stop, u, id)
	b.expect("exit 0", "empty")
	lines := b.lines("a")
	for i, l := range lines[:len(lines)-1] {
		if want := fmt.Sprintf("line %d", i+1); l != want && len(lines) < 100 {
			t.Fatalf("%q, not %q", l, want)
		}
	}
	if lines[len(lines)-1] != "bye" {
		t.Errorf("last: %q", lines[len(lines)-1])
	}
	b.do(unit.Release, u, id)
	b.over()
}

// TestExitIsToldUntilCommitted: an exit that no snapshot holds comes again.
func TestExitIsToldUntilCommitted(t *testing.T) {
	b := newBench(t)
	b.hold = true
	u := shell("a", "echo out; exit 9")
	id := b.start(u)
	b.expect("spawned", "ready", "exit 9", "empty")
	b.end()
	b.begin()
	b.do(unit.Adopt, u, id)
	b.expect("spawned", "ready", "exit 9", "empty")
	if d := cmp.Diff([]string{"out"}, b.lines("a")); d != "" {
		t.Error(d)
	}
	// Committed, but not what came of it: only Empty is left to say.
	b.arm.Do(unit.Action{Op: unit.Commit, Unit: u, Run: id, Seq: 1 << 62})
	b.until("it is acknowledged", func() bool { rows, _ := b.keeper.held(); return rows == 0 })
	b.end()
	b.begin()
	b.do(unit.Adopt, u, id)
	b.expect("empty")
	b.do(unit.Release, u, id)
	b.over()
	// An exit that nobody adopts is told once and forgotten when committed.
	b.start(shell("a", "exit 4"))
	b.expect("spawned", "ready", "exit 4", "empty")
	b.end()
	b.hold = false
	b.begin()
	b.expect("exit 4")
	b.over()
}

// TestFailureSurvives: why a start failed is known to a later epoch.
func TestFailureSurvives(t *testing.T) {
	b := newBench(t)
	b.hold = true
	u := &unit.Unit{Name: "bad", Command: []string{"/nosuch"}}
	id := b.start(u)
	const want = `failed: exec "/nosuch": no such file or directory`
	b.expect(want)
	b.end()
	b.begin()
	b.hold = false
	b.do(unit.Adopt, u, id)
	b.expect(want)
	b.do(unit.Release, u, id)
	b.over()
}

// TestNoticeSurvives: readiness that was applied but not committed is applied
// again; what was committed is not.
func TestNoticeSurvives(t *testing.T) {
	b := newBench(t)
	u := acting("n", unit.ByNotify, "act:notify-stay", "STATUS=one", "READY=1", "STATUS=two")
	id := b.start(u)
	b.expect("spawned", "noted: one")
	b.hold = true
	b.expect("ready")
	b.end()
	b.begin()
	b.hold = false
	b.do(unit.Adopt, u, id)
	b.expect("spawned", "ready", "noted: two")
	b.do(unit.Stop, u, id)
	b.next()
	b.expect("empty")
	b.do(unit.Release, u, id)
	b.over()
}

// TestCorruptRing: a log that cannot be read is begun anew, and goes on.
func TestCorruptRing(t *testing.T) {
	b := newBench(t)
	u := shell("a", `while :; do echo tick; sleep 0.01; done`)
	id := b.start(u)
	b.expect("spawned", "ready")
	b.line("a", "tick")
	b.end()
	b.keeper.mu.Lock()
	ringFD := b.keeper.stored[ringKey("a")]
	b.keeper.mu.Unlock()
	if _, err := unix.Pwrite(ringFD, make([]byte, 64), 0); err != nil {
		t.Fatal(err)
	}
	b.begin()
	b.do(unit.Adopt, u, id)
	b.expect("spawned", "ready")
	b.line("a", "hoopy: the log up to here was unreadable")
	b.line("a", "tick")
	b.do(unit.Kill, u, id)
	b.expect("signal 9", "empty")
}

// TestPanicIsSaid: a panic costs the step that it happened in.
func TestPanicIsSaid(t *testing.T) {
	b := newBench(t)
	said := make(chan string, 9)
	b.arm.post(func() { b.arm.cfg.Log = func(s string) { said <- s } })
	b.arm.post(func() { panic("queued") })
	b.arm.post(func() {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			t.Error(err)
		}
		if err := b.arm.set.Add(p[0], pollIn, func() { panic("watched") }); err != nil {
			t.Error(err)
		}
		unix.Close(p[1])
	})
	for _, want := range []string{"process: panic: queued", "process: panic: watched"} {
		select {
		case s := <-said:
			if !strings.HasPrefix(s, want) {
				t.Errorf("%q, not %q", s, want)
			}
		case <-time.After(bound):
			t.Fatalf("no %q", want)
		}
	}
	b.start(shell("after", "exit 0"))
	b.expect("spawned", "ready", "exit 0", "empty")
	if len(said) != 0 {
		t.Error(<-said)
	}
}
