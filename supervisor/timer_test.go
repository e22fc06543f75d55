package supervisor

import (
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

func due(m *sim, name string) {
	m.t.Helper()
	m.send(unit.Event{Op: unit.Due, Unit: name, Text: "every 15m"})
}

func TestTimerRunsWhenItIsDue(t *testing.T) {
	m := newSim(t, timer("u"), service("v", after("u"), wants("u")), milestone("boot"))
	m.act["u"] = conduct{exitAfter: 3 * time.Second}
	m.boot().run(time.Minute).want("u waiting", "v ready", "boot ready")
	if got := strings.Join(m.lines, ", "); strings.Contains(got, "u: for") {
		t.Errorf("it says that it waits: %s", got)
	}
	r := func() unit.Report { r, _ := m.s.Report([]string{"u"}); return r[0] }
	m.send(unit.Event{Op: unit.Planned, Unit: "u", Wall: 77, Text: "Sunday 02:00"})
	if r := r(); !r.Well() || r.Next != 77 || r.NextText != "Sunday 02:00" || r.LastRun != 0 || len(r.Waits) != 0 {
		t.Errorf("report %+v", r)
	}
	if !m.s.Settled("u") {
		t.Error("a timer between two runs is not settled")
	}
	due(m, "u")
	m.run(2 * time.Second).want("u starting").reset()
	if m.s.Settled("u") {
		t.Error("a timer that runs is settled")
	}
	due(m, "u")
	m.order("u: still running for 2 s, this run is left out (every 15m)")
	m.run(2 * time.Second).want("u waiting")
	if r := r(); !r.Well() || r.LastTook != 3*time.Second || r.LastRun != unit.Time(61*time.Second) || m.starts["u"] != 1 {
		t.Errorf("report %+v, starts %d", r, m.starts["u"])
	}
	due(m, "u")
	m.run(4 * time.Second).want("u waiting")
	if m.starts["u"] != 2 {
		t.Errorf("%d runs, want 2", m.starts["u"])
	}
}

func TestTimerThatFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		unit  *unit.Unit
		act   conduct
		state string
		why   string
		runs  int // within 10 s
	}{
		{"waits for its next time", timer("u"), conduct{exitAfter: 1, exitStatus: exit1}, "waiting", "exit 1", 1},
		{"is tried again", timer("u", restart(unit.OnFailure)), conduct{exitAfter: 1, exitStatus: exit1}, "back-off", "exit 1", 5},
		{"cannot be started", timer("u"), conduct{startFails: "no such file"}, "waiting", "no such file", 1},
		{"by its start_pre", timer("u", hooked(pre)), conduct{hook: [unit.Parts]hookConduct{pre: {status: exit1}}}, "waiting", "start_pre: exit 1", 0},
		{"asks not to be started again", timer("u", restart(unit.OnFailure)), conduct{exitAfter: 1, exitStatus: unit.ExitNever << 8}, "failed", "exit 125: it asks not to be started again", 1},
		{"is left out", timer("u"), conduct{absent: "nothing mounted on /tank"}, "waiting", "", 1},
		{"is killed by somebody", timer("u"), conduct{exitAfter: 1, exitStatus: 15}, "waiting", "killed by SIGTERM", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newSim(t, c.unit)
			m.act["u"] = c.act
			m.boot()
			due(m, "u")
			m.run(10 * time.Second).want("u " + c.state)
			r, _ := m.s.Report([]string{"u"})
			if r[0].Why != c.why || r[0].Well() != (c.why == "") || m.starts["u"] != c.runs {
				t.Errorf("why %q, well %v, %d runs; want %q, %d runs", r[0].Why, r[0].Well(), m.starts["u"], c.why, c.runs)
			}
			if c.state != "waiting" {
				return
			}
			m.act["u"] = conduct{}
			due(m, "u")
			m.run(time.Second).want("u waiting")
			if r, _ := m.s.Report([]string{"u"}); !r[0].Well() {
				t.Errorf("not well after a good run: %q", r[0].Why)
			}
		})
	}
}

func TestTimerHooksRunEachTime(t *testing.T) {
	m := newSim(t, timer("u", hooked(pre, post, stopPre, stopPost))).boot()
	due(m, "u")
	m.run(time.Second).want("u waiting")
	if got, want := hookLines(m), "waiting, starting, start_pre, command, start_post, stopping, stop_post, waiting"; got != want {
		t.Errorf("it went\n%s\nwant\n%s", got, want)
	}
}

func TestTimerWaitsForItsEdges(t *testing.T) {
	m := newSim(t, service("disk", manual), timer("u", needs("disk")), timer("e", essential, needs("disk"))).boot()
	m.send(unit.Event{Op: unit.AskStop, Unit: "disk"})
	m.run(time.Minute).reset()
	due(m, "u")
	due(m, "e")
	m.run(10*time.Second).want("u waiting", "e waiting")
	m.order("u: for disk (5 s)")
	m.crash(m.s.Append(nil)) // it is remembered
	m.run(11 * time.Second)
	if m.starts["e"] != 1 || m.starts["u"] != 0 {
		t.Errorf("starts %v, want the essential one alone", m.starts)
	}
	m.send(unit.Event{Op: unit.AskStart, Unit: "disk"})
	m.run(time.Second).want("u waiting")
	if m.starts["u"] != 1 {
		t.Errorf("starts %v", m.starts)
	}
	m.run(time.Hour)
	if m.starts["u"] != 1 || m.starts["e"] != 1 {
		t.Errorf("starts %v: it was due once", m.starts)
	}
}

func TestTimerObeys(t *testing.T) {
	m := newSim(t, service("db"), timer("u", needs("db")))
	m.act["u"] = conduct{exitAfter: time.Minute}
	m.boot()
	m.send(unit.Event{Op: unit.AskStart, Unit: "u"}) // runs it now
	m.run(time.Second).want("u starting")
	m.send(unit.Event{Op: unit.AskRestart, Unit: "u"})
	m.run(time.Second).want("u starting")
	m.send(unit.Event{Op: unit.AskRestart, Unit: "db"}) // a lost need: it runs again after it
	m.run(time.Second).want("u starting", "db ready")
	if m.starts["u"] != 3 {
		t.Errorf("%d runs, want 3", m.starts["u"])
	}
	m.send(unit.Event{Op: unit.AskStop, Unit: "u"})
	m.run(time.Second).want("u inactive")
	due(m, "u")
	m.run(time.Second).want("u inactive")
	m.send(unit.Event{Op: unit.AskStart, Unit: "u"})
	m.run(time.Second).want("u starting")
	if r, _ := m.s.Report([]string{"u"}); r[0].Next != 0 {
		t.Errorf("next %d", r[0].Next)
	}
}
