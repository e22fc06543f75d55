package supervisor

import "hoopy/unit"

// askStart is an operator's wish to have the unit, and with it what it needs
// and wants. Past failures count for nothing then. A timer also runs now.
func (s *State) askStart(i int) {
	if s.ending != 0 {
		return
	}
	if n := &s.nodes[i]; n.state != unit.Starting {
		n.dueNow(s.now)
	} else if n.Kind == unit.Timer {
		s.due(i, "")
	}
	s.wake(i)
}

// wake has the unit up, and with it what it needs and wants: all that is found
// from it along edges to units that are not active.
func (s *State) wake(i int) {
	s.walk++
	s.nodes[i].walked = s.walk
	found := []int{i}
	for k := 0; k < len(found); k++ {
		n := &s.nodes[found[k]]
		if n.active() || n.state == unit.Stuck {
			continue
		}
		for _, e := range n.out {
			on := &s.nodes[e.To]
			if on.walked != s.walk && (e.Kind == unit.Needs && !on.active() || e.Kind == unit.Wants && !on.up) {
				on.walked = s.walk
				found = append(found, e.To)
			}
		}
	}
	for _, i := range found {
		s.wakeOne(i)
	}
}

func (s *State) wakeOne(i int) {
	n := &s.nodes[i]
	if n.held && !n.up {
		return // it is no longer in the configuration
	}
	n.up = true
	switch n.state {
	case unit.Inactive, unit.Failed, unit.Skipped, unit.BackOff:
		if n.state == unit.BackOff && !n.over() {
			return
		}
		n.delay = 0
		s.become(i, unit.Waiting, "")
	case unit.Waiting:
		if n.Kind == unit.Timer {
			s.rearm(i)
		}
		s.touch(i)
	case unit.Starting, unit.Ready, unit.Stopping, unit.Stuck:
		s.touch(i)
	}
}

// askRestart stops a unit that is active and starts it again.
func (s *State) askRestart(i int) {
	n := &s.nodes[i]
	switch {
	case n.held:
		return
	case !n.active():
		s.askStart(i)
		return
	}
	n.up, n.again, n.stopping = true, true, true
	s.touchBoth(i)
}

// askReload has a unit that is ready read its configuration anew.
func (s *State) askReload(i int) {
	n := &s.nodes[i]
	switch {
	case n.ReloadSignal == 0 && n.Hooks[unit.Reload] == nil:
		s.note(i, "cannot reload: it has neither reload nor reload_signal")
	case n.state != unit.Ready || n.stopping || !n.main:
		s.note(i, "cannot reload: it is "+n.state.String())
	case n.ReloadSignal != 0:
		s.do(unit.Action{Op: unit.Signal, Unit: n.Unit, Run: n.run, Signal: n.ReloadSignal})
	case n.hook.part != 0:
		s.note(i, "cannot reload: "+n.hook.part.String()+" still runs")
	default:
		s.runHook(i, unit.Reload)
	}
}

// askReset forgets past failures. A unit that has failed is Inactive then, and
// down until it is asked for, but a timer waits for its time again; one that
// backs off is tried at once.
func (s *State) askReset(i int) {
	n := &s.nodes[i]
	n.restarts, n.delay = 0, 0
	switch {
	case n.state == unit.BackOff && n.over():
		s.retry(i)
	case n.state == unit.Failed && n.Kind == unit.Timer && n.broken == "":
		s.become(i, unit.Waiting, "")
	case n.state == unit.Failed:
		n.up = false
		s.become(i, unit.Inactive, "")
	case n.state == unit.Waiting:
		n.why = ""
	}
}
