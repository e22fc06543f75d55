package apk

import "slices"

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
	if !c.seen {
		return // it never was in it
	}
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
