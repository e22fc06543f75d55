package apk

import (
	"cmp"
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
//
// A world that cannot be had is a *UnsatisfiableError.
func Solve(world []string, repos []*Repo, o SolveOptions) ([]*Package, error) {
	deps := make([]Dep, len(world))
	var err error
	for i, w := range world {
		if deps[i], err = ParseDep(w); err != nil {
			return nil, err
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
	var seen []*name
	for _, d := range s.world {
		s.discover(d.on, &seen)
	}
	for _, n := range seen {
		s.linkNeeds(n)
	}
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

// discover visits every name that could come to matter for n.
func (s *solver) discover(n *name, seen *[]*name) {
	if n.seen {
		return
	}
	n.seen, n.noIf = true, true
	*seen = append(*seen, n)
	virtual := 0
	for _, o := range n.offers {
		c := o.pkg
		if c.name != n {
			virtual++
		}
		if !c.seen {
			c.seen, c.selectable = true, true
			c.allowed = 1
			c.dead = len(c.InstallIf) == 0
			c.tagGood = c.InstalledSize == 0 || c.repos&1 != 0
			c.tagOK = c.tagGood
			c.needs = s.needsOf(c.Depends)
			for _, d := range c.needs {
				s.discover(d.on, seen)
				c.depth = max(c.depth, d.on.depth+1)
			}
			// somebody may be installed because of it, or of what it gives
			s.discover(c.name, seen)
			for _, p := range c.gifts {
				for _, r := range p.name.rinstall {
					s.discover(r, seen)
				}
			}
		}
		n.noIf = n.noIf && c.dead
		n.depth = max(n.depth, c.depth)
	}
	switch virtual {
	case 0:
		n.rank = 0
	case len(n.offers):
		n.rank = 2
	default:
		n.rank = 1
	}
	for _, r := range n.rinstall {
		s.discover(r, seen)
	}
}

// linkNeeds enters n with every name that one of its offers depends on. Only
// names that were discovered are entered: no others are ever looked at.
func (s *solver) linkNeeds(n *name) {
	for _, o := range n.offers {
		for _, d := range o.pkg.needs {
			if r := d.on.rdepends; len(r) == 0 || r[len(r)-1] != n {
				d.on.rdepends = append(r, n)
			}
		}
	}
}

func (s *solver) markDirty(n *name) {
	if n.dirty || n.locked || n.wanted == 0 && !n.redoIf {
		return
	}
	n.dirty = true
	s.dirty = append(s.dirty, n)
}

// queue keeps n in the list of open names while it is wanted.
func (s *solver) queue(n *name) {
	if n.locked {
		return
	}
	want := n.wanted > 0 || n.hasIf
	if want == n.open {
		return
	}
	if n.open = want; want {
		s.open = append(s.open, n)
	} else {
		s.unqueue(n)
	}
}

func (s *solver) unqueue(n *name) {
	n.open = false
	s.open = slices.DeleteFunc(s.open, func(o *name) bool { return o == n })
}

func (s *solver) redoDependents(n *name) {
	for _, r := range n.rdepends {
		r.redoNeeds = true
		s.markDirty(r)
	}
}

func (s *solver) redoInstallIf(n *name) {
	for _, r := range n.rinstall {
		if r.seen && !r.noIf {
			r.redoIf = true
			s.markDirty(r)
		}
	}
}

// ruleOut takes a package out of the running.
func (s *solver) ruleOut(c *choice, why reason) {
	if c.selectable {
		c.why = why
	}
	c.selectable = false
	s.redoDependents(c.name)
	for _, p := range c.gifts {
		s.redoDependents(p.name)
	}
	s.redoInstallIf(c.name)
}

func (s *solver) wantedNow(n *name) {
	s.queue(n)
	s.redoInstallIf(n)
	s.markDirty(n)
}

// inherit hands the pins of one package (nil: the word of the world at hand) on
// to another that it brings in.
func (s *solver) inherit(c, from *choice) {
	if from != nil {
		c.allowed |= from.allowed
	} else {
		c.allowed |= s.pin
		c.tagGood = c.repos&s.pin != 0
	}
	if c.repos&c.allowed != 0 {
		c.tagOK = true
	}
}

// constrain applies one dependency.
func (s *solver) constrain(by *choice, d need) {
	n := d.on
	n.asked = append(n.asked, ask{by, d.Dep})
	if !d.Conflict {
		if n.wanted++; n.wanted == 1 {
			s.wantedNow(n)
		}
	}
	for _, o := range n.offers {
		if meets(d.Dep, o) {
			s.inherit(o.pkg, by)
			continue
		}
		o.pkg.against++
		if o.pkg.selectable {
			s.ruleOut(o.pkg, reason{kind: whyAsked, ask: ask{by, d.Dep}})
		}
	}
}

// possible says whether a dependency could still be met.
func possible(d need) bool {
	n := d.on
	if n.locked {
		return meets(d.Dep, n.chosen)
	}
	if n.wanted == 0 && meets(d.Dep, offer{}) {
		return true
	}
	for _, o := range n.offers {
		if o.pkg.selectable && meets(d.Dep, o) {
			return true
		}
	}
	return false
}

// merge counts, in *at, that one more of the offers of a name has something;
// done says whether all n had it, and starts anew.
func merge(at *int, n int) bool {
	if *at != n {
		return false
	}
	*at = n + 1
	return true
}

func mergeDone(at *int, n int) bool {
	done := *at == n
	*at = 0
	return done
}

// triggerIf finds out whether every install_if of a package holds, or one no
// longer can.
func (c *choice) triggerIf() {
	for _, d := range c.installIf {
		if !d.on.locked {
			return
		}
		if !meets(d.Dep, d.on.chosen) {
			c.dead = true
			return
		}
	}
	c.triggered = true
}

// reconsider looks at the offers of a name again: which are still possible, and
// what all of these have in common, for that is certain already.
func (s *solver) reconsider(n *name) {
	redoNeeds, redoIf := n.redoNeeds, n.redoIf
	n.redoNeeds, n.redoIf = false, false
	var first *choice
	options, notOK := 0, 0
	hasIf, noIf := false, true
	for _, o := range n.offers {
		c := o.pkg
		c.merged = false
		if redoNeeds && c.selectable {
			for _, d := range c.needs {
				if !possible(d) {
					s.ruleOut(c, reason{kind: whyNeeds, ask: ask{c, d.Dep}})
					break
				}
			}
		}
		if !c.selectable {
			continue
		}
		if redoIf {
			if !c.triggered && !c.dead {
				c.triggerIf()
			}
			if c.triggered {
				for _, d := range c.installIf {
					if d.on.chosen.pkg != nil {
						s.inherit(c, d.on.chosen.pkg)
					}
				}
			}
		}
		hasIf = hasIf || c.triggered
		noIf = noIf && c.dead
		if n.wanted == 0 {
			continue
		}
		c.merged = true
		if first == nil {
			first = c
		}
		for _, d := range c.needs {
			if !d.Conflict {
				merge(&d.on.mergeNeeds, options)
			}
		}
		if merge(&c.name.mergeGifts, options) && o.version == "" {
			c.name.virtual = true
		}
		for _, p := range c.gifts {
			if merge(&p.name.mergeGifts, options) && p.version == "" {
				p.name.virtual = true
			}
		}
		if !c.tagOK {
			notOK++
		}
		options++
	}
	n.hasOptions = options > 1 || notOK > 0
	n.hasIf, n.noIf = hasIf, noIf
	s.queue(n)
	if first != nil {
		s.spread(n, first, options)
	}
	n.settled = !slices.ContainsFunc(n.rdepends, func(r *name) bool { return !r.locked })
}

// spread passes on what all options of n have in common; first is one of them.
func (s *solver) spread(n *name, first *choice, options int) {
	for _, o := range n.offers {
		o.pkg.used = o.pkg.merged
	}
	for _, d := range first.needs {
		if !mergeDone(&d.on.mergeNeeds, options) {
			continue
		}
		if options == 1 {
			s.constrain(first, d)
		} else if d.on.wanted == 0 {
			d.on.wanted++
			d.on.asked = append(d.on.asked, ask{first, &Dep{Name: d.Name}})
			s.wantedNow(d.on)
			for _, o := range d.on.offers {
				s.inherit(o.pkg, first)
			}
		}
	}
	// whatever n will be, it also gives these names: so who else gives them
	// must give n too, or cannot be
	if mergeDone(&first.name.mergeGifts, options) {
		s.mustGive(first.name, n)
	}
	for _, p := range first.gifts {
		if mergeDone(&p.name.mergeGifts, options) {
			s.mustGive(p.name, n)
		}
	}
	first.name.virtual = false
	for _, p := range first.gifts {
		p.name.virtual = false
	}
}

// mustGive rules out the offers of n whose package does not give must.
func (s *solver) mustGive(n, must *name) {
	if n == must {
		return
	}
	lax := n.virtual
next:
	for _, o := range n.offers {
		c := o.pkg
		if c.name == must || !c.selectable || lax && o.version == "" {
			continue
		}
		for _, p := range c.gifts {
			if p.name == must || lax && p.version == "" {
				continue next
			}
		}
		s.ruleOut(c, reason{kind: whyGives, name: must, with: n})
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
		if o.version == "" && c.name.wanted == 0 && c.ProviderPriority == 0 && len(n.offers) > 1 {
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

// lay puts what a dependency chose into the install order, after what that
// depends on.
func (s *solver) lay(by *choice, d need) {
	n := d.on
	if !meets(d.Dep, n.chosen) {
		if by != nil {
			s.failChoice(by, failure{kind: failNeed, pkg: by, need: d})
		} else {
			s.fail(failure{kind: failNeed, need: d})
		}
	}
	s.layName(n)
	if c := n.chosen.pkg; c != nil && c.failed && by != nil {
		by.failed = true
	}
}

func (s *solver) layName(n *name) {
	if n.laid {
		return
	}
	n.laid = true
	c := n.chosen.pkg
	if c == nil || c.laid {
		return
	}
	c.laid, c.name.laid = true, true
	for _, p := range c.gifts {
		p.name.laid = true
	}
	for _, d := range c.needs {
		s.lay(c, d)
	}
	s.order = append(s.order, c.Package)
	for _, r := range c.name.rinstall {
		s.layIf(r)
	}
	for _, p := range c.gifts {
		for _, r := range p.name.rinstall {
			s.layIf(r)
		}
	}
}

// layIf lays a package that is there because of others, once those are.
func (s *solver) layIf(n *name) {
	c := n.chosen.pkg
	if c == nil || !n.seen || n.laid {
		return
	}
	for _, d := range c.installIf {
		if !d.on.laid || !meets(d.Dep, d.on.chosen) {
			return
		}
	}
	s.layName(n)
}
