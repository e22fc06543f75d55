package supervisor

import (
	"time"

	"hoopy/unit"
)

// The end stops everything in the reverse of the start, and has an order of its
// own beside the edges. Somebody may be logged in, may have left something
// running: processes of no unit, which use file systems and links that are units.
// So links, mounts and pools stop after those are gone (Clear, Cleared), and those
// are told to go after the services. The persistence device is last: what is worth
// keeping of the end is written to it.
//
// None of that is waited for without a bound, counted from the beginning of the
// end.
const (
	farewell   = 500 * time.Millisecond // who asked for the end sees that it comes
	clearAfter = 10 * time.Second       // services that take longer are not waited for
	goAfter    = 15 * time.Second       // links, mounts and pools stop all the same
	lastAfter  = 60 * time.Second       // so does the persistence device
)

// nobody is the unit of actions that are about no unit; its kind leads them to the
// arm of processes.
var nobody = &unit.Unit{Kind: unit.Service}

// end begins the end of the machine. Asked again, it ends at once what is
// still being waited for.
func (s *State) end(ev unit.Event) {
	if s.ending != 0 {
		s.ending = ev.How
		if s.now.Sub(s.endAt) < unit.WaitNote/2 {
			return // a key that bounces, a command given twice
		}
		s.told = true
		s.do(unit.Action{Op: unit.Clear, Unit: nobody, Signal: sigKill})
		for i := range s.nodes {
			n := &s.nodes[i]
			if n.state != unit.Stopping {
				continue
			}
			s.killHook(i, "asked again, killed")
			if !n.empty() && n.killAt == 0 {
				s.kill(i, "asked again, killed")
			}
		}
		return
	}
	s.ending, s.endedBy, s.endAt = ev.How, ev.Text, s.now
	s.endTimers()
	s.do(unit.Action{Op: unit.Clear, Unit: nobody})
	for i := range s.nodes {
		s.touch(i)
	}
}

const sigKill = 9

// endTimers has endTimer called at each bound of the end.
func (s *State) endTimers() {
	for _, d := range [...]time.Duration{farewell, clearAfter, goAfter, lastAfter, unit.EndTimeout} {
		s.do(unit.Action{Op: unit.SetTimer, Timer: unit.EndTimer, At: s.endAt.Add(d)})
	}
}

// endTimer: the end has come so far.
func (s *State) endTimer() {
	s.endFor = max(s.endFor, s.now.Sub(s.endAt))
	if s.endFor >= unit.EndTimeout {
		s.endNow()
	}
	s.touchGround()
}

// clear tells those of no unit to go, as soon as they are in the way.
func (s *State) clear() {
	if s.told || s.endFor < farewell && !s.cleared || s.endFor < clearAfter && s.served() {
		return
	}
	s.told = true
	s.do(unit.Action{Op: unit.Clear, Unit: nobody, Signal: sigTerm})
}

// served says whether a service is still to stop before anybody is told to go: not
// those that a link, a mount or a pool comes after, which stop after it.
func (s *State) served() bool {
	var edges []unit.Edge
	for i := range s.nodes {
		if n := &s.nodes[i]; n.ground() && n.active() {
			edges = append(edges, n.out...)
		}
	}
	return s.othersLeft(edges, false)
}

// othersLeft says whether a unit with processes, or (ground) a link, a mount or a
// pool, has not stopped yet to which none of the edges leads.
func (s *State) othersLeft(edges []unit.Edge, ground bool) bool {
	below := s.below(edges)
	for i := range s.nodes {
		if n := &s.nodes[i]; n.active() && !below[i] && (n.Kind.HasProcess() || ground && n.ground()) {
			return true
		}
	}
	return false
}

// ground says whether the node is what processes stand on.
func (n *node) ground() bool {
	return n.Kind == unit.Link || n.Kind == unit.Mount || n.Kind == unit.Pool
}

// touchGround has settle look at what processes stand on.
func (s *State) touchGround() {
	for i := range s.nodes {
		if s.nodes[i].ground() {
			s.touch(i)
		}
	}
}

// detained says whether the end is not so far yet that the node may stop.
func (s *State) detained(i int) bool {
	n := &s.nodes[i]
	switch {
	case s.ending == 0 || !n.ground():
		return false
	case !s.cleared && s.endFor < goAfter:
		return true
	case n.Mount == nil || !n.Mount.Persist || s.endFor >= lastAfter:
		return false
	}
	return s.othersLeft(append(n.out[:len(n.out):len(n.out)], unit.Edge{To: i}), true)
}

func (s *State) anyActive() bool {
	for i := range s.nodes {
		if s.nodes[i].active() {
			return true
		}
	}
	return false
}

// endNow hands over to the keeper, once.
func (s *State) endNow() {
	if s.ending == 0 || s.endSent {
		return
	}
	s.endSent = true
	s.do(unit.Action{Op: unit.EndNow, How: s.ending, Text: s.endedBy})
}
