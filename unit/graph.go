package unit

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"hoopy/unit/schema"
)

// EdgeKind says what an edge means.
type EdgeKind uint8

const (
	// Needs: To must be ready; see Unit.Needs.
	Needs EdgeKind = iota
	// Wants: To is started too and waited for, no more.
	Wants
	// After: order alone, if both are starting.
	After
)

// String is the key of a unit file.
func (k EdgeKind) String() string { return word(edgeWords[:], int(k)) }

var edgeWords = [...]string{"needs", "wants", "after"}

// Edge is one edge at a unit. To is the index of the unit at its other end.
type Edge struct {
	To   int
	Kind EdgeKind
}

// Graph is units with their edges resolved. It does not change.
type Graph struct {
	// Units in topological order: a unit comes after everything it has an edge
	// to, and among those that could come next the first by name.
	Units []*Unit

	index   map[string]int
	out, in [][]Edge
	broken  []string
}

// Index is where the unit called name stands in Units, -1 if it does not.
func (g *Graph) Index(name string) int {
	if i, ok := g.index[name]; ok {
		return i
	}
	return -1
}

// Out are the edges of unit i: what it needs, wants and comes after. Between
// two units there is one edge at most, the strongest. A Before of the other
// unit is an After here.
func (g *Graph) Out(i int) []Edge { return g.out[i] }

// In are the edges to unit i: Edge.To needs, wants or comes after it.
func (g *Graph) In(i int) []Edge { return g.in[i] }

// Broken says why unit i can never start, or nothing: it needs a unit that
// does not exist, or needs itself by a cycle. An essential unit is never
// broken; the edge is left out instead.
func (g *Graph) Broken(i int) string { return g.broken[i] }

// NewGraph resolves the edges of units. The error joins one *schema.Mistake
// for each unknown name, self edge, cycle and name that is there twice.
//
// The Graph is whole and without cycles all the same, as the boot needs it: of
// two units with one name the first stays; an edge that is wrong is left out;
// a cycle is cut at its weakest edges; a unit that loses a need that way is
// Broken.
func NewGraph(units []*Unit) (*Graph, error) { return newGraph(units, nil, nil) }

func newGraph(units []*Unit, at lines, bad map[string]bool) (*Graph, error) {
	b := builder{at: at, bad: bad, index: make(map[string]int, len(units))}
	for _, u := range units {
		if i, twice := b.index[u.Name]; twice {
			b.say(u, "", "", fmt.Sprintf("the name %q is taken by %s", u.Name, where(b.units[i], 0)))
			continue
		}
		b.index[u.Name] = len(b.units)
		b.units = append(b.units, u)
	}
	for i, u := range b.units {
		if u.Mount != nil && u.Mount.Persist { // its place is a second name of it
			if name := MountUnit(u.Mount.Where); !b.has(name) {
				b.index[name] = i
			}
		}
	}
	b.out = make([][]Edge, len(b.units))
	b.broken = make([]string, len(b.units))
	for i, u := range b.units {
		b.resolve(i, u.Needs, Needs)
		b.resolve(i, u.Wants, Wants)
		b.resolve(i, u.After, After)
		b.before(i, u.Before)
	}
	for i := range b.out {
		b.out[i] = strongest(b.out[i])
	}
	b.cut()
	return b.graph(), schema.Join(b.mistakes)
}

// builder is a graph in the making, its units as they were given.
type builder struct {
	units    []*Unit
	index    map[string]int
	out      [][]Edge
	broken   []string
	at       lines
	bad      map[string]bool // units that are missing for their own mistakes
	mistakes []*schema.Mistake
	names    []string // of all units; filled when a mistake asks for it
}

func (b *builder) resolve(i int, names []string, kind EdgeKind) {
	for _, name := range names {
		if to, ok := b.target(i, kind.String(), name); ok {
			b.out[i] = append(b.out[i], Edge{to, kind})
		} else if kind == Needs && !b.units[i].Essential && b.broken[i] == "" {
			b.broken[i] = fmt.Sprintf("needs %q, which is not there", name)
			switch {
			case name == b.units[i].Name:
				b.broken[i] = "needs itself"
			case b.bad[name]:
				b.broken[i] = fmt.Sprintf("needs %q, whose file has mistakes", name)
			}
		}
	}
}

func (b *builder) has(name string) bool { _, ok := b.index[name]; return ok }

func (b *builder) before(i int, names []string) {
	for _, name := range names {
		if from, ok := b.target(i, "before", name); ok {
			b.out[from] = append(b.out[from], Edge{i, After})
		}
	}
}

func (b *builder) target(i int, key, name string) (int, bool) {
	u := b.units[i]
	to, ok := b.index[name]
	switch {
	case !ok && b.bad[name]: // has been said
	case !ok:
		if b.names == nil {
			for _, u := range b.units {
				b.names = append(b.names, u.Name)
			}
		}
		near := schema.DidYouMean(name, b.names)
		if name == MountUnit(PersistPath) {
			near = "; init.toml has no [persist]"
		}
		b.say(u, key, name, fmt.Sprintf("%s: no unit is called %q", key, name)+near)
	case to == i:
		b.say(u, key, name, fmt.Sprintf("%s: %q is the unit itself", key, name))
		ok = false
	}
	return to, ok
}

func (b *builder) say(u *Unit, key, name, text string) {
	file := u.File
	if file == "" {
		file = "built-in " + u.Name
	}
	b.mistakes = append(b.mistakes, &schema.Mistake{File: file, Line: b.at.edge(u.Name, key, name), Key: key, Text: text})
}

func where(u *Unit, line int) string {
	switch {
	case u.File == "":
		return "the built-in unit " + u.Name
	case line == 0:
		return u.File
	}
	return fmt.Sprintf("%s:%d", u.File, line)
}

// strongest keeps one edge to each unit, in the order of the first.
func strongest(edges []Edge) []Edge {
	if len(edges) < 2 {
		return edges
	}
	sort.Slice(edges, func(i, j int) bool {
		a, b := edges[i], edges[j]
		return a.To < b.To || a.To == b.To && a.Kind < b.Kind
	})
	return slices.CompactFunc(edges, func(a, b Edge) bool { return a.To == b.To })
}

// graph puts the units in order. There are no cycles any more.
func (b *builder) graph() *Graph {
	n := len(b.units)
	waits := make([]int, n) // edges to units that are not placed yet
	users := make([][]int, n)
	for i, edges := range b.out {
		waits[i] = len(edges)
		for _, e := range edges {
			users[e.To] = append(users[e.To], i)
		}
	}
	var free heap
	for i := range n {
		if waits[i] == 0 {
			free.push(b.units[i].Name, i)
		}
	}
	place := make([]int, n) // from builder's index to Graph's
	g := &Graph{Units: make([]*Unit, 0, n), index: make(map[string]int, n),
		out: make([][]Edge, n), in: make([][]Edge, n), broken: make([]string, n)}
	for len(free) > 0 {
		i := free.pop()
		at := len(g.Units)
		place[i] = at
		g.Units = append(g.Units, b.units[i])
		g.index[b.units[i].Name] = at
		g.broken[at] = b.broken[i]
		for _, e := range b.out[i] {
			g.out[at] = append(g.out[at], Edge{place[e.To], e.Kind})
			g.in[place[e.To]] = append(g.in[place[e.To]], Edge{at, e.Kind})
		}
		for _, user := range users[i] {
			if waits[user]--; waits[user] == 0 {
				free.push(b.units[user].Name, user)
			}
		}
	}
	for _, edges := range g.out {
		sort.Slice(edges, func(i, j int) bool { return edges[i].To < edges[j].To })
	}
	return g
}

// ErrNoUnit is the error for a name that no unit has.
var ErrNoUnit = errors.New("no such unit")

// Find is the index of the unit called name. The error is ErrNoUnit with the
// name that may have been meant.
func (g *Graph) Find(name string) (int, error) {
	if i := g.Index(name); i >= 0 {
		return i, nil
	}
	names := make([]string, len(g.Units))
	for i, u := range g.Units {
		names[i] = u.Name
	}
	return -1, fmt.Errorf("%w as %q%s", ErrNoUnit, name, schema.DidYouMean(name, names))
}
