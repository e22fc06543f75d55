package supervisor

import (
	"time"

	"hoopy/unit"
)

// What the sim's world does about actions, and what it holds against them.

func (m *sim) carryOut(acts []unit.Action) {
	acts = append([]unit.Action(nil), acts...)
	for _, a := range acts {
		name := ""
		if a.Unit != nil {
			name = a.Unit.Name
		}
		c := m.act[name]
		switch a.Op {
		case unit.Start:
			if a.Part != partOf(a.Run) {
				m.t.Errorf("unit %s: run %x is to be %s", name, a.Run, a.Part)
			}
			if a.Part != unit.Main {
				m.hookStarted(a, c.hook[a.Part])
			} else {
				m.started(a, c)
			}
		case unit.Stop, unit.Kill:
			m.end(a, c)
		case unit.Signal:
			m.signals = append(m.signals, a.Signal)
			if m.live[name] != a.Run {
				m.t.Errorf("unit %s: a signal to run %x, which has no main process", name, a.Run)
			}
		case unit.Adopt:
			m.adopted(a, c)
		case unit.SetTimer:
			m.later(a.At.Sub(m.now), unit.Event{Op: unit.TimerFired, Unit: name, Timer: a.Timer, Gen: a.Gen})
		case unit.Commit:
			delete(m.uncommi, a.Seq)
		case unit.Say:
			m.say(a)
		case unit.Clear:
			m.clear(a.Signal)
		case unit.EndNow:
			m.over = a.How
		}
	}
}

func (m *sim) say(a unit.Action) {
	name := a.Unit.Name
	if a.From == a.To {
		m.lines = append(m.lines, name+": "+a.Text)
		return
	}
	m.lines = append(m.lines, name+": "+a.To.String())
	if !mayBecome(a.From, a.To) {
		m.t.Errorf("unit %s went from %s to %s, which unit.State does not list", name, a.From, a.To)
	}
	b := m.of(name)
	if a.From == unit.Ready {
		b.upFor = m.now.Sub(b.readyAt)
	}
	m.monotone(name, b)
	switch a.To {
	case unit.Ready:
		b.readyAt = m.now
		if a.Unit.Kind == unit.Timer {
			m.t.Errorf("timer %s is ready", name)
		}
	case unit.Inactive, unit.Waiting, unit.BackOff, unit.Failed, unit.Skipped:
		if b.owesPost && !b.blurred && a.Unit.Hooks[unit.StopPost] != nil {
			m.t.Errorf("unit %s is %s, and its stop_post has not run", name, a.To)
		}
	}
}

// monotone: within a streak of failures each back-off is twice the last, up to
// the most. A long life ends a streak, and so does a wish.
func (m *sim) monotone(name string, b *ledger) {
	d := m.node(name).delay
	switch {
	case d > unit.BackOffMost:
		m.t.Errorf("%s backs off for %s", name, d)
	case d == 0 || b.delay == 0 || d == b.delay || d == min(2*b.delay, unit.BackOffMost) || d == unit.BackOffMost:
	case d == unit.BackOffFirst && b.upFor >= unit.BackOffReset:
	default:
		m.t.Errorf("%s: a back-off of %s after one of %s, up for %s", name, d, b.delay, b.upFor)
	}
	b.delay = d
}

// clear carries out Clear.
func (m *sim) clear(sig int) {
	m.asked = append(m.asked, sig)
	switch {
	case m.crowd == 0, sig == sigKill && m.crowd > 0:
		m.later(time.Millisecond, unit.Event{Op: unit.Cleared})
	case sig == sigTerm && m.crowd > 0:
		m.later(m.crowd, unit.Event{Op: unit.Cleared})
	}
}

// end carries out Stop and Kill.
func (m *sim) end(a unit.Action, c conduct) {
	name := a.Unit.Name
	if ground := m.node(name).ground(); m.s.ending != 0 && a.Op == unit.Stop && ground && m.node(name).killAt == 0 {
		if since := m.now.Sub(m.s.endAt); m.crowd != 0 && since < goAfter && m.now.Sub(m.node(name).since) < since {
			m.t.Errorf("%s stops while somebody may use it", name)
		}
	}
	sig, alive, deaf := unit.Status(15), m.live, c.ignoreTerm || c.dState
	if a.Op == unit.Stop {
		m.signals = append(m.signals, a.Signal)
	} else {
		sig, deaf = 9, c.dState
	}
	if p := partOf(a.Run); p != unit.Main {
		alive, deaf = m.hooks, c.hook[p].dState
	}
	if deaf {
		return
	}
	if alive[name] == a.Run {
		m.later(time.Millisecond, unit.Event{Op: unit.Exited, Unit: name, Run: a.Run, Status: sig})
	}
	m.later(2*time.Millisecond, unit.Event{Op: unit.Empty, Unit: name, Run: a.Run})
}

// adopted answers as an arm does that has found the run.
func (m *sim) adopted(a unit.Action, c conduct) {
	name := a.Unit.Name
	left := m.left
	if a.Part != partOf(a.Run) {
		m.t.Errorf("unit %s: run %x is adopted as %s", name, a.Run, a.Part)
	}
	if a.Part != unit.Main {
		left = m.traces
	}
	if left[name] != a.Run {
		// It went, with its last word unheard.
		m.send(unit.Event{Op: unit.Empty, Unit: name, Run: a.Run})
		return
	}
	if a.Part != unit.Main {
		return
	}
	pid, daemon := m.forked[a.Run]
	if a.Pid != 0 && a.Pid != pid {
		m.t.Errorf("unit %s: adopted with pid %d, want %d", name, a.Pid, pid)
	}
	switch {
	case daemon:
		m.later(0, unit.Event{Op: unit.MainPid, Unit: name, Run: a.Run, Pid: pid})
	case m.live[name] == a.Run:
		m.later(0, unit.Event{Op: unit.Spawned, Unit: name, Run: a.Run, Pid: pidOf(a.Run)})
	}
	if m.ready[a.Run] {
		m.later(0, unit.Event{Op: unit.IsReady, Unit: name, Run: a.Run})
	}
}

func (m *sim) started(a unit.Action, c conduct) {
	name := a.Unit.Name
	b := m.of(name)
	if run, ok := m.live[name]; ok {
		m.t.Errorf("unit %s: run %x starts while %x lives", name, a.Run, run)
	}
	if run, ok := m.traces[name]; ok {
		m.t.Errorf("unit %s: run %x starts while %s, run %x, is there", name, a.Run, partOf(run), run)
	}
	if m.s.ending != 0 {
		m.t.Errorf("unit %s starts while the machine ends", name)
	}
	if m.node(name).held {
		m.t.Errorf("unit %s starts while it is held", name)
	}
	if a.Unit.Hooks[unit.StartPre] != nil && !b.preOK {
		m.t.Errorf("unit %s starts without its start_pre", name)
	}
	b.preOK, b.blurred = false, false
	b.owesPost = b.owesPost || a.Unit.Hooks[unit.StartPre] != nil
	m.starts[name]++
	m.lines = append(m.lines, name+"! command")
	if c.startFails != "" {
		m.later(time.Millisecond, unit.Event{Op: unit.StartFailed, Unit: name, Run: a.Run, Text: c.startFails})
		return
	}
	if c.absent != "" {
		m.later(time.Millisecond, unit.Event{Op: unit.Absent, Unit: name, Run: a.Run, Text: c.absent})
		return
	}
	b.owesPost = true
	m.left[name] = a.Run
	if a.Unit.Kind.HasProcess() {
		m.live[name] = a.Run
		m.later(time.Millisecond, unit.Event{Op: unit.Spawned, Unit: name, Run: a.Run, Pid: pidOf(a.Run)})
	}
	switch a.Unit.ReadyBy {
	case unit.ByPidFile:
		m.later(2*time.Millisecond, unit.Event{Op: unit.Exited, Unit: name, Run: a.Run, Pid: pidOf(a.Run), For: 1})
		if c.notifyIn >= 0 {
			m.later(c.notifyIn+3*time.Millisecond, unit.Event{Op: unit.MainPid, Unit: name, Run: a.Run, Pid: pidOf(a.Run) + 10000})
			m.later(c.notifyIn+3*time.Millisecond, unit.Event{Op: unit.IsReady, Unit: name, Run: a.Run})
		}
	case unit.ByNotify, unit.ByTCP, unit.ByArm:
		if c.notifyIn >= 0 {
			m.later(c.notifyIn+2*time.Millisecond, unit.Event{Op: unit.IsReady, Unit: name, Run: a.Run})
		}
	case unit.ByExit:
		if c.exitAfter == 0 {
			c.exitAfter = 10 * time.Millisecond
		}
	}
	if c.exitAfter > 0 {
		m.later(c.exitAfter, unit.Event{Op: unit.Exited, Unit: name, Run: a.Run, Status: c.exitStatus})
		m.later(c.exitAfter+time.Millisecond, unit.Event{Op: unit.Empty, Unit: name, Run: a.Run})
	}
}

func (m *sim) hookStarted(a unit.Action, c hookConduct) {
	name := a.Unit.Name
	b := m.of(name)
	if run, ok := m.traces[name]; ok {
		m.t.Errorf("unit %s: %s starts while %s is there", name, a.Part, partOf(run))
	}
	if a.Unit.Hooks[a.Part] == nil {
		m.t.Errorf("unit %s has no %s", name, a.Part)
	}
	_, left := m.left[name]
	switch a.Part {
	case unit.StartPre:
		if m.s.ending != 0 || m.node(name).held {
			m.t.Errorf("unit %s starts while the machine ends, or it is held", name)
		}
		if _, alive := m.live[name]; alive {
			m.t.Errorf("unit %s: start_pre beside the command", name)
		}
		b.preOK, b.blurred = false, false
		b.owesPost = c.fails == ""
	case unit.StopPost:
		if left && !a.Unit.StopMain {
			m.t.Errorf("unit %s: stop_post while something is left", name)
		}
		if !b.owesPost && !b.blurred {
			m.t.Errorf("unit %s: stop_post once more", name)
		}
		b.owesPost = false
	}
	m.lines = append(m.lines, name+"! "+a.Part.String())
	if c.fails != "" {
		m.later(time.Millisecond, unit.Event{Op: unit.StartFailed, Unit: name, Run: a.Run, Text: c.fails})
		return
	}
	m.hooks[name], m.traces[name] = a.Run, a.Run
	m.later(0, unit.Event{Op: unit.Spawned, Unit: name, Run: a.Run, Pid: pidOf(a.Run)})
	if c.takes < 0 || c.dState {
		return
	}
	takes := max(c.takes, time.Millisecond)
	m.later(takes, unit.Event{Op: unit.Exited, Unit: name, Run: a.Run, Status: c.status})
	if !c.leaves {
		m.later(takes, unit.Event{Op: unit.Empty, Unit: name, Run: a.Run})
	}
}

// exits is what the comments of unit.State promise.
var exits = map[unit.State][]unit.State{
	unit.Inactive: {unit.Waiting, unit.Ready},
	unit.Waiting:  {unit.Starting, unit.Skipped, unit.Inactive, unit.Ready, unit.Failed},
	unit.Starting: {unit.Ready, unit.Stopping, unit.BackOff, unit.Failed, unit.Skipped, unit.Inactive, unit.Waiting},
	unit.Ready:    {unit.Stopping, unit.Starting, unit.BackOff, unit.Failed, unit.Inactive, unit.Waiting},
	unit.Stopping: {unit.Inactive, unit.Waiting, unit.BackOff, unit.Failed, unit.Skipped, unit.Stuck},
	unit.BackOff:  {unit.Waiting, unit.Ready, unit.Inactive, unit.Stopping},
	unit.Failed:   {unit.Waiting, unit.Inactive},
	unit.Skipped:  {unit.Waiting, unit.Inactive},
	unit.Stuck:    {unit.Inactive, unit.Waiting, unit.BackOff, unit.Failed, unit.Skipped, unit.Stopping},
}
