package apk

import (
	"fmt"
	"slices"
	"strings"
)

// UnsatisfiableError says why no set of packages meets a world, one reason a
// line, the most telling first.
type UnsatisfiableError struct {
	Reasons []string
}

func (e *UnsatisfiableError) Error() string {
	return "no set of packages will do:\n  " + strings.Join(e.Reasons, "\n  ")
}

// reason is why a package was ruled out.
type reason struct {
	kind whyKind
	ask  ask
	name *name
	with *name
}

type whyKind uint8

const (
	whyNot   whyKind = iota
	whyAsked         // somebody asks for another version, or for its absence
	whyNeeds         // it needs what cannot be had
	whyGives         // what is certain also gives its name
	whyTaken         // another package has the name
)

// failure is one thing that went wrong.
type failure struct {
	kind  failKind
	name  *name
	pkg   *choice
	other *choice
	need  need
}

type failKind uint8

const (
	failNone   failKind = iota // a name is wanted and nothing gives it
	failBroken                 // only a package that was ruled out gives it
	failBoth                   // two packages give a name that only one may
	failNeed                   // a dependency is not met in the end
	failTag                    // a pin names no repository
)

func (s *solver) fail(f failure) { s.failures = append(s.failures, f) }

// failChoice notes the first failure of a package; c may be nil.
func (s *solver) failChoice(c *choice, f failure) {
	if c == nil || c.failed {
		return
	}
	c.failed = true
	s.fail(f)
}

func (s *solver) explain() error {
	e := &UnsatisfiableError{}
	add := func(line string) {
		if !slices.Contains(e.Reasons, line) {
			e.Reasons = append(e.Reasons, line)
		}
	}
	told := map[*name]bool{}
	for _, kind := range []failKind{failTag, failNone, failBroken, failBoth, failNeed} {
		for _, f := range s.failures {
			if f.kind != kind {
				continue
			}
			switch kind {
			case failTag:
				told[f.need.on] = true
				add(fmt.Sprintf("%s is asked for from repository @%s, and there is none of that name", f.need.Dep, f.need.Tag))
			case failNone:
				told[f.name] = true
				add(s.noOffer(f.name))
			case failBroken:
				if f.pkg.why.kind != whyNeeds {
					told[f.pkg.name] = true
					add(s.broken(f.pkg))
				}
			case failBoth:
				add(fmt.Sprintf("%s (for %s) and %s (for %s) both provide %s",
					f.pkg.ID(), s.wanter(f.pkg), idOf(f.other), s.wanter(f.other), f.name.s))
			case failNeed:
				c := f.need.on.chosen.pkg
				if told[f.need.on] || c != nil && told[c.name] {
					continue
				}
				told[f.need.on] = true
				add(s.unmet(f))
			}
		}
	}
	// Who merely needs what is broken says nothing new, unless nobody else spoke.
	for _, f := range s.failures {
		if f.kind == failBroken && len(e.Reasons) == 0 {
			add(s.broken(f.pkg))
		}
	}
	return e
}

func idOf(c *choice) string {
	if c == nil {
		return "nothing"
	}
	return c.ID()
}

// asker names who asked and through whom that came in: "chrony-4.5-r0 (for
// nas-base-1, for the list of packages)".
func asker(by *choice) string {
	if by == nil {
		return "the list of packages"
	}
	out := by.ID()
	seen := map[*choice]bool{by: true}
	for n := by; ; {
		up := n.askedBy()
		if up == nil {
			return out + " (for the list of packages)"
		}
		if seen[up.by] || len(seen) > 6 || up.by == nil {
			if up.by == nil {
				return out + " (for the list of packages)"
			}
			return out
		}
		seen[up.by] = true
		out += ", for " + up.by.ID()
		n = up.by
	}
}

// askedBy finds who wanted a package, through any of its names.
func (c *choice) askedBy() *ask {
	names := []*name{c.name}
	for _, g := range c.gifts {
		names = append(names, g.name)
	}
	var found *ask
	for _, n := range names {
		for i := range n.asked {
			a := &n.asked[i]
			if a.dep.Conflict || a.by == c {
				continue
			}
			if a.by == nil {
				return a
			}
			if found == nil {
				found = a
			}
		}
	}
	return found
}

// wanter names who wants a package.
func (s *solver) wanter(c *choice) string {
	if c == nil {
		return "nobody"
	}
	if a := c.askedBy(); a != nil {
		return asker(a.by)
	}
	return "its install_if"
}

// askers lists who wants what, for the end of a line.
func askers(asks []ask, only func(ask) bool) string {
	var parts []string
	for _, a := range asks {
		if only != nil && !only(a) {
			continue
		}
		who := asker(a.by)
		if a.dep.Op != Any {
			who += fmt.Sprintf(" as %s", a.dep)
		}
		if !slices.Contains(parts, who) {
			parts = append(parts, who)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	if len(parts) > 2 {
		parts = append(parts[:2], fmt.Sprintf("%d more", len(parts)-2))
	}
	return "; wanted by " + strings.Join(parts, " and by ")
}

func (s *solver) noOffer(n *name) string {
	by := askers(n.asked, func(a ask) bool { return !a.dep.Conflict })
	if len(n.offers) == 0 {
		return fmt.Sprintf("%s: no repository has it%s", n.s, by)
	}
	var ids []string
	for _, o := range n.offers {
		ids = append(ids, o.pkg.ID()+o.pkg.ruledOut())
	}
	return fmt.Sprintf("%s: several packages provide it and none is preferred, name one: %s%s", n.s, few(ids), by)
}

func (s *solver) broken(c *choice) string {
	line := c.ID() + " cannot be used"
	if c.selectable && !c.tagOK {
		line += ": it is only in a repository that needs a pin (@tag)"
	} else {
		line += c.ruledOut()
	}
	asked := slices.Clone(c.name.asked)
	for _, p := range c.gifts {
		asked = append(asked, p.name.asked...)
	}
	return line + askers(asked, func(a ask) bool { return !a.dep.Conflict && a != c.why.ask })
}

func (s *solver) unmet(f failure) string {
	d := f.need
	who := asker(f.pkg)
	if d.Conflict {
		return fmt.Sprintf("%s wants no %s, but %s is chosen%s", who, d.Name, idOf(d.on.chosen.pkg),
			askers(d.on.asked, func(a ask) bool { return !a.dep.Conflict }))
	}
	var have []string
	for _, o := range d.on.offers {
		id := o.pkg.ID()
		if o.pkg.name != d.on && o.version != "" {
			id += " (as " + o.version + ")"
		}
		have = append(have, id+o.pkg.ruledOut())
	}
	if len(have) == 0 {
		return fmt.Sprintf("%s: no repository has it; wanted by %s", d.Dep, who)
	}
	return fmt.Sprintf("%s is wanted by %s; there is %s", d.Dep, who, few(have))
}

// ruledOut says why a package is out, for the end of a phrase.
func (c *choice) ruledOut() string {
	switch c.why.kind {
	case whyAsked:
		return fmt.Sprintf(" (%s asks for %s)", asker(c.why.ask.by), c.why.ask.dep)
	case whyNeeds:
		return fmt.Sprintf(" (needs %s, which cannot be had)", c.why.ask.dep)
	case whyGives:
		return fmt.Sprintf(" (does not provide %s, as what provides %s must)", c.why.name.s, c.why.with.s)
	case whyTaken:
		return fmt.Sprintf(" (%s is taken by %s)", c.why.name.s, idOf(c.why.name.chosen.pkg))
	}
	return ""
}

func few(ids []string) string {
	if len(ids) > 6 {
		ids = append(ids[:6:6], fmt.Sprintf("%d more", len(ids)-6))
	}
	return strings.Join(ids, ", ")
}
