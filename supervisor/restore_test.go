package supervisor

import (
	"math/rand/v2"
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

// The model test: random graphs, random conduct, random wishes and crashes. sim
// holds that no unit has two processes, that nothing starts while the machine
// ends, and that only listed transitions are taken; here, that needs hold, that
// every event is committed and that every end comes.
func TestRandomSchedules(t *testing.T) {
	n := 3000
	if testing.Short() {
		n = 300
	}
	for seed := range n {
		randomSchedule(t, uint64(seed))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func randomSchedule(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	names := []string{"a", "b", "c", "d", "e", "f", "link:l", "network", "boot"}
	var units []*unit.Unit
	for k, name := range names[:6] {
		u := service(name)
		if r.IntN(4) == 0 {
			u = task(name)
		}
		for _, other := range names[:k] {
			switch r.IntN(8) {
			case 0, 1:
				u.Needs = append(u.Needs, other)
			case 2:
				u.Wants = append(u.Wants, other)
			case 3:
				u.After = append(u.After, other)
			}
		}
		if r.IntN(6) == 0 {
			u.Needs = append(u.Needs, "network")
		}
		u.Essential, u.StopMain, u.Manual = r.IntN(4) == 0, r.IntN(6) == 0, r.IntN(8) == 0
		if u.Kind == unit.Service {
			u.ReadyBy = unit.ReadyBy(r.IntN(3))
			u.Restart = unit.Restart(r.IntN(3))
		}
		units = append(units, u)
	}
	units = append(units, link("link:l"), milestone("network"), milestone("boot"))
	m := newSim(t, units...)
	for _, name := range names[:7] {
		c := conduct{notifyIn: time.Duration(r.IntN(4000)) * time.Millisecond}
		switch r.IntN(10) {
		case 0:
			c.exitAfter, c.exitStatus = time.Duration(1+r.IntN(40000))*time.Millisecond, unit.Status(r.IntN(3)<<8)
		case 1:
			c.startFails = "no such file"
		case 2:
			c.absent = "nothing there"
		case 3:
			c.ignoreTerm = true
		case 4:
			c.notifyIn = -1
		case 5:
			c.dState = r.IntN(3) == 0
		}
		m.act[name] = c
	}
	m.boot()
	snapshot := m.s.Append(nil)
	for range 25 {
		m.run(time.Duration(r.IntN(8000)) * time.Millisecond)
		m.invariants()
		name := names[r.IntN(7)]
		switch r.IntN(9) {
		case 0:
			m.send(unit.Event{Op: unit.AskStop, Unit: name, Force: true})
		case 1:
			m.send(unit.Event{Op: unit.AskStart, Unit: name})
		case 2:
			m.send(unit.Event{Op: unit.AskRestart, Unit: name})
		case 3:
			if run, ok := m.live[name]; ok && !m.act[name].dState {
				m.later(0, unit.Event{Op: unit.Exited, Unit: name, Run: run, Status: 9})
				m.later(time.Millisecond, unit.Event{Op: unit.Empty, Unit: name, Run: run})
			}
		case 4:
			m.send(unit.Event{Op: unit.Lost, Unit: "link:l", Run: m.left["link:l"]})
		case 5:
			m.send(unit.Event{Op: unit.IsReady, Unit: "link:l", Run: m.left["link:l"]})
		case 6:
			m.crash(m.s.Append(nil))
		case 7:
			if r.IntN(4) == 0 {
				m.crash(nil)
			}
		}
		snapshot = m.s.Append(snapshot[:0])
		again := NewState(m.graph(), m.s.epoch, false)
		if err := again.load(snapshot); err != nil {
			t.Fatalf("snapshot: %v", err)
		}
		if string(again.Append(nil)) != string(snapshot) {
			t.Fatal("a snapshot does not come back as it was")
		}
	}
	m.send(unit.Event{Op: unit.AskEnd, How: unit.PowerOff})
	m.run(unit.EndTimeout + time.Second)
	if m.over != unit.PowerOff {
		t.Errorf("the end never came")
	}
	if len(m.uncommi) != 0 {
		t.Errorf("not committed: %v", m.uncommi)
	}
}

func (m *sim) invariants() {
	m.t.Helper()
	for i := range m.s.nodes {
		n := &m.s.nodes[i]
		if n.state == unit.Ready && n.Kind.HasProcess() && !n.Essential && !n.stopping && n.up {
			for _, e := range n.out {
				if on := &m.s.nodes[e.To]; e.Kind == unit.Needs && on.state != unit.Ready {
					m.t.Errorf("%s is ready while %s, which it needs, is %s", n.Name, on.Name, on.state)
				}
			}
		}
		if n.delay > unit.BackOffMost {
			m.t.Errorf("%s backs off for %s", n.Name, n.delay)
		}
		if !n.active() && n.state != unit.Stuck && !n.over() {
			m.t.Errorf("%s is %s and holds run %d", n.Name, n.state, n.run)
		}
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
