package apk

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
	if !n.seen || n.laid || n.chosen.pkg == nil {
		return
	}
	c := n.chosen.pkg
	for _, d := range c.installIf {
		if !d.on.laid || !meets(d.Dep, d.on.chosen) {
			return
		}
	}
	s.layName(n)
}
