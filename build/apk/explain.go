package apk

import (
	"fmt"
	"slices"
	"strings"

	"hoopy/unit/schema"
)

// UnsatisfiableError says why no set of packages meets a world. Each reason is a
// paragraph, the most telling first: what is wrong, and on further lines who
// asked for it and what there is instead.
type UnsatisfiableError struct {
	Reasons []string
}

func (e *UnsatisfiableError) Error() string {
	return "no set of packages will do:\n  " + strings.ReplaceAll(strings.Join(e.Reasons, "\n"), "\n", "\n  ")
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
				add(fmt.Sprintf("%s: no repository is tagged @%s", f.need.Dep, f.need.Tag))
			case failNone:
				told[f.name] = true
				add(s.noOffer(f.name))
			case failBroken:
				if f.pkg.why.kind != whyNeeds {
					told[f.pkg.name] = true
					add(s.broken(f.pkg))
				}
			case failBoth:
				add(fmt.Sprintf("%s and %s both provide %s, which only one may\n  %s: %s\n  %s: %s",
					f.pkg.ID(), idOf(f.other), f.name.s,
					f.pkg.ID(), s.wanter(f.pkg), idOf(f.other), s.wanter(f.other)))
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

// theList is the world, as its reader knows it.
const theList = "the list of packages"

// asker names who asked, and through whom that came in: "chrony-4.5-r0, for
// nas-base-1 of the list of packages".
func asker(by *choice) string {
	if by == nil {
		return theList
	}
	out := by.ID()
	seen := map[*choice]bool{by: true}
	for len(seen) <= 6 {
		up := by.askedBy()
		switch {
		case up == nil && len(by.InstallIf) > 0:
			return out + ", which comes with " + FormatDeps(by.InstallIf)
		case up == nil || up.by != nil && seen[up.by]:
			return out
		case up.by == nil:
			return out + " of " + theList
		}
		by = up.by
		seen[by] = true
		out += ", for " + by.ID()
	}
	return out
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

// wanter says who wants a package.
func (s *solver) wanter(c *choice) string {
	if c == nil {
		return "wanted by nobody"
	}
	if a := c.askedBy(); a != nil {
		return "wanted by " + asker(a.by)
	}
	return "there because of what else is chosen (" + FormatDeps(c.InstallIf) + ")"
}

// askers lists who wants what, one line each.
func askers(asks []ask, only func(ask) bool) string {
	var lines []string
	for _, a := range asks {
		if only != nil && !only(a) {
			continue
		}
		who := "\n  wanted by " + asker(a.by)
		if a.dep.Op != Any {
			who += fmt.Sprintf(": %s", a.dep)
		}
		if !slices.Contains(lines, who) {
			lines = append(lines, who)
		}
	}
	slices.Sort(lines)
	if len(lines) > 3 {
		lines = append(lines[:3], fmt.Sprintf("\n  and by %d more", len(lines)-3))
	}
	return strings.Join(lines, "")
}

func wants(a ask) bool { return !a.dep.Conflict }

func (s *solver) noOffer(n *name) string {
	by := askers(n.asked, wants)
	if len(n.offers) == 0 {
		return fmt.Sprintf("%s: no repository has it%s%s", n.s, s.didYouMean(n.s), by)
	}
	var ids []string
	for _, o := range n.offers {
		ids = append(ids, o.pkg.ID()+o.pkg.ruledOut())
	}
	for _, a := range n.asked {
		if wants(a) && a.dep.Op != Any {
			return fmt.Sprintf("%s: no package has it with a version%s\n  there is %s", n.s, by, few(ids))
		}
	}
	if len(n.offers) == 1 {
		return fmt.Sprintf("%s: only %s provides it, and whoever wants it has to name that package%s", n.s, ids[0], by)
	}
	return fmt.Sprintf("%s: several packages provide it and none is preferred, name one: %s%s", n.s, few(ids), by)
}

// didYouMean suggests a name of the same kind: "so:", "cmd:" or a package's.
func (s *solver) didYouMean(wrong string) string {
	kind, _, has := strings.Cut(wrong, ":")
	var near []string
	for _, n := range s.names {
		k, _, ok := strings.Cut(n.s, ":")
		if len(n.offers) > 0 && ok == has && (!has || k == kind) && max(len(n.s), len(wrong))-min(len(n.s), len(wrong)) < 3 {
			near = append(near, n.s)
		}
	}
	slices.Sort(near)
	return schema.DidYouMean(wrong, near)
}

func (s *solver) broken(c *choice) string {
	line := c.ID() + " cannot be used"
	if c.selectable && !c.tagOK {
		line += ": it is only in a repository that needs a pin: " + c.Name + "@" + c.Repo.Tag
	} else {
		line += c.ruledOut()
	}
	asked := slices.Clone(c.name.asked)
	for _, p := range c.gifts {
		asked = append(asked, p.name.asked...)
	}
	var others []string
	for _, o := range c.name.offers {
		if o.pkg != c && o.pkg.Version != c.Version {
			others = append(others, o.pkg.ID()+o.pkg.ruledOut())
		}
	}
	line += askers(asked, func(a ask) bool { return wants(a) && a != c.why.ask })
	if len(others) > 0 {
		line += "\n  there is also " + few(others)
	}
	return line
}

func (s *solver) unmet(f failure) string {
	d := f.need
	who := asker(f.pkg)
	if d.Conflict {
		return fmt.Sprintf("%s is chosen, but %s says %s%s", idOf(d.on.chosen.pkg), who, d.Dep, askers(d.on.asked, wants))
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
		return fmt.Sprintf("%s: no repository has it%s\n  wanted by %s", d.Dep, s.didYouMean(d.Name), who)
	}
	return fmt.Sprintf("%s: cannot be had\n  wanted by %s\n  there is %s", d.Dep, who, few(have))
}

// ruledOut says why a package is out, for the end of a phrase.
func (c *choice) ruledOut() string {
	switch c.why.kind {
	case whyAsked:
		return fmt.Sprintf(" (%s, says %s)", c.why.ask.dep, asker(c.why.ask.by))
	case whyNeeds:
		return fmt.Sprintf(" (needs %s, which cannot be had)", c.why.ask.dep)
	case whyGives:
		return fmt.Sprintf(" (%s comes with %s, and only one may provide it)", c.why.with.s, c.why.name.s)
	case whyTaken:
		by := idOf(c.why.name.chosen.pkg)
		if c.why.name == c.name {
			return fmt.Sprintf(" (%s is chosen)", by)
		}
		return fmt.Sprintf(" (%s comes with %s, and only one may provide it)", c.why.name.s, by)
	}
	return ""
}

func few(ids []string) string {
	if len(ids) > 6 {
		ids = append(ids[:6:6], fmt.Sprintf("%d more", len(ids)-6))
	}
	return strings.Join(ids, ", ")
}
