//go:build priv

package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"hoopy/unit"
)

// player is a unit that plays its part.
func player(by unit.ReadyBy, steps ...string) *unit.Unit {
	return acting("p", by, append([]string{"play"}, steps...)...)
}

// told is an event in words, those of sd_notify included.
func told(ev unit.Event) string {
	switch ev.Op {
	case unit.MainPid:
		return "main"
	case unit.Extend:
		return "extend " + ev.For.String()
	case unit.Reloading:
		return "reloading"
	case unit.Sick:
		return fmt.Sprintf("sick %v %d: %s", ev.Force, ev.Signal, ev.Text)
	case unit.Exited:
		if ev.Text != "" {
			return word(ev) + ": " + ev.Text
		}
	}
	return word(ev)
}

// hears takes one event after the other.
func (b *bench) hears(want ...string) (last unit.Event) {
	b.t.Helper()
	for _, w := range want {
		last = b.next()
		if got := told(last); got != w {
			b.t.Fatalf("event %q, not %q; it said %q", got, w, b.lines("p"))
		}
	}
	return last
}

// silent fails if there is an event within d.
func (b *bench) silent(d time.Duration) {
	b.t.Helper()
	select {
	case ev := <-b.events:
		b.t.Fatalf("event %q, not silence", told(ev))
	case <-time.After(d):
	}
}

func (b *bench) takeOver(u *unit.Unit, id unit.Run, state unit.State) {
	b.end()
	b.begin()
	b.arm.Do(unit.Action{Op: unit.Adopt, Unit: u, Run: id, To: state})
}

func (b *bench) stopAll(u *unit.Unit, id unit.Run, end string) {
	b.t.Helper()
	b.do(unit.Stop, u, id)
	b.hears(end, "empty")
	b.do(unit.Release, u, id)
	b.over()
}

// openFiles counts our descriptors.
func openFiles(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

func TestNoticesOfAllKinds(t *testing.T) {
	b := newBench(t)
	u := player(unit.ByNotify,
		"send:EXTEND_TIMEOUT_USEC=5000000\nSTATUS=warming up",
		"send:NOTHING=1\nof ours",
		"send:STATUS=at work\nREADY=1",
		"send:RELOADING=1\nMONOTONIC_USEC=12345", "send:READY=1",
		"send:ERRNO=28", "send:STOPPING=1", "barrier", "exit:3")
	id := b.start(u)
	b.hears("spawned", "extend 5s", "noted: warming up", "ready", "noted: at work", "reloading", "ready",
		"noted: no space left on device", "noted: stopping", "exit 3", "empty")
	b.do(unit.Release, u, id)
	b.over()
}

// A unit that is ready by something else may still tell how it is.
func TestNoticesOfAnotherReadiness(t *testing.T) {
	b := newBench(t)
	u := player(unit.ByFD, "send:READY=1", "send:STATUS=soon", "line:7:almost", "barrier", "line:7: there\nmore", "send:RELOADING=1", "send:READY=1", "stay:0")
	u.FDStore, u.ReadyFD = 1, 7
	id := b.start(u)
	b.hears("spawned", "noted: soon")
	// The line and the datagram come by two descriptors, in either order.
	said := map[string]unit.Event{}
	for range 2 {
		ev := b.next()
		said[told(ev)] = ev
	}
	if _, ok := said["reloading"]; !ok || said["ready"].Seq == 0 {
		t.Errorf("%+v", said)
	}
	b.hears("ready")
	b.stopAll(u, id, "exit 0")
}

// A burst of a sender that is gone by the time that it is heard: all of it comes,
// in order, before its exit.
func TestNoticesInABurst(t *testing.T) {
	qlen, _ := os.ReadFile("/proc/sys/net/unix/max_dgram_qlen")
	b := newBench(t)
	u := player(unit.ByNotify, "send:READY=1", "burst:200", "exit:5")
	id := b.start(u)
	b.hears("spawned", "ready")
	for n := 1; n <= 200; n++ {
		b.hears(fmt.Sprintf("noted: %d", n))
	}
	b.hears("exit 5", "empty")
	b.do(unit.Release, u, id)
	b.over()
	t.Logf("max_dgram_qlen is %s", strings.TrimSpace(string(qlen)))
}

// A unit that never stops talking does not take the supervisor's time; what it
// says over and over costs nothing at all.
func TestNoticesWithoutEnd(t *testing.T) {
	b := newBench(t)
	u := player(unit.ByNotify, "send:READY=1", "burst:600", "say:through", "barrier", "send:STATUS=same", "send:STATUS=same", "send:STATUS=", "barrier", "exit:0")
	began := time.Now()
	id := b.start(u)
	b.hears("spawned", "ready")
	for n := 1; n <= 600; n++ {
		b.hears(fmt.Sprintf("noted: %d", n))
	}
	if d := time.Since(began); d < time.Second {
		t.Errorf("all of it in %v", d)
	}
	b.hears("noted: same", "noted: ", "exit 0", "empty")
	b.do(unit.Release, u, id)
	b.over()
}

// Nobody but the pipe's reader knows of an end of file, or of a newline that is
// not there.
func TestReadyLine(t *testing.T) {
	b := newBench(t)
	u := player(unit.ByFD, "line:3:not yet", "exit:4")
	u.ReadyFD = 3
	id := b.start(u)
	b.hears("spawned", "exit 4", "empty")
	b.do(unit.Release, u, id)
	b.over()

	// Seen and not committed: seen again by the next epoch.
	b.hold = true
	u.Command = append(u.Command[:2], "line:3:"+strings.Repeat("x", 10000), "line:3:\n", "stay:0")
	id = b.start(u)
	b.hears("spawned", "ready")
	b.takeOver(u, id, unit.Starting)
	b.hold = false
	b.hears("spawned", "ready")
	b.until("the pipe is given up", func() bool { _, n := b.keeper.held(); return n == 3 })
	b.stopAll(u, id, "exit 0")
}

// What comes along with a datagram and is not stored is closed.
func TestNoticesLeakNothing(t *testing.T) {
	b := newBench(t)
	u := player(unit.ByNotify, "give:x:READY=1", "give:x:", "give:x:FDSTORE=1", "give:x:WATCHDOG=1", "give:x:STATUS=y", "pipe:STATUS=z", "barrier", "exit:0")
	run := func() {
		id := b.start(u)
		b.hears("spawned", "ready", "noted: y", "noted: z", "exit 0", "empty")
		b.do(unit.Release, u, id)
		b.over()
	}
	run()
	b.until("the first is closed", func() bool { return len(b.arm.runsNow()) == 0 })
	before := openFiles(t)
	for range 5 {
		run()
	}
	b.until("all is closed", func() bool { return openFiles(t) <= before })
}

// runsNow asks the arm's goroutine.
func (a *Arm) runsNow() (ids []unit.Run) {
	done := make(chan struct{})
	a.post(func() {
		for id := range a.runs {
			ids = append(ids, id)
		}
		close(done)
	})
	<-done
	return ids
}

// A stranger's MAINPID, descriptor and watchdog are as unheard as its READY.
func TestNoticesOfAStranger(t *testing.T) {
	b := newBench(t)
	u := player(unit.ByNotify, "stay:0")
	u.Watchdog, u.FDStore = time.Minute, 4
	id := b.start(u)
	b.hears("spawned")
	other := acting("other", unit.BySpawn, "play", "main", "give:x:FDSTORE=1", "send:WATCHDOG=trigger", "send:EXTEND_TIMEOUT_USEC=1", "barrier", "exit:0")
	other.Command[0] = worldReadable(t, other.Command[0])
	other.User = "nobody"
	other.Env = []string{"NOTIFY_SOCKET=" + notifyPath(b.run, "p", id)}
	b.start(other)
	other2 := b.hears("spawned", "ready", "exit 0", "empty") // all of the other's
	b.do(unit.Release, other, other2.Run)
	b.stopAll(u, id, "exit 0")
}

func TestWatchdog(t *testing.T) {
	b := newBench(t)
	u := player(unit.ByNotify, "env:WATCHDOG_USEC", "send:READY=1", "ping:50:30", "stay:0")
	u.Watchdog = 3 * time.Second // a ping comes late on a busy machine
	began := time.Now()
	id := b.start(u)
	b.hears("spawned", "ready", "sick true 6: watchdog: nothing heard for 3 s")
	if d := time.Since(began); d < 29*50*time.Millisecond+u.Watchdog {
		t.Errorf("after %v, though it pinged for 1.5 s", d)
	}
	b.silent(u.Watchdog + time.Second/2) // once a run
	if d := cmp.Diff([]string{"WATCHDOG_USEC 3000000"}, b.lines("p")); d != "" {
		t.Error(d)
	}
	b.stopAll(u, id, "exit 0")
}

func TestWatchdogByWord(t *testing.T) {
	b := newBench(t)
	u := player(unit.ByNotify, "send:READY=1\nWATCHDOG_USEC=300000", "stay:0")
	u.Watchdog = time.Hour
	id := b.start(u)
	b.hears("spawned", "ready", "sick true 6: watchdog: nothing heard for 300ms")
	b.stopAll(u, id, "exit 0")
	u.Command = append(u.Command[:2], "send:READY=1", "send:WATCHDOG=trigger", "send:WATCHDOG=trigger", "stay:0")
	id = b.start(u)
	b.hears("spawned", "ready", "sick true 6: watchdog: it asked for its own end")
	b.silent(100 * time.Millisecond)
	b.stopAll(u, id, "exit 0")
}

// A new epoch knows the period that was asked for, and begins to count anew.
func TestWatchdogSurvives(t *testing.T) {
	b := newBench(t)
	u := player(unit.ByNotify, "send:READY=1\nWATCHDOG_USEC=4000000", "stay:0")
	u.Watchdog = 100 * time.Millisecond
	id := b.start(u)
	b.hears("spawned", "ready")
	b.silent(600 * time.Millisecond)
	began := time.Now()
	b.takeOver(u, id, unit.Ready)
	b.hears("spawned", "sick true 6: watchdog: nothing heard for 4 s")
	if d := time.Since(began); d < 4*time.Second {
		t.Errorf("after %v", d)
	}
	b.stopAll(u, id, "exit 0")
}

// The exit of a process that MAINPID= names is the run's, whoever its parent is.
func TestMainPid(t *testing.T) {
	for name, steps := range map[string][]string{
		"an orphan": {"fork:", "send:READY=1", "stay:42"},
		"a ward":    {"nanny", "send:READY=1", "stay:42"},
	} {
		b := newBench(t)
		u := player(unit.ByNotify, steps...)
		id := b.start(u)
		first := b.hears("spawned").Pid
		ev, other := b.next(), b.next() // of two senders
		if told(ev) == "ready" {
			ev, other = other, ev
		}
		if told(ev) != "main" || told(other) != "ready" || ev.Pid == first || ev.Seq == 0 {
			t.Errorf("%s: %+v, %+v", name, ev, other)
		}
		b.takeOver(u, id, unit.Ready)
		if got := b.hears("spawned").Pid; got != ev.Pid {
			t.Errorf("%s: pid %d in the next epoch, not %d", name, got, ev.Pid)
		}
		b.do(unit.Stop, u, id)
		if got := told(b.next()); got != "exit 42" && got != "exit 0: "+exitUnknown {
			t.Errorf("%s: %s", name, got)
		}
		b.do(unit.Kill, u, id) // the nanny
		b.hears("empty")
		b.do(unit.Release, u, id)
		b.over()
		b.end()
	}
}

// A main process that is told of after the stop signal gets it all the same.
func TestMainPidAfterStop(t *testing.T) {
	b := newBench(t)
	b.hold = true
	u := player(unit.ByNotify, "send:READY=1", "nanny", "stay:42")
	id := b.start(u)
	ev := b.hears("spawned", "ready")
	b.do(unit.Stop, u, id)
	b.hold = false
	b.arm.Do(unit.Action{Op: unit.Commit, Unit: u, Run: id, Seq: ev.Seq})
	b.hears("main")
	// It may not have come as far as to catch it.
	if got := told(b.next()); got != "exit 42" && got != "signal 15" && got != "exit 0: "+exitUnknown {
		t.Error(got)
	}
	b.do(unit.Kill, u, id) // the nanny
	b.hears("empty")
	b.do(unit.Release, u, id)
	b.over()
}

// A process of another cgroup is nobody's main process.
func TestMainPidOfAnother(t *testing.T) {
	b := newBench(t)
	u := player(unit.ByNotify, fmt.Sprintf("send:MAINPID=%d\nREADY=1", os.Getpid()), "send:MAINPID=4194304", "stay:7")
	id := b.start(u)
	b.hears("spawned", "ready")
	b.stopAll(u, id, "exit 7")
}

func TestPidFile(t *testing.T) {
	for name, late := range map[string]bool{"with its folder there": false, "with its folder to come": true} {
		b := newBench(t)
		dir := filepath.Join(t.TempDir(), "run")
		file := filepath.Join(dir, "p.pid")
		if !late {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			// What an earlier run left: us.
			if err := os.WriteFile(file, []byte(fmt.Sprint(os.Getpid(), "\n")), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		u := player(unit.ByPidFile, "fork:-", "stay:42")
		u.ReadyPath = file
		id := b.start(u)
		first := b.hears("spawned", "exit 0")
		if first.Seq != 0 {
			t.Errorf("%s: the exit of the first is to be committed", name)
		}
		b.silent(100 * time.Millisecond)
		pids, _ := os.ReadFile(filepath.Join(b.root, groupOf("p"), runName(id), "cgroup.procs"))
		if late {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(file, pids, 0o644); err != nil {
			t.Fatal(err)
		}
		main := b.hears("main").Pid
		b.hears("ready")
		if main == first.Pid || fmt.Sprint(main) != strings.TrimSpace(string(pids)) {
			t.Errorf("%s: main process %d of %q", name, main, pids)
		}
		b.takeOver(u, id, unit.Ready)
		if got := b.hears("spawned").Pid; got != main {
			t.Errorf("%s: pid %d in the next epoch, not %d", name, got, main)
		}
		b.stopAll(u, id, "exit 42")
		b.end()
	}
}

// Before the pid file is there, the next epoch looks for it too; a daemon that
// never says who it is can be stopped all the same, and ends by itself.
func TestPidFileThatNeverComes(t *testing.T) {
	b := newBench(t)
	u := player(unit.ByPidFile, "fork:-", "stay:42")
	u.ReadyPath = filepath.Join(t.TempDir(), "nosuch.pid")
	id := b.start(u)
	b.hears("spawned", "exit 0")
	b.takeOver(u, id, unit.Starting)
	b.hears("spawned", "exit 0")
	b.stopAll2(u, id)

	u.Command = append(u.Command[:2], "exit:9") // no daemon at all
	id = b.start(u)
	if ev := b.hears("spawned", "exit 9"); ev.Seq == 0 {
		t.Error("nothing to commit")
	}
	b.hears("empty")
	b.do(unit.Release, u, id)
	b.over()
}

func (b *bench) stopAll2(u *unit.Unit, id unit.Run) {
	b.t.Helper()
	b.do(unit.Stop, u, id)
	if ev := b.hears("empty"); ev.Seq == 0 {
		b.t.Error("nothing to commit")
	}
	b.do(unit.Release, u, id)
	b.over()
}

// Neither a run nor an epoch leaves a descriptor behind, but what the unit stored.
func TestFDStoreLeaksNothing(t *testing.T) {
	b := newBench(t)
	u := player(unit.ByNotify, "give:one:FDSTORE=1\nFDNAME=a", "again", "pipe:FDSTORE=1", "send:READY=1", "barrier", "exit:0")
	u.FDStore, u.Watchdog = 1, time.Hour
	run := func() {
		id := b.start(u)
		b.hears("spawned", "ready", "exit 0", "empty")
		b.do(unit.Release, u, id)
		b.over()
		b.end()
		b.begin()
	}
	run()
	run()
	before := openFiles(t)
	for range 4 {
		b.arm.DropStored("p")
		run()
	}
	defer func() {
		if t.Failed() {
			out, _ := exec.Command("ls", "-l", fmt.Sprintf("/proc/%d/fd", os.Getpid())).Output()
			t.Logf("%d were open:\n%s", before, out)
		}
	}()
	b.until("all is closed", func() bool { return openFiles(t) <= before })
	if _, stored := b.keeper.held(); stored != 4 {
		t.Errorf("the keeper holds %d, not 3 of the log and one", stored)
	}
}

func TestFDStore(t *testing.T) {
	b := newBench(t)
	u := player(unit.ByNotify, "give:one:FDSTORE=1\nFDNAME=a", "again", "send:READY=1", "give:two:FDSTORE=1", "give:three:FDSTORE=1\nFDNAME=b", "give:four:FDSTORE=1", "exit:1")
	u.FDStore = 3
	id := b.start(u)
	b.hears("spawned", "ready", "exit 1", "empty")
	b.do(unit.Release, u, id)
	b.over()
	b.end() // an epoch between two runs
	b.begin()
	list := func(want ...string) {
		t.Helper()
		id := b.start(u)
		before := len(b.lines("p"))
		b.hears("spawned", "ready", "exit 0", "empty")
		if d := cmp.Diff(want, b.lines("p")[before:]); d != "" {
			t.Error(d)
		}
		b.do(unit.Release, u, id)
		b.over()
	}
	u.Command = append(u.Command[:2], "listen", "send:READY=1", "send:FDSTOREREMOVE=1\nFDNAME=a", "send:FDSTOREREMOVE=1", "exit:0")
	list("mine true", `a has "one"`, `stored has "two"`, `b has "three"`, "listed 3")
	list("mine true", `stored has "two"`, `b has "three"`, "listed 2")
	b.takeOver(u, 0, unit.Starting) // of no run: another epoch
	for ev := b.next(); ev.Op != unit.Empty; ev = b.next() {
	}
	b.do(unit.Release, u, 0)
	u.FDStore = 1 // as a new configuration has it
	list("mine true", `stored has "two"`, "listed 1")
	b.arm.DropStored("p")
	list("mine false", "listed 0")
	b.until("the keeper holds those of the log alone", func() bool { _, stored := b.keeper.held(); return stored == 3 })
}

// A pipe whose other end closes is given up, unless FDPOLL=0 says not to.
func TestFDStoreOfWhatCloses(t *testing.T) {
	b := newBench(t)
	u := player(unit.ByNotify, "pipe:FDSTORE=1\nFDNAME=gone", "shut", "pipe:FDSTORE=1\nFDNAME=kept\nFDPOLL=0", "shut", "send:READY=1", "stay:0")
	u.FDStore = 9
	id := b.start(u)
	b.hears("spawned", "ready")
	names := func() (s []string) {
		b.keeper.mu.Lock()
		defer b.keeper.mu.Unlock()
		for key := range b.keeper.stored {
			if strings.HasPrefix(key, "fd:") {
				s = append(s, key)
			}
		}
		return s
	}
	defer func() {
		if t.Failed() {
			t.Logf("kept: %q", names())
		}
	}()
	// The first is stored and may be given up before the second is stored.
	b.until("the other alone is kept", func() bool {
		got := strings.Join(names(), " ")
		return got == "fd:p:2-:kept" || got == "fd:p:1-:kept"
	})
	b.stopAll(u, id, "exit 0")
}

// systemd's own client.
func TestSystemdNotify(t *testing.T) {
	if _, err := exec.LookPath("systemd-notify"); err != nil {
		t.Skip("no systemd-notify here")
	}
	b := newBench(t)
	u := shell("p", `exec 2>&1
systemd-notify --status="at work" || exit 1
systemd-notify --ready --pid=$$ || exit 2
systemd-notify RELOADING=1 || exit 3
systemd-notify --ready || exit 4
systemd-notify STOPPING=1`)
	u.ReadyBy = unit.ByNotify
	id := b.start(u)
	b.hears("spawned", "noted: at work")
	var said []string
	for ev := b.next(); ev.Op != unit.Empty; ev = b.next() {
		said = append(said, told(ev))
	}
	if d := cmp.Diff([]string{"main", "ready", "reloading", "ready", "noted: stopping", "exit 0"}, said); d != "" {
		t.Error(d, b.lines("p"))
	}
	b.do(unit.Release, u, id)
	b.over()
}
