package supervisor

import (
	"hoopy/unit"
)

// The life of one run. Up: start → (start_pre) → spawn → isReady → (start_post)
// → Ready. Down: beginStop or kill, then descend again and again, each time that
// something has gone: (stop_pre) → the signal → nothing left → (stop_post) →
// conclude.

// newRun is a run that nobody has had before. Its lowest bits are the part, so
// that an epoch without a snapshot can tell from the keeper's table what runs.
func (s *State) newRun(p unit.Part) unit.Run {
	s.runs++
	return unit.Run(uint64(s.epoch)<<32 | uint64(s.runs<<partBits) | uint64(p))
}

const partBits = 3

func partOf(r unit.Run) unit.Part { return unit.Part(r & (1<<partBits - 1)) }

// runsOnce says whether the unit is done with exit status 0.
func (n *node) runsOnce() bool { return n.ReadyBy == unit.ByExit || n.Kind == unit.Timer }

// start begins the start: its first hook, or the command.
func (s *State) start(i int) {
	n := &s.nodes[i]
	n.pid, n.moved, n.killAt, n.dueAt = 0, false, 0, 0
	n.fault, n.note, n.sick, n.reload = "", "", "", reloaded
	n.lastRun, n.lastTook = s.now, 0
	s.become(i, unit.Starting, "")
	if n.Hooks[unit.StartPre] != nil {
		n.begun = true
		s.runHook(i, unit.StartPre)
		return
	}
	s.spawn(i)
}

// spawn starts the main command, or whatever else the unit's arm does.
func (s *State) spawn(i int) {
	n := &s.nodes[i]
	n.run = s.newRun(unit.Main)
	n.main, n.rest, n.begun = n.Kind.HasProcess(), true, true
	s.bound(i, unit.StartTimer, n.startTimeout())
	s.do(unit.Action{Op: unit.Start, Unit: n.Unit, Run: n.run, Part: unit.Main})
}

// isReady takes a unit from Starting to Ready, by way of start_post if it has
// that; a link also from BackOff, where its arm went on trying. A unit that is
// Ready is through with its reload.
func (s *State) isReady(i int) {
	n := &s.nodes[i]
	switch {
	case n.state == unit.Ready && n.reload != reloaded:
		n.reload, n.why = reloaded, ""
		s.unbound(i)
	case n.state == unit.BackOff && !n.over():
		s.become(i, unit.Ready, "")
	case n.state != unit.Starting || n.mainDone || n.runsOnce() && n.main:
	case n.Hooks[unit.StartPost] != nil && n.hook.part == 0:
		n.mainDone = true
		s.unbound(i)
		s.runHook(i, unit.StartPost)
	default:
		n.mainDone = true
		s.started(i)
	}
}

// started: the command is ready and start_post is through.
func (s *State) started(i int) {
	s.unbound(i)
	if s.nodes[i].Kind == unit.Timer {
		s.beginStop(i, "what it left behind is ended")
		return
	}
	s.become(i, unit.Ready, "")
}

// exited: the main process ended, by itself or because it was asked to. pid
// is which process that was; 0: not known.
func (s *State) exited(i int, st unit.Status, pid int, more string) {
	n := &s.nodes[i]
	code, exited := st.Exit()
	done := exited && code == 0
	if n.moved && pid != 0 && pid != n.pid && (done || n.state != unit.Starting) {
		return // it made another one the main process, and that lives
	}
	n.main = false
	if n.ReadyBy == unit.ByPidFile && done && !n.moved && n.state == unit.Starting {
		n.pid = 0
		return // it has put itself into the background; MainPid follows
	}
	if n.StopMain {
		n.rest = false // what it forked lives on in the old cgroup
	}
	n.lastTook, n.exit = s.now.Sub(n.lastRun), st
	switch n.state {
	case unit.Starting, unit.Ready:
		if n.runsOnce() && done {
			n.pid = 0
			s.isReady(i)
			return
		}
		n.fault = describe(st)
		if more != "" {
			n.fault += ": " + more
		}
		switch {
		case exited && code == unit.ExitNever:
			n.never = true
			n.fault += ": it asks not to be started again"
		case n.Kind != unit.Timer && n.Restart != unit.Always && !n.Essential && n.clean(st):
			n.up = false // it has done what it was started for
		}
		if n.empty() {
			s.gone(i)
			return
		}
		s.kill(i, "what it left behind is ended")
	case unit.Stopping, unit.Stuck:
		if n.empty() {
			s.gone(i)
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

// emptied: no process of the main run is left.
func (s *State) emptied(i int) {
	n := &s.nodes[i]
	if n.runsOnce() && !n.main && (n.state == unit.Ready || n.state == unit.Starting && n.mainDone) {
		n.rest = false // it was done, and has nothing to lose
		return
	}
	if n.state == unit.Starting || n.state == unit.Ready || n.state == unit.BackOff {
		n.fault = "it is gone"
	}
	s.gone(i)
}

// gone: nothing of the main run is left, or it never came to be.
func (s *State) gone(i int) {
	n := &s.nodes[i]
	n.main, n.rest, n.killAt = false, false, 0
	s.unbound(i)
	s.cancel(i, unit.KillTimer)
	if n.state == unit.Stopping || n.state == unit.Stuck {
		s.descend(i)
		return
	}
	s.beginStop(i, n.fault)
}

// beginStop takes a unit that is active on its way down. A hook that belongs to
// the start or to a reload is ended first.
func (s *State) beginStop(i int, why string) {
	n := &s.nodes[i]
	n.killAt = 0
	s.unbound(i)
	if n.over() && !s.owes(i, unit.StopPre) && !s.owes(i, unit.StopPost) {
		s.conclude(i)
		return
	}
	s.become(i, unit.Stopping, why)
	s.killHook(i, "")
	s.descend(i)
}

// descend takes a unit that is Stopping, or Stuck, one step further down. It is
// called whenever something of the unit has gone.
func (s *State) descend(i int) {
	n := &s.nodes[i]
	switch {
	case n.hook.part != 0 && !n.hook.stuck:
		// Its end comes back here.
	case s.owes(i, unit.StopPre):
		n.preDone = true
		s.runHook(i, unit.StopPre)
	case !n.empty():
		if n.killAt != 0 || n.limit != 0 || n.state == unit.Stuck {
			return // asked already; what comes of it comes back here
		}
		if !n.main && n.Kind.HasProcess() {
			s.kill(i, n.why)
			return
		}
		s.bound(i, unit.StopTimer, n.stopTimeout())
		s.sendStop(i)
	case s.owes(i, unit.StopPost):
		n.postDone = true
		if n.state == unit.Stuck {
			s.become(i, unit.Stopping, "its processes are gone at last")
		}
		s.runHook(i, unit.StopPost)
	case n.hook.part != 0:
		if n.state != unit.Stuck {
			s.become(i, unit.Stuck, n.hook.part.String()+survives)
		}
	default:
		s.conclude(i)
	}
}

// owes says whether a hook of the way down has not had its turn yet. While
// another one cannot be ended it has none.
func (s *State) owes(i int, p unit.Part) bool {
	n := &s.nodes[i]
	if n.Hooks[p] == nil || n.hook.part != 0 {
		return false
	}
	if p == unit.StopPre {
		// It speaks to what runs, or takes back what a task has done; with a
		// command that has failed there is nobody to speak to.
		return !n.preDone && n.fault == "" && n.killAt == 0 && (n.main || n.readyAt != 0)
	}
	return !n.postDone && n.begun
}

func (s *State) sendStop(i int) {
	n := &s.nodes[i]
	sig := n.signal
	if sig == 0 {
		sig = n.StopSignal
	}
	s.do(unit.Action{Op: unit.Stop, Unit: n.Unit, Run: n.run, Signal: sig})
}

// kill ends every process of the main run, and a hook of its start or reload.
func (s *State) kill(i int, why string) {
	n := &s.nodes[i]
	n.killAt = s.now
	s.unbound(i)
	if n.state != unit.Stopping {
		s.become(i, unit.Stopping, why)
		s.killHook(i, "")
	} else {
		if why != n.why {
			s.note(i, why)
		}
		s.timer(i, unit.KillTimer, n.killAt.Add(unit.KillTimeout))
	}
	s.do(unit.Action{Op: unit.Kill, Unit: n.Unit, Run: n.run})
}

// conclude: the run is over; where to now?
func (s *State) conclude(i int) {
	n := &s.nodes[i]
	if n.run != 0 {
		s.do(unit.Action{Op: unit.Release, Unit: n.Unit, Run: n.run})
	}
	up := s.now.Sub(n.readyAt)
	if n.readyAt < n.since && n.state != unit.Ready {
		// Stopping and Stuck do not count as up.
		up = n.since.Sub(n.readyAt)
	}
	if n.readyAt == 0 {
		up = 0
	}
	fault, again, never, absent := n.fault, n.again, n.never, n.absent
	n.pid, n.moved, n.killAt, n.phase, n.limit, n.readyAt, n.signal = 0, false, 0, 0, 0, 0, 0
	n.fault, n.note, n.sick, n.reload = "", "", "", reloaded
	n.again, n.stopping, n.dropped, n.never, n.absent = false, false, false, false, false
	n.begun, n.mainDone, n.preDone, n.postDone = false, false, false, false
	if !n.up || s.ending != 0 {
		n.up = false
	}
	switch {
	case !n.up:
		s.become(i, unit.Inactive, fault)
	case absent && n.Kind == unit.Timer:
		s.become(i, unit.Waiting, "")
		n.note = "left out: " + fault
	case absent:
		s.become(i, unit.Skipped, fault)
	case again || fault == "":
		if again {
			n.delay = 0
			n.dueNow(s.now)
		}
		s.become(i, unit.Waiting, "")
	case never && n.Essential:
		n.delay = unit.BackOffMost
		s.backOff(i, fault)
	case never:
		s.become(i, unit.Failed, fault)
	case n.Kind == unit.Timer && n.Restart != unit.OnFailure:
		s.become(i, unit.Waiting, fault) // until it is due again
	case n.Restart == unit.Never && !n.Essential:
		s.become(i, unit.Failed, fault)
	default:
		n.delay = nextDelay(n.delay, up)
		s.backOff(i, fault)
	}
}

func (s *State) backOff(i int, fault string) {
	n := &s.nodes[i]
	n.retry = s.now.Add(jitter(n.delay, n.Name, n.restarts))
	s.become(i, unit.BackOff, fault)
}
