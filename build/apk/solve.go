package apk

import (
	"cmp"
	"fmt"
	"slices"
)

// SolveOptions directs Solve; its zero value is right for an image.
type SolveOptions struct {
	// Provides are names ("initramfs-generator", "foo=1.2") that the build
	// itself gives: who depends on them is content without a package.
	Provides []string
	// Newest takes the highest version that any repository has, which is apk's
	// rule. Otherwise a package name comes from the first repository that has
	// it, so that a list of repositories is a list of preferences.
	Newest bool
}

// Solve chooses packages for a world (words as in /etc/apk/world: "openssh",
// "linux-lts>6", "!busybox-extras", "zfs@edge") and returns them in the order
// in which apk installs them: what a package depends on comes before it.
//
// The choice is that of apk 2.14 with nothing installed: constraints are
// propagated through the names until only choices remain; then the name with
// the fewest doubts is decided and propagation goes on. Nothing is ever taken
// back, so a world that would need that is refused, as apk does. Packages with
// install_if come in when all of its names are chosen, whoever asked for them.
// A virtual name, which packages provide without a version, chooses none of them
// by itself unless one has a provider_priority: somebody has to name it.
//
// A pinned word ("zfs@edge", "zfs@edge>2") may be met from the repositories with
// that tag, and so may what it brings in; from a tagged repository nothing else
// comes.
//
// A world that cannot be had is a *UnsatisfiableError.
func Solve(world []string, repos []*Repo, o SolveOptions) ([]*Package, error) {
	deps := make([]Dep, len(world))
	var err error
	for i, w := range world {
		if deps[i], err = ParseDep(w); err != nil {
			return nil, err
		}
		if d := &deps[i]; d.Op != Any && d.Op != Same && !ValidVersion(d.Version) {
			return nil, fmt.Errorf("dependency %q: %w: %q is no version", w, ErrFormat, d.Version)
		}
	}
	given := make([]Dep, len(o.Provides))
	for i, p := range o.Provides {
		if given[i], err = ParseDep(p); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(deps, func(a, b Dep) int { return cmp.Compare(a.Name, b.Name) })
	s := &solver{graph: newGraph(repos, given, o.Newest)}
	s.world = s.needsOf(deps)
	s.run()
	if len(s.failures) > 0 {
		return nil, s.explain()
	}
	return s.order, nil
}

// solver holds the state of one Solve.
type solver struct {
	*graph
	world    []need
	dirty    []*name // names to look at again, first in first out
	open     []*name // names to decide, last in first looked at
	failures []failure
	order    []*Package
	lacked   map[*name]bool
	// while the world is applied: the pin of the word at hand
	pin uint64
}

func (s *solver) run() {
	s.lacked = map[*name]bool{}
	for _, d := range s.world {
		s.discover(d.on)
	}
	s.linkNeeds()
	for _, d := range s.world {
		s.pin = s.tags[d.Tag]
		if s.pin == 0 {
			s.fail(failure{kind: failTag, need: d})
			continue
		}
		s.constrain(nil, d)
	}
	s.pin = 0
	for {
		for len(s.dirty) > 0 {
			n := s.dirty[0]
			s.dirty = s.dirty[1:]
			if n.dirty {
				n.dirty = false
				s.reconsider(n)
			}
		}
		n := s.next()
		if n == nil {
			break
		}
		s.decide(n)
	}
	for _, d := range s.world {
		s.lay(nil, d)
	}
}

// next picks the open name to decide: one without options that nothing open
// depends on, else by wanted, rank and depth.
func (s *solver) next() *name {
	var best *name
	for i := len(s.open) - 1; i >= 0; i-- {
		n := s.open[i]
		if n.settled && n.wanted > 0 && !n.hasOptions {
			return n
		}
		if best == nil || before(n, best) < 0 {
			best = n
		}
	}
	return best
}

func before(a, b *name) int {
	aw, bw := a.wanted > 0, b.wanted > 0
	switch {
	case aw != bw && aw:
		return -1
	case aw != bw:
		return 1
	case a.rank != b.rank:
		return a.rank - b.rank
	}
	return b.depth - a.depth
}

// decide chooses among the offers of a name, or that there shall be none.
func (s *solver) decide(n *name) {
	var best offer
	for _, o := range n.offers {
		c := o.pkg
		if n.wanted == 0 && (!c.triggered || !c.tagOK) {
			continue
		}
		// a virtual name does not choose a package by itself, unless there is
		// one only or a priority says which
		if o.version == "" && c.name.wanted == 0 && c.ProviderPriority == 0 {
			continue
		}
		if better(o, best) > 0 {
			best = o
		}
	}
	c := best.pkg
	if c == nil {
		s.assign(n, offer{})
		if n.wanted > 0 {
			s.fail(failure{kind: failNone, name: n})
		}
		return
	}
	if !c.selectable || !c.tagOK {
		s.failChoice(c, failure{kind: failBroken, pkg: c})
	}
	s.assign(c.name, offer{c, c.Version})
	for _, p := range c.gifts {
		s.assign(p.name, offer{c, p.version})
	}
	for _, d := range c.needs {
		s.constrain(c, d)
	}
}

// better compares two offers of one name.
func better(a, b offer) int {
	if a.pkg == nil || b.pkg == nil {
		return truth(a.pkg != nil) - truth(b.pkg != nil)
	}
	x, y := a.pkg, b.pkg
	r := cmp.Or(
		truth(x.selectable)-truth(y.selectable),
		truth(x.used)-truth(y.used),
		y.against-x.against,
		truth(x.tagOK)-truth(y.tagOK),
		truth(x.tagGood)-truth(y.tagGood))
	if r != 0 {
		return r
	}
	if a.version != "" && b.version != "" {
		if r := Compare(a.version, b.version); r != 0 {
			return r
		}
	}
	if x.name == y.name {
		if r := Compare(x.Version, y.Version); r != 0 {
			return r
		}
	}
	return cmp.Or(x.ProviderPriority-y.ProviderPriority, y.order-x.order)
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// assign fixes what a name is; what else offers it is out, save that virtual
// offers live side by side.
func (s *solver) assign(n *name, o offer) {
	if n.locked {
		if o.version == "" && n.chosen.version == "" {
			return
		}
		s.failChoice(o.pkg, failure{kind: failBoth, name: n, pkg: o.pkg, other: n.chosen.pkg})
		if n.chosen.pkg != nil {
			n.chosen.pkg.failed = true
		}
		return
	}
	n.locked, n.chosen = true, o
	if n.open {
		s.unqueue(n)
	}
	n.dirty = false
	for _, other := range n.offers {
		if other.pkg == o.pkg || o.version == "" && other.version == "" {
			continue
		}
		s.ruleOut(other.pkg, reason{kind: whyTaken, name: n})
	}
	s.redoDependents(n)
	s.redoInstallIf(n)
}
