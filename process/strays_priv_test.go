//go:build priv

package process

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// TestClear: what is of no run goes, politely at first; what is of one stays.
func TestClear(t *testing.T) {
	b := newBench(t)
	b.arm.post(func() { b.arm.cfg.testOnlyPatience = 4 * time.Second }) // a shell takes its time on a busy machine
	clear := func(sig unix.Signal) { b.arm.Do(unit.Action{Op: unit.Clear, Unit: &unit.Unit{}, Signal: int(sig)}) }
	clear(0)
	b.expect("cleared")
	clear(unix.SIGTERM)
	b.expect("cleared")

	// One that stays, one whose sessions are of no run (one of them ignores what
	// can be ignored), and a cgroup that is of no unit.
	stays := shell("stays", "sleep 1000 & echo child $!; wait")
	b.start(stays)
	b.expect("spawned", "ready")
	door := shell("door", `setsid sh -c 'trap "echo polite; exit" HUP TERM; echo session $$; while :; do sleep 0.1; done' &
setsid sh -c 'trap "" HUP TERM; echo session $$; while :; do sleep 1; done' & exec sleep 1000`)
	door.StopMain = true
	id := b.start(door)
	spawned := b.next()
	b.expect("ready")
	other := filepath.Join(b.root, "container", "one")
	if err := os.MkdirAll(other, 0o755); err != nil {
		t.Fatal(err)
	}
	contained := shell("contained", "sleep 1000 & echo child $!; wait; exec sleep 1000")
	b.start(contained)
	b.expect("spawned", "ready")
	number := func(name, word string) int {
		n, err := strconv.Atoi(strings.TrimPrefix(b.line(name, word), word))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	inside, safe := number("contained", "child "), number("stays", "child ")
	if err := writeFile(filepath.Join(other, "cgroup.procs"), strconv.Itoa(inside)); err != nil {
		t.Fatal(err)
	}
	b.until("two sessions that know what to do with signals", func() bool {
		return b.arm.Sessions("door") == 2 && strings.Count(strings.Join(b.lines("door"), "\n"), "session ") == 2
	})

	clear(0)
	looked := make(chan int)
	b.arm.post(func() { looked <- len(b.arm.strays()) })
	if n := <-looked; n < 3 {
		t.Errorf("%d processes of no run", n)
	}
	if !alive(inside) || b.arm.Sessions("door") != 2 {
		t.Error("a look has ended something")
	}
	b.do(unit.Stop, door, id)
	b.expect("signal 15", "empty")
	b.do(unit.Release, door, id)
	clear(unix.SIGTERM)
	b.expect("cleared")
	b.until("no session is left", func() bool { return b.arm.Sessions("door") == 0 })
	b.line("door", "polite")
	if alive(spawned.Pid) {
		t.Error("the main process is not stopped")
	}
	b.until("the container is gone", func() bool { return !alive(inside) })
	if !alive(safe) {
		t.Error("a process of a unit was ended")
	}
	clear(unix.SIGKILL)
	b.expect("cleared")
}
