//go:build priv

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// hooked is a unit whose hooks tell what they are given.
func hooked(script string) *unit.Unit {
	u := shell("h", script)
	for p := unit.StartPre; p < unit.Parts; p++ {
		u.Hooks[p] = []string{"/bin/sh", "-c", fmt.Sprintf("echo %s $MAINPID $EXIT_CODE $EXIT_STATUS $A; sed -n 's/^0::.*svc/svc/p' /proc/self/cgroup", p)}
	}
	u.Env = []string{"A=b"}
	return u
}

// TestHooks: each hook is a run with a leaf of its own, that ends by itself and
// makes nothing ready.
func TestHooks(t *testing.T) {
	b := newBench(t)
	u := hooked("trap 'exit 3' TERM; echo up; while :; do sleep 0.01; done")
	u.ReadyBy, u.StopMain = unit.ByNotify, true // neither is for hooks
	b.startPart(u, unit.StartPre)
	b.expect("spawned", "exit 0", "empty")
	u.ReadyBy = unit.BySpawn
	main := b.start(u)
	pid := b.expect("spawned", "ready")
	_ = pid
	b.line("h", "up")
	b.arm.mu.Lock()
	pidText := strconv.Itoa(b.arm.mains["h"])
	b.arm.mu.Unlock()
	reload := b.startPart(u, unit.Reload)
	b.expect("spawned", "exit 0", "empty")
	b.do(unit.Stop, u, main)
	b.expect("exit 3", "empty")
	post := b.startPart(u, unit.StopPost)
	b.expect("spawned", "exit 0", "empty")
	got := b.lines("h")
	want := []string{"start_pre b", got[1], "up", "reload " + pidText + " b", "svc/h/" + runName(reload),
		"stop_post exited 3 b", "svc/h/" + runName(post)}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for i := 1; i <= 4; i++ {
		b.do(unit.Release, u, unit.Run(1)<<32|unit.Run(i))
	}
	b.over()
}

// What a hook leaves running holds its end up, and a kill ends it, in a unit
// that stops by its main process alone, too.
func TestKillOfAHook(t *testing.T) {
	b := newBench(t)
	u := shell("h", "exec sleep 1000")
	u.StopMain = true
	u.Hooks[unit.StartPost] = []string{"/bin/sh", "-c", "sleep 1000 & exit 1"}
	main := b.start(u)
	b.expect("spawned", "ready")
	hook := b.startPart(u, unit.StartPost)
	b.expect("spawned", "exit 1")
	b.do(unit.Kill, u, hook)
	b.expect("empty")
	if n := b.arm.Processes("h"); n != 1 {
		t.Errorf("%d processes, not the main one alone", n)
	}
	b.do(unit.Kill, u, main)
	b.expect("signal 9", "empty")
	b.do(unit.Release, u, main)
	b.do(unit.Release, u, hook)
	b.over()
}

// A hook that cannot be executed says so as a command does.
func TestHookFails(t *testing.T) {
	b := newBench(t)
	u := shell("h", "true")
	u.Hooks[unit.StartPre] = []string{"/nosuch"}
	id := b.startPart(u, unit.StartPre)
	b.expect(`failed: exec "/nosuch": no such file or directory`)
	b.do(unit.Release, u, id)
	b.over()
}

// A hook outlives the supervisor as a command does, and stays what it is.
func TestHookIsAdopted(t *testing.T) {
	b := newBench(t)
	u := shell("h", "true")
	u.Hooks[unit.StartPre] = []string{"/bin/sh", "-c", "echo on; while [ ! -e /proc/$$/cwd/done ]; do sleep 0.01; done; exit 4"}
	u.Directory = b.run
	id := b.startPart(u, unit.StartPre)
	b.expect("spawned")
	b.line("h", "on")
	b.end()
	b.begin()
	if len(b.table.Rows) != 1 || b.table.Rows[0].Unit != "h" || b.table.Rows[0].Part != unit.StartPre {
		t.Fatalf("%+v", b.table.Rows)
	}
	b.arm.Do(unit.Action{Op: unit.Adopt, Unit: u, Run: id, Part: unit.StartPre})
	b.expect("spawned")
	if err := os.WriteFile(filepath.Join(b.run, "done"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	b.expect("exit 4", "empty")
	b.do(unit.Release, u, id)
	b.over()
}

// TestConditionsAtStart: what does not hold is said once, before the first step,
// and never again on the way.
func TestConditionsAtStart(t *testing.T) {
	b := newBench(t)
	flag := filepath.Join(b.run, "flag")
	u := shell("c", "exit 0")
	u.Conditions = []unit.Condition{{Op: unit.PathExists, Text: flag}}
	b.start(u)
	b.expect("absent: no " + flag + " on this machine")
	u.Hooks[unit.StartPre] = []string{"/bin/true"}
	b.startPart(u, unit.StartPre)
	b.expect("absent: no " + flag + " on this machine")
	if err := os.WriteFile(flag, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	pre := b.startPart(u, unit.StartPre)
	b.expect("spawned", "exit 0", "empty")
	os.Remove(flag)
	main := b.start(u)
	b.expect("spawned", "ready", "exit 0", "empty")
	b.do(unit.Release, u, pre)
	b.do(unit.Release, u, main)
	b.over()
}

// A disk that does not answer costs the unit its start, and nobody else theirs.
func TestConditionsThatHang(t *testing.T) {
	b := newBench(t)
	let := make(chan struct{})
	u := shell("c", "exit 0")
	u.Conditions = []unit.Condition{{Op: unit.ModuleLoaded, Text: "no_such_module"}}
	b.arm.post(func() { b.arm.cfg.BuiltIn = func(string) bool { <-let; return true } })
	id := b.start(u)
	b.start(shell("other", "exit 0"))
	b.expect("spawned", "ready", "exit 0", "empty")
	b.do(unit.Stop, u, id)
	b.expect("failed: stopped before it began")
	b.do(unit.Release, u, id)
	b.start(u)
	b.expect("failed: conditions: the disk that was asked at the last start has not answered yet")
	close(let)
	b.until("the answer is taken", func() bool {
		c := make(chan bool, 1)
		b.arm.post(func() { c <- len(b.arm.hanging) == 0 })
		return <-c
	})
	b.start(u)
	b.expect("spawned", "ready", "exit 0", "empty")
}

// TestSignal: one signal, to the main process alone, and none to what is over.
func TestSignal(t *testing.T) {
	b := newBench(t)
	u := shell("s", `trap 'echo usr1' USR1; trap 'echo cont' CONT; trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done`)
	id := b.start(u)
	b.expect("spawned", "ready")
	b.line("s", "up")
	b.arm.Do(unit.Action{Op: unit.Signal, Unit: u, Run: id, Signal: int(unix.SIGUSR1)})
	b.line("s", "usr1")
	b.do(unit.Stop, u, id)
	b.expect("exit 0", "empty")
	if got := strings.Join(b.lines("s"), " "); got != "up usr1 cont" && got != "up usr1" {
		t.Errorf("%q", got)
	}
	b.arm.Do(unit.Action{Op: unit.Signal, Unit: u, Run: id, Signal: int(unix.SIGUSR1)})
	b.do(unit.Release, u, id)
	b.arm.Do(unit.Action{Op: unit.Signal, Unit: u, Run: id, Signal: int(unix.SIGUSR1)})
	b.over()
}
