package supervisor

import (
	"fmt"
	"time"

	"hoopy/unit"
)

// Step takes one event and returns what is to be done about it. The slice is
// valid until the next call. Events of a run that is over, of a timer that was
// overtaken and of units that do not exist change nothing; an event with a Seq
// is always answered with a Commit, so that its source can forget it.
func (s *State) Step(ev unit.Event) []unit.Action {
	s.now, s.actions = ev.Now, s.actions[:0]
	i, known := s.byName[ev.Unit]
	switch {
	case ev.Op == unit.AskEnd:
		s.end(ev)
	case ev.Op == unit.TimerFired && ev.Timer == unit.EndTimer:
		s.endNow()
	case ev.Op == unit.TimerFired && ev.Timer == unit.WayTimer:
		s.openWay()
	case known:
		s.event(i, ev)
	}
	s.settle()
	if ev.Seq != 0 {
		u := &unit.Unit{Name: ev.Unit}
		if known {
			u = s.nodes[i].Unit
		}
		s.do(unit.Action{Op: unit.Commit, Unit: u, Run: ev.Run, Seq: ev.Seq})
	}
	return s.actions
}

func (s *State) event(i int, ev unit.Event) {
	n := &s.nodes[i]
	switch ev.Op {
	case unit.AskStart:
		s.askStart(i)
	case unit.AskStop:
		n.up = false
		s.touch(i)
	case unit.AskRestart:
		if !n.active() {
			s.askStart(i)
			return
		}
		n.up, n.again, n.stopping = true, true, true
		s.touchBoth(i)
	case unit.TimerFired:
		if ev.Timer < unit.Timers && n.set[ev.Timer] && n.gen[ev.Timer] == ev.Gen {
			n.set[ev.Timer] = false
			s.timeout(i, ev.Timer)
		}
	case unit.IsReady:
		if n.Kind == unit.Milestone {
			s.reach(i)
		} else if ev.Run == n.run {
			s.ready(i)
		}
	default:
		if ev.Run == n.run && ev.Run != 0 {
			s.ofRun(i, ev)
		}
	}
}

// ofRun takes what happened to the unit's current run.
func (s *State) ofRun(i int, ev unit.Event) {
	n := &s.nodes[i]
	switch ev.Op {
	case unit.Spawned:
		n.pid = ev.Pid
		if n.ReadyBy == unit.BySpawn {
			s.ready(i)
		}
	case unit.Lost:
		if n.state == unit.Ready {
			s.become(i, unit.Starting, ev.Text)
		}
	case unit.Noted:
		n.note = ev.Text
	case unit.StartFailed:
		if n.over() {
			return
		}
		n.main, n.rest = false, false
		if n.fault == "" && n.state != unit.Stopping {
			n.fault = ev.Text
		}
		s.conclude(i)
	case unit.Absent:
		if n.over() {
			return
		}
		n.main, n.rest = false, false
		if n.state == unit.Starting && n.up && s.ending == 0 {
			s.do(unit.Action{Op: unit.Release, Unit: n.Unit, Run: n.run})
			n.stopping, n.again = false, false
			s.become(i, unit.Skipped, ev.Text)
			return
		}
		s.conclude(i)
	case unit.Exited:
		if n.main {
			s.exited(i, ev.Status)
		}
	case unit.Empty:
		s.empty(i)
	}
}

// ready takes a unit from Starting to Ready; a link also from BackOff, where
// its arm went on trying.
func (s *State) ready(i int) {
	n := &s.nodes[i]
	if n.state == unit.Starting || n.state == unit.BackOff && !n.over() {
		s.become(i, unit.Ready, "")
	}
}

// reach takes a milestone to Ready, where it stays until the end.
func (s *State) reach(i int) {
	n := &s.nodes[i]
	if n.state != unit.Ready && s.ending == 0 {
		n.up = true
		if n.Name == unit.Boot {
			s.bootAt = s.now
		}
		s.become(i, unit.Ready, "")
	}
}

// exited: the main process ended, by itself or because it was asked to.
func (s *State) exited(i int, st unit.Status) {
	n := &s.nodes[i]
	n.main = false
	if n.StopMain {
		n.rest = false // what it forked lives on in the old cgroup
	}
	code, exited := st.Exit()
	switch n.state {
	case unit.Starting, unit.Ready:
		if n.ReadyBy == unit.ByExit && exited && code == 0 {
			n.pid = 0
			s.ready(i)
			return
		}
		n.fault = describe(st)
		if n.Restart != unit.Always && !n.Essential && n.clean(st) {
			n.up = false // it has done what it was started for
		}
		if n.over() {
			s.conclude(i)
			return
		}
		s.kill(i, "what it left behind is ended")
	case unit.Stopping, unit.Stuck:
		if n.over() {
			s.conclude(i)
		}
	case unit.Inactive, unit.Waiting, unit.BackOff, unit.Failed, unit.Skipped:
	}
}

// clean says whether an exit is no failure: status 0, or the signal that
// svc stop would have sent.
func (n *node) clean(st unit.Status) bool {
	if sig, ok := st.Signal(); ok {
		return sig == n.StopSignal || n.StopSignal == 0 && sig == sigTerm
	}
	code, _ := st.Exit()
	return code == 0
}

const sigTerm = 15

// empty: nothing of the run is left.
func (s *State) empty(i int) {
	n := &s.nodes[i]
	if n.over() {
		return
	}
	main := n.main
	n.main, n.rest = false, false
	switch n.state {
	case unit.Stopping, unit.Stuck:
		s.conclude(i)
	case unit.Starting, unit.Ready, unit.BackOff:
		// A task that is ready has nothing to lose; any other unit has lost
		// what it is made of.
		if !main && n.ReadyBy == unit.ByExit && n.state == unit.Ready {
			return
		}
		n.fault = "it is gone"
		s.conclude(i)
	case unit.Inactive, unit.Waiting, unit.Failed, unit.Skipped:
	}
}

func (s *State) timeout(i int, t unit.TimerFor) {
	n := &s.nodes[i]
	if !timerOf[t][n.state] {
		return
	}
	switch t {
	case unit.BackOffTimer:
		n.restarts++
		s.become(i, unit.Waiting, "")
	case unit.StartTimer:
		limit := short(n.startTimeout())
		if !n.Kind.HasProcess() {
			s.become(i, unit.BackOff, "not ready within "+limit+", still trying")
			return
		}
		n.fault = "not ready within " + limit
		s.beginStop(i, n.fault)
	case unit.StopTimer:
		s.kill(i, "did not end within "+short(n.stopTimeout())+", killed")
	case unit.KillTimer:
		s.become(i, unit.Stuck, "processes survive SIGKILL: they wait for a disk or the kernel")
	case unit.DeadlineTimer:
		s.note(i, fmt.Sprintf("essential: starts after %s without %s", short(unit.EssentialDeadline), list(s.waits(i))))
		n.dropped = true
		s.touch(i)
	case unit.WaitTimer:
		s.note(i, s.waitText(i))
	}
}

// timerOf says in which states a timer means something.
var timerOf = [unit.Timers][len(unit.States)]bool{
	unit.StartTimer:    {unit.Starting: true},
	unit.StopTimer:     {unit.Stopping: true},
	unit.KillTimer:     {unit.Stopping: true},
	unit.BackOffTimer:  {unit.BackOff: true},
	unit.DeadlineTimer: {unit.Waiting: true},
	unit.WaitTimer:     {unit.Waiting: true, unit.Starting: true, unit.Stopping: true},
}

// note says something about a unit whose state stays.
func (s *State) note(i int, text string) {
	n := &s.nodes[i]
	s.do(unit.Action{Op: unit.Say, Unit: n.Unit, Run: n.run, From: n.state, To: n.state, Text: text})
}

// waitText names what a unit has been waiting for since unit.WaitNote.
func (s *State) waitText(i int) string {
	n := &s.nodes[i]
	after := short(unit.WaitNote)
	switch n.state {
	case unit.Waiting:
		text := "for " + list(s.waits(i)) + " (" + after
		if n.Essential {
			text += " of " + short(unit.EssentialDeadline)
		}
		return text + ")"
	case unit.Stopping:
		if n.killAt != 0 {
			return "killed, not gone yet"
		}
		return "still ending (" + after + " of " + short(n.stopTimeout()) + ", then it is killed)"
	default:
		text := "not ready yet"
		if n.note != "" {
			text += ": " + n.note
		}
		return text + " (" + after + " of " + short(n.startTimeout()) + ")"
	}
}

// describe is a wait status in words.
func describe(st unit.Status) string {
	if sig, ok := st.Signal(); ok {
		if name, ok := unit.SignalName(sig); ok {
			return "killed by SIG" + name
		}
		return fmt.Sprintf("killed by signal %d", sig)
	}
	code, _ := st.Exit()
	return fmt.Sprintf("exit %d", code)
}

// short is a duration without the zeros that time.Duration prints.
func short(d time.Duration) string {
	switch {
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d%time.Second == 0:
		return fmt.Sprintf("%d s", d/time.Second)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// list joins names for a sentence; a long one is cut.
func list(names []string) string {
	const most = 4
	if len(names) == 0 {
		return "its turn"
	}
	text := names[0]
	for k, name := range names[1:] {
		if k+1 == most {
			return text + fmt.Sprintf(" and %d more", len(names)-most)
		}
		text += ", " + name
	}
	return text
}
