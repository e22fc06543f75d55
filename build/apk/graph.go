package apk

import "slices"

// offer is one way to get a name: a package, with the version that it gives the
// name. An empty version is virtual: several packages may give such a name at
// once, and a dependency with a version is never met by it.
type offer struct {
	pkg     *choice
	version string
}

// meets says whether an offer (pkg nil: nothing) is what d asks for.
func meets(d *Dep, o offer) bool {
	if o.pkg == nil {
		return d.Conflict
	}
	if d.Op == Same {
		return (d.Version == o.pkg.Checksum.String()) != d.Conflict
	}
	return d.satisfies(o.version) != d.Conflict
}

// need is a dependency with its name looked up.
type need struct {
	*Dep
	on *name
}

// gift is a name that a package provides.
type gift struct {
	version string
	name    *name
}

// choice is a package while the solver thinks about it.
type choice struct {
	*Package
	name      *name
	needs     []need
	gifts     []gift // provides, without its own name
	installIf []need
	repos     uint64 // bit 0: a repository without a tag has it; others: by tag
	order     int    // of the first repository that has it

	seen       bool
	selectable bool
	tagOK      bool // a pin or its absence allows it
	tagGood    bool // the very repository that was asked for
	allowed    uint64
	against    int  // constraints that it breaks
	merged     bool // in the group whose needs were merged last
	used       bool
	triggered  bool // every install_if holds
	dead       bool // an install_if can no longer hold
	depth      int
	failed     bool
	laid       bool // in the install order
	why        reason
}

// name is one name of the indexes. Of a hundred thousand, a solution comes to
// think about some hundreds: only those have thoughts.
type name struct {
	s        string
	offers   []offer
	rinstall []*name // names with an offer that is installed because of this one
	seen     bool    // discovered
	*thoughts
}

// thoughts are what the solver makes of a name.
type thoughts struct {
	rank     int     // 0: packages of that name only; 1: mixed; 2: provided only
	rdepends []*name // names with an offer that depends on this one
	linked   *name   // the last name that it was entered with

	wanted     int // how many need it
	asked      []ask
	locked     bool
	chosen     offer
	dirty      bool
	open       bool // in the list of unresolved names
	redoNeeds  bool
	redoIf     bool
	hasOptions bool
	hasIf      bool
	noIf       bool
	settled    bool // every name that depends on it is locked
	depth      int
	mergeNeeds int
	mergeGifts int
	virtual    bool
	laid       bool
}

func (n *name) think() {
	if n.thoughts == nil {
		n.thoughts = &thoughts{}
	}
}

// ask remembers who applied a constraint; a nil package is the list itself.
type ask struct {
	by  *choice
	dep *Dep
}

// graph is all names and packages of the repositories.
type graph struct {
	names    map[string]*name
	tags     map[string]uint64
	provided []Dep // by the build itself
	all      []*choice
}

func (g *graph) name(s string) *name {
	n := g.names[s]
	if n == nil {
		n = &name{s: s}
		g.names[s] = n
	}
	return n
}

// given says whether the build itself gives what d asks for.
func (g *graph) given(d *Dep) bool {
	for i := range g.provided {
		p := &g.provided[i]
		if p.Name == d.Name && !d.Conflict && d.Op != Same && d.satisfies(p.Version) {
			return true
		}
	}
	return false
}

func (g *graph) needsOf(deps []Dep) []need {
	out := make([]need, 0, len(deps))
	for i := range deps {
		if !g.given(&deps[i]) {
			out = append(out, need{&deps[i], g.name(deps[i].Name)})
		}
	}
	return out
}

// newGraph joins repositories. Of a package name, an untagged repository counts
// only if none before it has that name, unless newest is set.
func newGraph(repos []*Repo, provided []Dep, newest bool) *graph {
	g := &graph{names: map[string]*name{}, tags: map[string]uint64{"": 1}, provided: provided}
	total := 0
	for _, r := range repos {
		total += len(r.Packages)
	}
	byID := make(map[Checksum]*choice, total)
	// blocks of choices: one allocation each would be felt
	block := make([]choice, total)
	owner := map[string]int{}
	var all []*choice
	for i, r := range repos {
		bit, ok := g.tags[r.Tag]
		if !ok {
			bit = 1 << len(g.tags)
			g.tags[r.Tag] = bit
		}
		for _, p := range r.Packages {
			if r.Tag == "" && !newest {
				if first, ok := owner[p.Name]; ok && first != i {
					continue
				}
				owner[p.Name] = i
			}
			if c := byID[p.Checksum]; c != nil {
				c.repos |= bit
				continue
			}
			c := &block[0]
			block = block[1:]
			c.Package, c.repos, c.order = p, bit, i
			byID[p.Checksum] = c
			all = append(all, c)
		}
	}
	for _, c := range all {
		c.name = g.name(c.Name)
		c.name.offers = append(c.name.offers, offer{c, c.Version})
		c.gifts = make([]gift, 0, len(c.Provides))
		for i := range c.Provides {
			d := &c.Provides[i]
			n := g.name(d.Name)
			if n == c.name {
				continue
			}
			c.gifts = append(c.gifts, gift{d.Version, n})
			n.offers = append(n.offers, offer{c, d.Version})
		}
		c.installIf = g.needsOf(c.InstallIf)
		for _, d := range c.installIf {
			d.on.addRinstall(c.name)
			for _, p := range c.gifts {
				d.on.addRinstall(p.name)
			}
		}
	}
	g.all = all
	return g
}

func (n *name) addRinstall(o *name) {
	if !slices.Contains(n.rinstall, o) {
		n.rinstall = append(n.rinstall, o)
	}
}

// discover visits every name that could come to matter for n.
func (s *solver) discover(n *name) {
	if n.seen {
		return
	}
	n.think()
	n.seen, n.noIf = true, true
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
			c.name.think()
			for _, p := range c.gifts {
				p.name.think()
			}
			for _, d := range c.installIf {
				d.on.think()
			}
			for _, d := range c.needs {
				s.discover(d.on)
				c.depth = max(c.depth, d.on.depth+1)
			}
			// somebody may be installed because of it, or of what it gives
			for _, r := range c.name.rinstall {
				s.discover(r)
			}
			for _, p := range c.gifts {
				if !p.name.seen {
					for _, r := range p.name.rinstall {
						s.discover(r)
					}
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
}

// linkNeeds enters, with every name that a package depends on, the names that
// the package has or gives; in the order of the index, for it decides what is
// looked at first. Only what was discovered counts.
func (s *solver) linkNeeds() {
	for _, c := range s.all {
		if !c.seen {
			continue
		}
		for _, d := range c.needs {
			d.on.addRdepend(c.name)
			for _, p := range c.gifts {
				if p.name.seen {
					d.on.addRdepend(p.name)
				}
			}
		}
	}
}

func (n *name) addRdepend(o *name) {
	if o.linked != n {
		o.linked = n
		n.rdepends = append(n.rdepends, o)
	}
}
