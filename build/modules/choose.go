package modules

import (
	"maps"
	"slices"
	"strings"

	"hoopy/build/tree"
	"hoopy/devices/modindex"
)

// choice is one choosing of modules.
type choice struct {
	t         *tree.Tree
	all       map[string]*module
	kernel    lists
	kept      []*module // sorted by path
	unmatched []string
	driven    int
}

// choose reads the wanted modules and what they need, to the end.
func (c *choice) choose(p Policy) error {
	if p.All {
		return c.close(slices.Sorted(maps.Keys(c.all)))
	}
	var todo []string
	for _, pattern := range p.Patterns {
		if set, ok := strings.CutPrefix(pattern, "@"); ok {
			for _, member := range Sets[set] { // of which no kernel has all
				todo = append(todo, match(c.all, member)...)
			}
			continue
		}
		hits := match(c.all, pattern)
		if len(hits) == 0 {
			c.unmatched = append(c.unmatched, pattern)
		}
		todo = append(todo, hits...)
	}
	drivers, err := c.drivers(p.Hardware)
	if err != nil {
		return err
	}
	return c.close(append(todo, drivers...))
}

// close keeps these modules and all that they need.
func (c *choice) close(todo []string) error {
	seen := map[*module]bool{}
	for len(todo) > 0 {
		m := c.all[todo[0]]
		todo = todo[1:]
		if m == nil || seen[m] {
			continue // built in, or named by an alias
		}
		seen[m] = true
		if err := m.read(c.t); err != nil {
			return err
		}
		c.kept = append(c.kept, m)
		todo = append(todo, m.info.Depends...)
		for _, soft := range m.info.Softdep {
			for _, w := range strings.Fields(soft) {
				todo = append(todo, modindex.ModuleName(w))
			}
		}
	}
	slices.SortFunc(c.kept, func(a, b *module) int { return strings.Compare(a.path, b.path) })
	return nil
}

// drivers are the modules that a kernel with all of them would ask for on a
// machine with these modaliases.
func (c *choice) drivers(aliases []string) (names []string, err error) {
	if len(aliases) == 0 {
		return nil, nil
	}
	every := make([]*module, 0, len(c.all))
	for _, name := range slices.Sorted(maps.Keys(c.all)) {
		m := c.all[name]
		if err := m.read(c.t); err != nil {
			return nil, err
		}
		every = append(every, m)
	}
	files, err := c.kernel.index(every)
	if err != nil {
		return nil, err
	}
	loadable, err := modindex.Parse(files["modules.alias.bin"])
	if err != nil {
		return nil, err
	}
	builtin, err := modindex.Parse(files["modules.builtin.alias.bin"])
	if err != nil {
		return nil, err
	}
	for _, alias := range aliases {
		hits := loadable.Search(alias)
		for _, h := range hits {
			names = append(names, modindex.ModuleName(h.Text))
		}
		if len(hits) > 0 || len(builtin.Search(alias)) > 0 {
			c.driven++
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
