package image

import (
	"fmt"
	"slices"
	"strings"

	"hoopy/build/apk"
)

// needs are the reasons why packages are in a set: who asks for what.
type needs struct {
	world    []string
	pkgs     []*apk.Package
	provides []apk.Dep // by the image itself
	byName   map[string][]*apk.Package
}

func newNeeds(world []string, pkgs []*apk.Package, provides []string) *needs {
	n := &needs{world: world, pkgs: pkgs, byName: map[string][]*apk.Package{}}
	for _, p := range provides {
		if d, err := apk.ParseDep(p); err == nil {
			n.provides = append(n.provides, d)
		}
	}
	for _, p := range pkgs {
		n.byName[p.Name] = append(n.byName[p.Name], p)
		for _, d := range p.Provides {
			if !slices.Contains(n.byName[d.Name], p) {
				n.byName[d.Name] = append(n.byName[d.Name], p)
			}
		}
	}
	return n
}

// answers are the packages of the set that meet a dependency.
func (n *needs) answers(d apk.Dep) (out []*apk.Package) {
	d.Conflict = false // is there, not: may it be there
	for _, p := range n.byName[d.Name] {
		if meets(p, d) {
			out = append(out, p)
		}
	}
	return out
}

func meets(p *apk.Package, d apk.Dep) bool {
	if d.MetBy(p.Name, p.Version, p.Checksum) {
		return true
	}
	return slices.ContainsFunc(p.Provides, func(g apk.Dep) bool { return given(d, g) })
}

// given says whether a provided name meets a dependency: without a version it
// meets only those that want none.
func given(d, provided apk.Dep) bool {
	if provided.Version == "" {
		return d.Name == provided.Name && d.Op == apk.Any
	}
	return d.MetBy(provided.Name, provided.Version, apk.Checksum{})
}

// lacking says what the set needs and does not have.
func (n *needs) lacking() (lacks []string) {
	missing := func(d apk.Dep) bool {
		met := len(n.answers(d)) > 0 || slices.ContainsFunc(n.provides, func(g apk.Dep) bool { return given(d, g) })
		return met == d.Conflict
	}
	for _, w := range n.world {
		if d, err := apk.ParseDep(w); err != nil || missing(d) {
			lacks = append(lacks, fmt.Sprintf("packages asks for %s", w))
		}
	}
	for _, p := range n.pkgs {
		for _, d := range p.Depends {
			if missing(d) && !(d.Conflict && slices.Contains(n.answers(d), p)) {
				lacks = append(lacks, fmt.Sprintf("%s needs %s", p.ID(), d))
			}
		}
	}
	return lacks
}

// asker is the nearest reason for a package: a word of the list, a package that
// depends on it, or the packages that its install_if waits for.
type asker struct {
	word string       // of packages
	pkg  *apk.Package // that needs it
	dep  apk.Dep      // in these words
	when []apk.Dep    // install_if
}

// reasons finds, for every package of the set, the shortest way from the list.
func (n *needs) reasons() map[*apk.Package]asker {
	why := map[*apk.Package]asker{}
	var todo []*apk.Package
	found := func(p *apk.Package, a asker) {
		if _, known := why[p]; !known {
			why[p] = a
			todo = append(todo, p)
		}
	}
	for _, w := range n.world {
		d, err := apk.ParseDep(w)
		if err != nil || d.Conflict {
			continue
		}
		for _, p := range n.answers(d) {
			found(p, asker{word: w})
		}
	}
	for {
		for len(todo) > 0 {
			p := todo[0]
			todo = todo[1:]
			for _, d := range p.Depends {
				if d.Conflict {
					continue
				}
				for _, q := range n.answers(d) {
					found(q, asker{pkg: p, dep: d})
				}
			}
		}
		for _, p := range n.pkgs { // what nobody asked for came with others
			if _, known := why[p]; !known && len(p.InstallIf) > 0 {
				found(p, asker{when: p.InstallIf})
			}
		}
		if len(todo) == 0 {
			return why
		}
	}
}

// chain tells why p is there, from the list down to p, a line each.
func (n *needs) chain(p *apk.Package, why map[*apk.Package]asker) (lines []string) {
	for range len(n.pkgs) + 1 {
		a, known := why[p]
		switch {
		case !known:
			lines = append(lines, p.ID()+" is there, and nothing asks for it")
		case a.word != "":
			lines = append(lines, "packages asks for "+a.word+answered(a.word, p))
		case a.pkg == nil:
			lines = append(lines, fmt.Sprintf("%s comes by itself with %s", p.ID(), apk.FormatDeps(a.when)))
		default:
			lines = append(lines, fmt.Sprintf("%s needs %s%s", a.pkg.ID(), a.dep, answered(a.dep.String(), p)))
			p = a.pkg
			continue
		}
		break
	}
	slices.Reverse(lines)
	for i := range lines {
		lines[i] = strings.Repeat("  ", i) + lines[i]
	}
	return lines
}

// answered names the package behind a word that says it otherwise.
func answered(word string, p *apk.Package) string {
	if word == p.Name {
		return ""
	}
	return ", which " + p.ID() + " answers"
}
