package supervisor

import (
	"fmt"
	"time"

	"hoopy/unit"
)

// Begin starts what is to run at boot: every unit that is not manual, or in
// safe mode every essential one, with what those need and want. It returns
// actions as Step does. After a restore it only adds units that the earlier epoch
// did not know: one that the operator has stopped stays stopped.
//
// Essential units, and what they come after, have a head start: the others begin
// a moment (firstLogin) after those are ready, or after the time given. On a
// machine with a processor or two everything at once means that the way in comes
// last; 0: no head start.
func (s *State) Begin(now unit.Time, headStart time.Duration) []unit.Action {
	s.now, s.actions = now, s.actions[:0]
	for i := range s.nodes {
		if s.nodes[i].Essential {
			s.touch(i) // they are looked at first, so started first
		}
	}
	for i := range s.nodes {
		n := &s.nodes[i]
		milestone := n.Kind == unit.Milestone
		if n.known || n.state != unit.Inactive || n.Manual || s.safe && !n.Essential && !milestone {
			continue
		}
		n.up = true
		s.become(i, unit.Waiting, "")
		for _, e := range n.out {
			if e.Kind != unit.After && !s.nodes[e.To].up && !s.safe {
				s.wake(e.To)
			}
		}
	}
	if headStart > 0 {
		s.headStart(headStart)
	}
	s.settle()
	return s.actions
}

// firstLogin is left to whoever has been waiting for the machine: sshd forks and
// executes itself anew for them.
const firstLogin = 200 * time.Millisecond

// headStart marks the nodes on the way in.
func (s *State) headStart(d time.Duration) {
	s.way = make([]bool, len(s.nodes))
	var mark func(i int)
	mark = func(i int) {
		if !s.way[i] {
			s.way[i] = true
			for _, e := range s.nodes[i].out {
				mark(e.To)
			}
		}
	}
	for i := range s.nodes {
		if s.nodes[i].Essential {
			mark(i)
		}
	}
	s.do(unit.Action{Op: unit.SetTimer, Timer: unit.WayTimer, At: s.now.Add(d)})
}

// wayIn says whether every essential unit that is to run does.
func (s *State) wayIn() bool {
	for i := range s.nodes {
		if n := &s.nodes[i]; n.Essential && n.up && n.state != unit.Ready && n.state != unit.Skipped && n.Kind != unit.Timer {
			return false
		}
	}
	return true
}

// openWay lets the others begin.
func (s *State) openWay() {
	if s.way == nil {
		return
	}
	s.way = nil
	for i := range s.nodes {
		s.touch(i)
	}
}

// WayIn says whether the others have begun: nothing has to make way any more.
func (s *State) WayIn() bool { return s.way == nil }

// reached says whether a milestone's condition holds. devices and online are
// told by an event.
func (s *State) reached(i int) bool {
	switch s.nodes[i].Name {
	case unit.Devices, unit.Online, unit.Boot:
		return false
	case unit.Network:
		links := 0
		for k := range s.nodes {
			if n := &s.nodes[k]; n.Kind == unit.Link && n.Essential {
				if n.state == unit.Ready {
					return true
				}
				links++
			}
		}
		return links == 0
	}
	return s.mayStart(i)
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

// booted says whether every boot unit is ready, failed or skipped, or held
// back by one that is. Units after boot do not count. It looks on from the one
// that said no the last time, so that a boot of n units does not cost n².
func (s *State) booted() bool {
	for range s.nodes {
		if s.laggard >= len(s.nodes) {
			s.laggard = 0
		}
		if s.pending(s.laggard) {
			return false
		}
		s.laggard++
	}
	return true
}

func (s *State) pending(i int) bool {
	n := &s.nodes[i]
	return n.Kind != unit.Milestone && n.Kind != unit.Timer && !n.late && s.underWay(i)
}

// Refusal says why a unit may not be stopped without force: these need it, or, if
// there are none, it is the last link.
type Refusal struct {
	Unit   string
	Needed []string
}

func (r *Refusal) Error() string {
	if len(r.Needed) == 0 {
		return fmt.Sprintf("unit %s: no other link is up, and whoever is logged in over it is cut off; --force stops it", r.Unit)
	}
	return fmt.Sprintf("unit %s: needed by %s; stop them first, or use --force", r.Unit, list(r.Needed))
}

// LastLink says whether the unit is a link that is up, and no other one is.
func (s *State) LastLink(name string) bool {
	last := false
	for i := range s.nodes {
		if n := &s.nodes[i]; n.Kind == unit.Link && n.state == unit.Ready {
			if n.Name != name {
				return false
			}
			last = true
		}
	}
	return last
}

// Dependents names the units that a stop of the unit would take down.
func (s *State) Dependents(name string) (names []string) {
	i, ok := s.byName[name]
	if !ok {
		return nil
	}
	for _, e := range s.nodes[i].in {
		if v := &s.nodes[e.To]; e.Kind == unit.Needs && v.active() && !v.Essential && v.Kind != unit.Milestone {
			names = append(names, v.Name)
		}
	}
	return names
}
