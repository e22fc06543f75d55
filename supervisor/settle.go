package supervisor

import "hoopy/unit"

// settle looks at every node that was touched until none is left. Each look
// moves a node at most one state on, and each move touches its neighbours.
func (s *State) settle() {
	for {
		for len(s.queue) > 0 {
			i := s.queue[0]
			s.queue = s.queue[1:]
			s.nodes[i].listed = false
			s.look(i)
		}
		s.queue = s.queue[:0]
		if s.lastToGo() {
			continue
		}
		if s.way != nil && !s.onWayIn && s.wayIn() {
			s.onWayIn = true
			s.do(unit.Action{Op: unit.SetTimer, Timer: unit.WayTimer, At: s.now.Add(firstLogin)})
		}
		if i, ok := s.byName[unit.Boot]; ok && s.nodes[i].state == unit.Waiting && s.booted() {
			s.reach(i)
			continue
		}
		if s.ending != 0 {
			s.clear()
			if !s.anyActive() && (s.cleared || s.endFor >= goAfter) {
				s.endNow()
			}
		}
		return
	}
}

// look decides about one node.
func (s *State) look(i int) {
	n := &s.nodes[i]
	switch n.state {
	case unit.Inactive, unit.Failed, unit.Skipped:
		if !n.up && n.state != unit.Inactive {
			s.become(i, unit.Inactive, "")
		}
	case unit.Waiting:
		switch {
		case !n.up || s.ending != 0:
			n.up = false
			s.become(i, unit.Inactive, "")
		case n.broken != "":
			s.become(i, unit.Failed, n.broken)
		case n.Kind == unit.Milestone:
			if s.reached(i) {
				s.reach(i)
			}
		case n.held || !n.isDue():
			// It starts in the next epoch; it starts when it is due.
		case s.way != nil && !s.way[i]:
			// It starts after those on the way in.
		case s.mayStart(i):
			s.start(i)
		}
	case unit.BackOff:
		if n.over() {
			if !n.up || s.ending != 0 {
				n.up = false
				s.become(i, unit.Inactive, "")
			}
			return
		}
		s.maybeStop(i)
	case unit.Starting, unit.Ready:
		s.maybeStop(i)
	case unit.Stopping, unit.Stuck:
	}
}

// mayStart says whether no edge holds the node back.
func (s *State) mayStart(i int) bool {
	n := &s.nodes[i]
	if n.dropped {
		return true
	}
	for _, e := range n.out {
		if s.holds(n, e) {
			return false
		}
	}
	return true
}

// holds says whether the edge e of n is unmet.
func (s *State) holds(n *node, e unit.Edge) bool {
	on := &s.nodes[e.To]
	if e.Kind == unit.Needs {
		if s.safe && n.Essential && !on.up {
			return false // safe mode does not start it
		}
		return on.state != unit.Ready || on.stopping
	}
	return s.underWay(e.To)
}

// underWay says whether the node is still to have its chance: it is up, and
// neither ready nor known to have failed or to be held back by a failure.
//
// It asks the same of what the node needs, so what was found out since the last
// change is kept: along edges there are far more ways than nodes.
func (s *State) underWay(i int) bool {
	n := &s.nodes[i]
	if n.underAt != s.stamp {
		n.under, n.underAt = s.findUnderWay(n), s.stamp
	}
	return n.under
}

func (s *State) findUnderWay(n *node) bool {
	if !n.up {
		return false
	}
	switch n.state {
	case unit.Starting, unit.Stopping:
		return true
	case unit.Waiting:
		if n.Name == unit.Network || n.Name == unit.Online {
			return s.anyLinkUnderWay()
		}
		if n.held || !n.isDue() {
			return false
		}
		if n.dropped {
			return true
		}
		for _, e := range n.out {
			if e.Kind == unit.Needs && s.holds(n, e) && !s.underWay(e.To) {
				return n.Essential // it starts at its deadline all the same
			}
		}
		return true
	case unit.Inactive, unit.Ready, unit.BackOff, unit.Failed, unit.Skipped, unit.Stuck:
	}
	return false
}

func (s *State) anyLinkUnderWay() bool {
	for i := range s.nodes {
		if s.nodes[i].Kind == unit.Link && s.underWay(i) {
			return true
		}
	}
	return false
}

// waits names the units whose edges hold the node back.
func (s *State) waits(i int) (names []string) {
	for _, on := range s.waitsFor(i) {
		names = append(names, s.nodes[on].Name)
	}
	return names
}

// waitsFor are the nodes that waits names.
func (s *State) waitsFor(i int) (on []int) {
	n := &s.nodes[i]
	if !n.isDue() {
		return nil
	}
	for _, e := range n.out {
		if s.holds(n, e) {
			on = append(on, e.To)
		}
	}
	if n.Kind == unit.Milestone && len(on) == 0 {
		for k := range s.nodes {
			m := &s.nodes[k]
			if n.Name == unit.Network && m.Kind == unit.Link && m.state != unit.Ready ||
				n.Name == unit.Boot && s.pending(k) {
				on = append(on, k)
			}
		}
	}
	return on
}

// maybeStop stops the node if it must, once those that come after it have.
func (s *State) maybeStop(i int) {
	n := &s.nodes[i]
	why := ""
	switch {
	case s.ending != 0:
		why = "the machine ends"
	case n.held && n.Essential && s.retiring:
		// The others go first.
	case n.held && !n.up:
		why = "no longer in the configuration"
	case n.held:
		why, n.again = "its configuration has changed", true
	case !n.up:
		why = "asked to stop"
	case n.again:
		why = "restart"
	case n.Kind != unit.Milestone && !n.Essential:
		for _, e := range n.out {
			if on := &s.nodes[e.To]; e.Kind == unit.Needs && (on.state != unit.Ready || on.stopping) {
				why, n.again = "lost "+on.Name, true
				break
			}
		}
	}
	if why == "" {
		if n.stopping {
			n.stopping = false
			s.touchBoth(i)
		}
		return
	}
	if !n.stopping {
		n.stopping = true
		s.touchBoth(i)
	}
	for _, e := range n.in {
		v := &s.nodes[e.To]
		if v.active() && (s.ending != 0 || v.stopping || v.state == unit.Stopping ||
			e.Kind == unit.Needs && !v.Essential && v.Kind != unit.Milestone) {
			return // it goes first; its end touches this node
		}
	}
	if !s.detained(i) {
		s.beginStop(i, why)
	}
}

func (s *State) touchBoth(i int) {
	s.touch(i)
	for _, e := range s.nodes[i].in {
		s.touch(e.To)
	}
}
