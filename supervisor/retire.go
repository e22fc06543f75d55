package supervisor

import "hoopy/unit"

// Retire makes room for a new configuration, which the next epoch will read:
// units that are Removed stop and stay down; units that are Changed with Restart
// stop and wait for that epoch, which starts them as it finds them Waiting; so
// does what needs them. Everything else goes on. Of those that stop, essential
// units go last, so that the way in is closed for a moment only. In safe mode
// and while the machine ends nothing is stopped. It returns actions as Step
// does; Retired says when to go on.
func (s *State) Retire(changes []unit.Change, now unit.Time) []unit.Action {
	s.now, s.actions = now, s.actions[:0]
	if s.safe || s.ending != 0 {
		return s.actions
	}
	for _, c := range changes {
		i, ok := s.byName[c.Name]
		if !ok {
			continue
		}
		n := &s.nodes[i]
		switch {
		case c.Op == unit.Removed:
			n.held, n.up = true, false
		case c.Op == unit.Changed && c.Restart:
			n.held = true
			if n.up && (n.state == unit.Failed || n.state == unit.Skipped || n.state == unit.BackOff && n.over()) {
				n.delay = 0
				s.become(i, unit.Waiting, "") // what is new about it may have mended it
			}
		}
		if n.held {
			s.retiring = true
			s.touchBoth(i)
			s.touchWaiting(i)
		}
	}
	s.settle()
	return s.actions
}

// Retired says whether nothing is left of the units that Retire was to stop, or
// nothing that would ever go.
func (s *State) Retired() bool {
	return !s.leaving(func(*node) bool { return true })
}

// leaving says whether a node that pick picks is still on its way out.
func (s *State) leaving(pick func(*node) bool) bool {
	for i := range s.nodes {
		if n := &s.nodes[i]; n.held && n.active() && pick(n) {
			return true
		}
	}
	return false
}

// lastToGo has the essential units follow once the others are gone.
func (s *State) lastToGo() (moved bool) {
	if !s.retiring || s.leaving(func(n *node) bool { return !n.Essential }) {
		return false
	}
	s.retiring = false
	for i := range s.nodes {
		if s.nodes[i].held {
			s.touchBoth(i)
		}
	}
	return true
}
