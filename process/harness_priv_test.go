//go:build priv

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// bench is a mini keeper with one arm after the other, one per epoch.
type bench struct {
	t      testing.TB
	keeper *miniKeeper
	root   string // cgroups
	run    string
	epoch  uint32
	runs   uint32
	hold   bool // do not commit

	arm    *Arm
	conn   *Keeper
	table  Table
	events chan unit.Event
}

func newBench(t testing.TB) *bench {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	run, err := os.MkdirTemp("/tmp", "hp")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(run, 0o755); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, keeper: newMiniKeeper(t), root: cgroupRoot(t), run: run}
	t.Cleanup(func() { os.RemoveAll(run) })
	t.Cleanup(func() {
		if b.arm != nil {
			b.end()
		}
	})
	b.begin()
	return b
}

// cgroupRoot is a cgroup of our own that plays the root of the hierarchy.
func cgroupRoot(t testing.TB) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if f[2] != "cgroup2" {
			continue
		}
		dir, err := os.MkdirTemp(f[1], "hoopy-test-")
		if err != nil {
			t.Skipf("no cgroup below %s: %v", f[1], err)
		}
		t.Cleanup(func() {
			os.WriteFile(dir+"/cgroup.kill", []byte("1"), 0)
			for end := time.Now().Add(bound); time.Now().Before(end); {
				if removeGroup(dir, 5) == nil {
					return
				}
			}
			t.Errorf("%s is still there", dir)
		})
		return dir
	}
	t.Skip("no cgroup2 is mounted here")
	return ""
}

// begin starts an epoch.
func (b *bench) begin() {
	b.t.Helper()
	b.epoch++
	conn, err := NewKeeper(b.keeper.connect(), b.epoch)
	if err != nil {
		b.t.Fatal(err)
	}
	if b.table, err = conn.Hello(bound); err != nil {
		b.t.Fatal(err)
	}
	conn.OnPing, conn.OnSignal, conn.OnLost = conn.Pong, func(int) {}, func(error) {}
	events := make(chan unit.Event, 1000)
	b.conn, b.events = conn, events
	b.arm, err = New(Config{Keeper: conn, Emit: func(ev unit.Event) { events <- ev }, Table: b.table, Epoch: b.epoch,
		CgroupRoot: b.root, RunDir: b.run, Log: func(s string) {
			if !strings.HasPrefix(s, "no controller") {
				b.t.Log(s)
			}
			if strings.Contains(s, "panic") {
				b.t.Error(s)
			}
		}})
	if err != nil {
		b.t.Fatal(err)
	}
	go conn.Serve()
}

// end is the death of the supervisor.
func (b *bench) end() {
	b.conn.Close()
	b.arm.Close()
	b.arm = nil
}

func (b *bench) start(u *unit.Unit) unit.Run { return b.startPart(u, unit.Main) }

func (b *bench) startPart(u *unit.Unit, part unit.Part) unit.Run {
	b.runs++
	id := unit.Run(uint64(b.epoch)<<32 | uint64(b.runs))
	b.arm.Do(unit.Action{Op: unit.Start, Unit: u, Run: id, Part: part})
	return id
}

func (b *bench) do(op unit.ActionOp, u *unit.Unit, id unit.Run) {
	b.arm.Do(unit.Action{Op: op, Unit: u, Run: id})
}

// next is the next event, committed unless hold is set.
func (b *bench) next() unit.Event {
	b.t.Helper()
	select {
	case ev := <-b.events:
		if ev.Seq != 0 && !b.hold {
			b.arm.Do(unit.Action{Op: unit.Commit, Unit: &unit.Unit{Name: ev.Unit}, Run: ev.Run, Seq: ev.Seq})
		}
		return ev
	case <-time.After(bound):
		b.t.Fatal("no event")
		return unit.Event{}
	}
}

// expect takes one event after the other.
func (b *bench) expect(want ...string) (last unit.Event) {
	b.t.Helper()
	for _, w := range want {
		last = b.next()
		if got := word(last); got != w {
			b.t.Fatalf("event %q, not %q", got, w)
		}
	}
	return last
}

// word is an event without what differs from run to run.
func word(ev unit.Event) string {
	switch ev.Op {
	case unit.Spawned:
		return "spawned"
	case unit.IsReady:
		return "ready"
	case unit.StartFailed:
		return "failed: " + ev.Text
	case unit.Absent:
		return "absent: " + ev.Text
	case unit.Noted:
		return "noted: " + ev.Text
	case unit.Empty:
		return "empty"
	case unit.Sick:
		if ev.Force {
			return "sick, restart: " + ev.Text
		}
		return "sick: " + ev.Text
	case unit.Healthy:
		return "healthy"
	case unit.Cleared:
		return "cleared"
	case unit.Exited:
		if sig, ok := ev.Status.Signal(); ok {
			return fmt.Sprintf("signal %d", sig)
		}
		code, _ := ev.Status.Exit()
		return fmt.Sprintf("exit %d", code)
	}
	return fmt.Sprint(ev.Op)
}

// until waits for something that has no event.
func (b *bench) until(what string, ok func() bool) {
	b.t.Helper()
	for end := time.Now().Add(bound); !ok(); {
		if time.Now().After(end) {
			b.t.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func (b *bench) lines(name string) []string { return b.arm.LastLines(name, 100) }

// line waits for a line of the unit and returns it.
func (b *bench) line(name, prefix string) (line string) {
	b.t.Helper()
	b.until(name+" says "+prefix, func() bool {
		for _, l := range b.lines(name) {
			if strings.HasPrefix(l, prefix) {
				line = l
				return true
			}
		}
		return false
	})
	return line
}

// leaves counts the cgroups of runs.
func (b *bench) leaves() (n int) {
	paths, _ := filepath.Glob(filepath.Join(b.root, "svc", "*", "*"))
	for _, p := range paths {
		if _, ok := parseRun(filepath.Base(p)); ok {
			n++
		}
	}
	return n
}

// over waits until nothing is kept for any run.
func (b *bench) over() {
	b.t.Helper()
	var rows, leaves int
	var socks []string
	defer func() {
		if b.t.Failed() {
			b.t.Logf("%d rows, %d leaves, sockets %q", rows, leaves, socks)
		}
	}()
	b.until("all is given back", func() bool {
		for len(b.events) > 0 {
			b.next()
		}
		rows, _ = b.keeper.held()
		leaves = b.leaves()
		socks, _ = filepath.Glob(filepath.Join(b.run, "notify", "*"))
		return rows == 0 && leaves == 0 && len(socks) == 0
	})
}

func shell(name, script string) *unit.Unit {
	return &unit.Unit{Name: name, Command: []string{"/bin/sh", "-c", script}, Process: unit.Process{Umask: 0o22}}
}

// acting is a unit that runs act.
func acting(name string, by unit.ReadyBy, args ...string) *unit.Unit {
	self, _ := os.Executable()
	return &unit.Unit{Name: name, Command: append([]string{self}, args...), ReadyBy: by, Process: unit.Process{Umask: 0o22}}
}

func alive(pid int) bool { return unix.Kill(pid, 0) == nil }
