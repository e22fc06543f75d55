package supervisor

import (
	"reflect"
	"testing"
	"time"

	"hoopy/unit"
)

func TestSnapshotRoundTrip(t *testing.T) {
	m := newSim(t, service("db"), service("web", needs("db")), task("once"), link("link:lan"), milestone("boot"))
	m.act["web"] = conduct{exitAfter: time.Second, exitStatus: exit1}
	m.boot().run(1500 * time.Millisecond)
	m.send(unit.Event{Op: unit.AskStop, Unit: "db"})
	b := m.s.Append(nil)
	again := NewState(m.graph(), 2, false)
	if err := again.load(b); err != nil {
		t.Fatal(err)
	}
	for i := range again.nodes {
		a, b := again.nodes[i], m.s.nodes[i]
		a.gen, b.gen, a.set, b.set, a.listed, b.listed = [unit.Timers]uint32{}, [unit.Timers]uint32{}, [unit.Timers]bool{}, [unit.Timers]bool{}, false, false
		a.known = b.known
		a.under, a.underAt, a.walked, b.under, b.underAt, b.walked = false, 0, 0, false, 0, 0
		a.Unit, b.Unit = nil, nil // each made from the same list
		if !reflect.DeepEqual(a, b) {
			t.Errorf("node %d came back as\n%+v, want\n%+v", i, a, b)
		}
	}
	for cut := range len(b) {
		fresh := NewState(m.graph(), 2, false)
		if fresh.load(b[:cut]) == nil {
			t.Fatalf("a snapshot cut at %d of %d bytes was taken", cut, len(b))
		}
		if fresh.nodes[0].state != unit.Inactive {
			t.Fatal("a bad snapshot left something behind")
		}
	}
}

func TestCrashRestartsNothing(t *testing.T) {
	for _, withSnapshot := range []bool{true, false} {
		m := newSim(t, service("db", byNotify), service("web", needs("db")), service("sshd", essential, stopMain), link("link:lan"), milestone("network"), milestone("boot"))
		m.boot().run(time.Second).want("db ready", "web ready", "sshd ready", "boot ready")
		runs := map[string]unit.Run{"db": m.live["db"], "web": m.live["web"], "sshd": m.live["sshd"]}
		var b []byte
		if withSnapshot {
			b = m.s.Append(nil)
		}
		r := m.crash(b)
		if r.Rebuilt == withSnapshot {
			t.Errorf("rebuilt: %v", r.Rebuilt)
		}
		m.run(time.Minute).want("db ready", "web ready", "sshd ready", "boot ready", "network ready")
		for name, run := range runs {
			if m.live[name] != run {
				t.Errorf("snapshot %v: %s was started anew", withSnapshot, name)
			}
		}
	}
}

func TestCrashBetweenSnapshotAndStart(t *testing.T) {
	m := newSim(t, service("u"))
	m.s.Begin(m.now, 0) // the start is in the snapshot, but was never carried out
	m.crash(m.s.Append(nil))
	m.run(time.Second).want("u ready")
	if m.starts["u"] != 1 {
		t.Errorf("started %d times", m.starts["u"])
	}
}

func TestCrashBetweenStartAndSnapshot(t *testing.T) {
	m := newSim(t, service("u", byNotify))
	before := m.s.Append(nil)
	m.act["u"] = conduct{notifyIn: time.Second}
	m.boot()
	run := m.live["u"]
	m.crash(before)
	m.run(2 * time.Second).want("u ready")
	if m.live["u"] != run {
		t.Error("started anew")
	}
}

func TestCrashStartsNothingThatWasStopped(t *testing.T) {
	m := newSim(t, service("u"), service("done", restart(unit.OnFailure))).boot().run(time.Second)
	m.send(unit.Event{Op: unit.AskStop, Unit: "u"})
	m.dispatch(unit.Event{Op: unit.Exited, Unit: "done", Run: m.live["done"]})
	m.later(0, unit.Event{Op: unit.Empty, Unit: "done", Run: m.left["done"]})
	m.run(time.Second)
	m.crash(m.s.Append(nil))
	m.run(time.Minute).want("u inactive", "done inactive")
}

func TestCrashWhileStopping(t *testing.T) {
	m := newSim(t, service("u")).boot().run(time.Second)
	m.act["u"] = conduct{ignoreTerm: true}
	m.send(unit.Event{Op: unit.AskStop, Unit: "u"})
	m.run(3 * time.Second)
	m.crash(m.s.Append(nil))
	m.run(6 * time.Second).want("u stopping")
	m.run(2 * time.Second).want("u inactive") // 10 s from the first TERM, not from the crash
}

// The kill is in the snapshot and was never carried out.
func TestCrashBeforeTheKill(t *testing.T) {
	m := newSim(t, service("u")).boot().run(time.Second)
	m.act["u"] = conduct{ignoreTerm: true}
	m.send(unit.Event{Op: unit.AskStop, Unit: "u"})
	m.run(9 * time.Second)
	m.now = m.now.Add(time.Second)
	n := m.node("u")
	m.s.Step(unit.Event{Op: unit.TimerFired, Unit: "u", Timer: unit.StopTimer, Gen: n.gen[unit.StopTimer], Now: m.now})
	if n.killAt == 0 {
		t.Fatal("not killed")
	}
	m.crash(m.s.Append(nil))
	m.run(time.Second).want("u inactive")
}

func TestCrashDuringTheEnd(t *testing.T) {
	m := newSim(t, service("u"), service("v", after("u"))).boot().run(time.Second)
	m.act["u"] = conduct{ignoreTerm: true}
	m.send(unit.Event{Op: unit.AskEnd, How: unit.PowerOff, Text: "x"})
	m.run(time.Second)
	m.crash(m.s.Append(nil))
	m.run(time.Minute)
	if m.over != unit.PowerOff || m.starts["u"] != 1 || m.starts["v"] != 1 {
		t.Errorf("over %v, starts %v", m.over, m.starts)
	}
}

func FuzzLoad(f *testing.F) {
	g, err := unit.NewGraph([]*unit.Unit{service("a"), service("b", needs("a"))})
	if err != nil {
		f.Fatal(err)
	}
	s := NewState(g, 1, false)
	s.Begin(1, 0)
	f.Add(s.Append(nil))
	f.Add([]byte{snapshotVersion, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := NewState(g, 2, false)
		s.Restore(b, []Running{{Unit: "a", Run: 5, Pid: 7}, {Unit: "zz", Run: 6}}, 10)
		s.Begin(11, 0)
		s.Step(unit.Event{Op: unit.AskEnd, How: unit.Halt, Now: 12})
	})
}
