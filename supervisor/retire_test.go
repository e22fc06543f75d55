package supervisor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

// retire stops what the changes say, waits, and goes on in a fresh epoch with
// the units given.
func retire(m *sim, changes []unit.Change, units ...*unit.Unit) {
	m.t.Helper()
	m.carryOut(m.s.Retire(changes, m.now))
	for k := 0; !m.s.Retired(); k++ {
		if k == 100 {
			m.t.Fatal("never retired")
		}
		m.run(time.Second)
	}
	if units != nil {
		m.units = units
	}
	m.crash(m.s.Append(nil))
	m.run(time.Second)
}

func TestRetire(t *testing.T) {
	db, web, log := service("db", manual), service("web", needs("db")), service("log")
	failed := service("failed", restart(unit.Never))
	timer := timer("timer")
	m := newSim(t, db, web, log, service("old"), failed, timer, service("sshd", essential))
	m.act["failed"] = conduct{exitAfter: 1, exitStatus: exit1}
	m.act["timer"] = conduct{exitAfter: time.Hour}
	m.act["db"] = conduct{ignoreTerm: true}
	m.boot()
	due(m, "timer")
	m.run(time.Second).want("db ready", "web ready", "log ready", "old ready", "failed failed", "timer starting")
	keep := m.live["log"]
	m.act["failed"] = conduct{}
	m.reset()
	retire(m, []unit.Change{{Name: "db", Op: unit.Changed, Restart: true}, {Name: "old", Op: unit.Removed},
		{Name: "failed", Op: unit.Changed, Restart: true}, {Name: "log", Op: unit.Changed}, {Name: "new", Op: unit.Added},
		{Name: "timer", Op: unit.Changed, Restart: true}, {Name: "sshd", Op: unit.Changed, Restart: true}},
		db, web, log, failed, timer, service("sshd", essential), service("new"))
	m.want("db ready", "web ready", "log ready", "failed ready", "new ready", "timer starting", "sshd ready")
	m.order("web: stopping", "web: waiting", "db: stopping", "db: waiting", "sshd: stopping", "sshd: waiting", "sshd: ready")
	m.order("db: waiting", "db: ready", "web: ready")
	m.order("old: stopping", "old: inactive")
	if m.live["log"] != keep || m.starts["db"] != 2 || m.starts["timer"] != 2 {
		t.Errorf("log was started anew, or others were not: %v", m.starts)
	}
	if _, lives := m.live["old"]; lives {
		t.Error("old lives")
	}
}

// A unit that could never start for want of another does when that is added.
func TestWhatWasMissingIsAdded(t *testing.T) {
	web := service("web", needs("db"))
	g, err := unit.NewGraph([]*unit.Unit{web})
	if err == nil {
		t.Fatal("no mistake")
	}
	m := newSim(t)
	m.s = NewState(g, 1, false)
	m.boot().run(time.Second).want("web failed")
	retire(m, []unit.Change{{Name: "db", Op: unit.Added}}, web, service("db"))
	m.want("db ready", "web ready")
}

func TestRetireStopsNothingInSafeMode(t *testing.T) {
	m := newSim(t, service("u"))
	m.s = NewState(m.graph(), 4, true)
	m.boot()
	m.send(unit.Event{Op: unit.AskStart, Unit: "u"})
	m.run(time.Second).want("u ready")
	if acts := m.s.Retire([]unit.Change{{Name: "u", Op: unit.Removed}}, m.now); len(acts) != 0 || !m.s.Retired() {
		t.Errorf("%d actions", len(acts))
	}
}

func TestHeldUnitsDoNotStart(t *testing.T) {
	m := newSim(t, service("gone"), service("u"), service("slow")).boot().run(time.Second)
	m.act["slow"] = conduct{ignoreTerm: true}
	m.carryOut(m.s.Retire([]unit.Change{{Name: "gone", Op: unit.Removed}, {Name: "u", Op: unit.Changed, Restart: true},
		{Name: "slow", Op: unit.Changed, Restart: true}}, m.now))
	m.run(time.Second).want("gone inactive", "u waiting", "slow stopping")
	for _, op := range []unit.EventOp{unit.AskStart, unit.AskRestart} {
		for _, name := range []string{"gone", "u"} {
			m.send(unit.Event{Op: op, Unit: name})
		}
	}
	m.run(time.Second).want("gone inactive", "u waiting")
	if m.s.Retired() {
		t.Error("retired before slow has stopped")
	}
	m.run(10 * time.Second)
	if !m.s.Retired() {
		t.Error("not retired")
	}
}

func TestAddAndRemove(t *testing.T) {
	m := newSim(t, service("db", manual), service("web"), milestone("boot"))
	m.carryOut(m.s.Begin(m.now, time.Second)) // with a head start under way
	add := func(u *unit.Unit) error { u.Manual = true; return m.s.Add(u) }
	if err := add(service("run-1", needs("db"), after("web"))); err != nil {
		t.Fatal(err)
	}
	m.run(2*time.Second).want("run-1 inactive", "db inactive")
	m.send(unit.Event{Op: unit.AskStart, Unit: "run-1"})
	m.run(time.Second).want("run-1 ready", "db ready")
	if got := strings.Join(m.s.Dependents("db"), " "); got != "run-1" {
		t.Errorf("a stop of db takes down %q", got)
	}
	if m.s.Remove("run-1") || m.s.Remove("db") || m.s.Remove("nobody") {
		t.Error("a unit was removed that runs, or was not added")
	}
	for _, u := range []*unit.Unit{service("run-2", needs("nobody")), service("run-2", wants("nobody")), service("run-2", func(u *unit.Unit) { u.Before = []string{"nobody"} })} {
		if err := add(u); !errors.Is(err, unit.ErrNoUnit) {
			t.Errorf("a unit with an edge to nobody: %v", err)
		}
	}
	for _, u := range []*unit.Unit{service("web"), service(""), service("run-2", needs("run-1"), func(u *unit.Unit) { u.Before = []string{"db"} })} {
		if err := add(u); err == nil || errors.Is(err, unit.ErrNoUnit) {
			t.Errorf("%q was added: %v", u.Name, err)
		}
	}
	if r, _ := m.s.Report(nil); len(r) != 4 {
		t.Errorf("%d reports", len(r))
	}

	m.send(unit.Event{Op: unit.AskStop, Unit: "run-1"})
	m.run(time.Second).want("run-1 inactive")
	if !m.s.Remove("run-1") {
		t.Fatal("not removed")
	}
	if r, missing := m.s.Report([]string{"run-1"}); len(r) != 0 || len(missing) != 1 {
		t.Errorf("a report of what was removed: %v", r)
	}
	if r, _ := m.s.Report(nil); len(r) != 3 {
		t.Errorf("%d reports", len(r))
	}
	nodes := len(m.s.nodes)
	for range 100 {
		u := task("run-1", needs("db"))
		if err := add(u); err != nil {
			t.Fatal(err)
		}
		m.send(unit.Event{Op: unit.AskStart, Unit: "run-1"})
		m.run(100 * time.Millisecond).want("run-1 ready")
		if !m.s.Remove("run-1") {
			t.Fatal("a task that is done was not removed")
		}
	}
	if len(m.s.nodes) != nodes || len(m.node("db").in) != 0 {
		t.Errorf("%d nodes, before %d; db has edges %v", len(m.s.nodes), nodes, m.node("db").in)
	}
	m.run(time.Hour).want("db ready", "web ready", "boot ready")
}

// A transient unit that an epoch adds before its restore goes on.
func TestAddedUnitAcrossACrash(t *testing.T) {
	m := newSim(t, service("db")).boot()
	u := service("run-1", manual, needs("db"))
	if err := m.s.Add(u); err != nil {
		t.Fatal(err)
	}
	m.send(unit.Event{Op: unit.AskStart, Unit: "run-1"})
	m.run(time.Second).want("run-1 ready")
	snapshot := m.s.Append(nil)
	table := m.table()
	m.s = NewState(m.graph(), 2, false)
	if err := m.s.Add(u); err != nil {
		t.Fatal(err)
	}
	acts, r := m.s.Restore(snapshot, table, m.now)
	m.carryOut(acts)
	m.run(time.Second).want("run-1 ready")
	if r.Adopted != 2 || len(r.Strays) != 0 {
		t.Errorf("%+v", r)
	}
	m.send(unit.Event{Op: unit.AskStop, Unit: "run-1"})
	m.run(time.Second)
	if !m.s.Remove("run-1") {
		t.Error("it cannot be removed any more")
	}
}
