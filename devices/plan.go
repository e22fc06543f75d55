package devices

import (
	"path/filepath"
	"slices"
	"strings"

	"hoopy/devices/modindex"
)

// step is one module of a plan.
type step struct {
	name    string
	path    string // absolute; empty if builtin
	params  string
	builtin bool
}

// plan lists what must be loaded for module, in order: its dependencies from
// the last to the first (the order of modules.dep), each preceded and followed
// by its soft dependencies, then module. A flat list keeps callers from
// waiting for each other in a circle: every step waits only for the kernel.
// The plan is empty if the index does not know module.
//
// Parameters are those of modprobe.d and the command line for the module and
// for the alias it was asked by, then params.
func (l *Loader) plan(module, alias string, params []string) []step {
	p := planning{l: l, seen: map[string]bool{}}
	p.add(module)
	for i := range p.steps {
		s := &p.steps[i]
		words := slices.Clone(l.conf.options[s.name])
		if s.name == module {
			if name := strings.ReplaceAll(alias, "-", "_"); name != module {
				words = append(words, l.conf.options[name]...)
			}
			words = append(words, params...)
		}
		s.params = strings.Join(words, " ")
	}
	return p.steps
}

type planning struct {
	l     *Loader
	seen  map[string]bool
	steps []step
}

// add appends module and all it needs, unless it is in the plan already.
func (p *planning) add(module string) {
	if p.seen[module] {
		return
	}
	line, ok := p.l.dep.Get(module)
	if !ok {
		if _, ok := p.l.builtin.Get(module); ok {
			p.seen[module] = true
			p.steps = append(p.steps, step{name: module, builtin: true})
		}
		return
	}
	path, needs, _ := strings.Cut(line, ":")
	deps := strings.Fields(needs)
	for _, dep := range slices.Backward(deps) {
		p.one(modindex.ModuleName(dep), dep)
	}
	p.one(module, path)
}

// one appends a module whose dependencies are in the plan, between its soft
// dependencies.
func (p *planning) one(module, path string) {
	if p.seen[module] || p.l.conf.denied[module] {
		return
	}
	p.seen[module] = true
	soft := p.l.conf.soft[module]
	p.soft(soft.pre)
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.l.dir, path)
	}
	p.steps = append(p.steps, step{name: module, path: path})
	p.soft(soft.post)
}

// soft appends modules by name or alias; unknown ones are normal.
func (p *planning) soft(names []string) {
	for _, name := range names {
		for _, module := range p.l.resolve(name).modules {
			p.add(module)
		}
	}
}
