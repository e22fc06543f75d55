package supervisor

import "hoopy/unit"

// A timer is up like any other unit and Waiting between its runs; then it holds
// up nobody. When it is due it starts like a task as soon as its edges are met,
// is Starting as long as it runs, and Waiting again afterwards, with what went
// wrong as its Why.

// dueNow has a timer start as soon as it can. Other kinds always do.
func (n *node) dueNow(now unit.Time) {
	if n.Kind == unit.Timer && n.dueAt == 0 {
		n.dueAt = max(now, 1)
	}
}

// due: the time of a timer has come.
func (s *State) due(i int, by string) {
	n := &s.nodes[i]
	if n.Kind != unit.Timer || !n.up || s.ending != 0 {
		return
	}
	switch n.state {
	case unit.Waiting:
		if n.dueAt == 0 {
			n.dueNow(s.now)
			s.rearm(i)
			s.touch(i)
		}
	case unit.BackOff:
		s.retry(i)
	case unit.Starting, unit.Stopping, unit.Stuck:
		text := "still running for " + short(s.now.Sub(n.lastRun).Truncate(1e9)) + ", this run is left out"
		if by != "" {
			text += " (" + by + ")"
		}
		s.note(i, text)
	case unit.Inactive, unit.Ready, unit.Failed, unit.Skipped:
	}
}

// retry ends a back-off.
func (s *State) retry(i int) {
	s.nodes[i].dueNow(s.now)
	s.become(i, unit.Waiting, "")
}

// isDue says whether the node would start if its edges let it.
func (n *node) isDue() bool { return n.Kind != unit.Timer || n.dueAt != 0 }
