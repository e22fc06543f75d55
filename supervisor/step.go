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
	case ev.Op == unit.Cleared:
		s.cleared = true
		s.touchGround()
	case ev.Op == unit.TimerFired && ev.Timer == unit.EndTimer:
		s.endTimer()
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
		s.touchWaiting(i) // it is no longer under way
	case unit.AskRestart:
		s.askRestart(i)
	case unit.AskReload:
		s.askReload(i)
	case unit.AskReset:
		s.askReset(i)
	case unit.Due:
		s.due(i, ev.Text)
	case unit.Planned:
		n.next, n.nextText = ev.Wall, ev.Text
	case unit.TimerFired:
		if ev.Timer < unit.Timers && n.set[ev.Timer] && n.gen[ev.Timer] == ev.Gen {
			n.set[ev.Timer] = false
			s.timeout(i, ev.Timer)
		}
	case unit.IsReady:
		if n.Kind == unit.Milestone {
			s.reach(i)
		} else if ev.Run == n.run && !n.empty() {
			s.isReady(i)
		}
	default:
		switch {
		case ev.Run == n.run && !n.empty():
			s.ofRun(i, ev)
		case ev.Run == n.hook.run && n.hook.part != 0:
			s.ofHook(i, ev)
		}
	}
}

// ofRun takes what happened to the unit's current run.
func (s *State) ofRun(i int, ev unit.Event) {
	n := &s.nodes[i]
	switch ev.Op {
	case unit.Spawned:
		if !n.moved {
			n.pid = ev.Pid
		}
		if n.ReadyBy == unit.BySpawn {
			s.isReady(i)
		}
	case unit.MainPid:
		if ev.Pid > 0 {
			n.pid, n.main, n.moved = ev.Pid, true, true
		}
	case unit.Lost:
		if n.state == unit.Ready {
			if s.now.Sub(n.readyAt) >= unit.BackOffReset {
				n.delay = 0
			}
			n.mainDone, n.readyAt = false, 0
			s.become(i, unit.Starting, ev.Text)
			s.bound(i, unit.StartTimer, n.startTimeout())
		}
	case unit.Noted:
		n.note = ev.Text
	case unit.Sick:
		s.isSick(i, ev)
	case unit.Healthy:
		if n.sick != "" {
			n.sick = ""
			s.note(i, "healthy again")
		}
	case unit.Extend:
		s.extend(i, ev.For)
	case unit.Reloading:
		if n.state == unit.Ready {
			n.reload, n.why = reloading, "reloading"
			s.bound(i, unit.StartTimer, n.startTimeout())
		}
	case unit.StartFailed, unit.Absent:
		n.absent = ev.Op == unit.Absent && n.state == unit.Starting
		if n.fault == "" && n.state != unit.Stopping {
			n.fault = ev.Text
		}
		n.begun = n.Hooks[unit.StartPre] != nil // the command itself has not
		s.gone(i)
	case unit.Exited:
		if n.main {
			s.exited(i, ev.Status, ev.Pid, ev.Text)
		}
	case unit.Empty:
		s.emptied(i)
	}
}

// extendMost is the most that a unit can ask for at a time.
const extendMost = 24 * time.Hour

// extend lets what the main command is at last for d from now, if that is
// longer than it has.
func (s *State) extend(i int, d time.Duration) {
	n := &s.nodes[i]
	until := s.now.Add(min(d, extendMost))
	if n.limit == 0 || n.killAt != 0 || until <= n.limit {
		return
	}
	n.limit = until
	switch n.state {
	case unit.Starting, unit.Ready:
		s.timer(i, unit.StartTimer, until)
	case unit.Stopping:
		s.timer(i, unit.StopTimer, until)
	}
}

// isSick takes a failed health check. With Force the unit has to go, as if it
// had failed by itself.
func (s *State) isSick(i int, ev unit.Event) {
	n := &s.nodes[i]
	if n.state != unit.Starting && n.state != unit.Ready {
		return
	}
	if n.sick != ev.Text {
		n.sick = ev.Text
		s.note(i, ev.Text)
	}
	if ev.Force {
		n.fault, n.signal = ev.Text, ev.Signal
		s.beginStop(i, n.fault)
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
		s.retry(i)
	case unit.StartTimer:
		s.startTimedOut(i)
	case unit.StopTimer:
		s.kill(i, "did not end within "+short(n.limit.Sub(n.phase))+", killed")
	case unit.KillTimer:
		s.become(i, unit.Stuck, "processes survive SIGKILL: they wait for a disk or the kernel")
	case unit.HookTimer:
		s.hookTimedOut(i)
	case unit.DeadlineTimer:
		s.note(i, fmt.Sprintf("essential: starts after %s without %s", short(unit.EssentialDeadline), list(s.waits(i))))
		n.dropped = true
		s.touch(i)
	case unit.WaitTimer:
		s.note(i, s.waitText(i))
	}
}

// startTimedOut: the command is not ready in time, or not with its reload.
func (s *State) startTimedOut(i int) {
	n := &s.nodes[i]
	limit := short(n.limit.Sub(n.phase))
	switch {
	case n.state == unit.Ready:
		n.reload, n.why = overdue, "still reloading after "+limit
		s.unbound(i)
		s.note(i, n.why)
	case !n.Kind.HasProcess():
		s.unbound(i)
		s.become(i, unit.BackOff, "not ready within "+limit+", still trying")
	default:
		n.fault = "not ready within " + limit
		if n.runsOnce() {
			n.fault = "not done within " + limit
		}
		s.beginStop(i, n.fault)
	}
}

// timerOf says in which states a timer means something.
var timerOf = [unit.Timers][len(unit.States)]bool{
	unit.StartTimer:    {unit.Starting: true, unit.Ready: true},
	unit.StopTimer:     {unit.Stopping: true},
	unit.KillTimer:     {unit.Stopping: true},
	unit.BackOffTimer:  {unit.BackOff: true},
	unit.DeadlineTimer: {unit.Waiting: true},
	unit.WaitTimer:     {unit.Waiting: true, unit.Starting: true, unit.Stopping: true},
	unit.HookTimer:     {unit.Starting: true, unit.Ready: true, unit.Stopping: true, unit.Stuck: true},
}
