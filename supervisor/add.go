package supervisor

import (
	"fmt"
	"slices"

	"hoopy/unit"
)

// Add brings a unit into the graph while it runs: a transient one, or an
// instance of a template. It is Inactive until it is asked for. An epoch that
// takes over adds it before Restore. The error names a unit that it speaks of
// and that is not there (unit.ErrNoUnit), or says that its name is taken or
// that it would come before what it comes after; nothing has changed then.
func (s *State) Add(u *unit.Unit) error {
	if _, taken := s.byName[u.Name]; taken || u.Name == "" {
		return fmt.Errorf("unit %s: the name is taken", u.Name)
	}
	n := node{Unit: u, known: true, added: true, late: true}
	for kind, names := range [...][]string{unit.Needs: u.Needs, unit.Wants: u.Wants, unit.After: u.After} {
		for _, name := range names {
			to, ok := s.byName[name]
			if !ok {
				return fmt.Errorf("unit %s: %s: %w as %q", u.Name, unit.EdgeKind(kind), unit.ErrNoUnit, name)
			}
			if !slices.ContainsFunc(n.out, func(e unit.Edge) bool { return e.To == to }) {
				n.out = append(n.out, unit.Edge{To: to, Kind: unit.EdgeKind(kind)})
			}
		}
	}
	below := s.below(n.out)
	for _, name := range u.Before {
		from, ok := s.byName[name]
		if !ok {
			return fmt.Errorf("unit %s: before: %w as %q", u.Name, unit.ErrNoUnit, name)
		}
		if below[from] {
			return fmt.Errorf("unit %s: before: it comes after %q", u.Name, name)
		}
		n.in = append(n.in, unit.Edge{To: from, Kind: unit.After})
	}
	i := slices.IndexFunc(s.nodes, func(n node) bool { return n.Unit == hole })
	if i < 0 {
		i = len(s.nodes)
		s.nodes = append(s.nodes, node{})
		if s.way != nil {
			s.way = append(s.way, true)
		}
	} else {
		n.listed = s.nodes[i].listed
	}
	s.nodes[i] = n
	s.byName[u.Name] = i
	for _, e := range n.out {
		on := &s.nodes[e.To]
		on.in = append(slices.Clip(on.in), unit.Edge{To: i, Kind: e.Kind})
	}
	for _, e := range n.in {
		v := &s.nodes[e.To]
		v.out = append(slices.Clip(v.out), unit.Edge{To: i, Kind: unit.After})
	}
	s.stamp++
	return nil
}

// below marks every node that edges lead to.
func (s *State) below(edges []unit.Edge) map[int]bool {
	found := make(map[int]bool)
	var mark func([]unit.Edge)
	mark = func(edges []unit.Edge) {
		for _, e := range edges {
			if !found[e.To] {
				found[e.To] = true
				mark(s.nodes[e.To].out)
			}
		}
	}
	mark(edges)
	return found
}

// hole is the unit of a node whose unit was removed, until Add uses it again.
var hole = &unit.Unit{Kind: unit.Milestone}

// Remove takes a unit out that Add brought in. It says no while anything of
// the unit is left or on its way, or another unit that is up needs it.
func (s *State) Remove(name string) bool {
	i, ok := s.byName[name]
	if !ok || !s.nodes[i].added {
		return false
	}
	n := &s.nodes[i]
	idle := n.state == unit.Inactive || n.state == unit.Failed || n.state == unit.Skipped || n.state == unit.Ready
	for _, e := range n.in {
		if v := &s.nodes[e.To]; v.up && e.Kind != unit.After {
			return false
		}
	}
	if !idle || !n.over() {
		return false
	}
	delete(s.byName, name)
	to := func(e unit.Edge) bool { return e.To == i }
	for _, e := range n.out {
		on := &s.nodes[e.To]
		on.in = slices.DeleteFunc(slices.Clone(on.in), to)
		s.touch(e.To)
	}
	for _, e := range n.in {
		v := &s.nodes[e.To]
		v.out = slices.DeleteFunc(slices.Clone(v.out), to)
	}
	*n = node{Unit: hole, known: true, listed: n.listed}
	return true
}
