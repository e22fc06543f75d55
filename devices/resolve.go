package devices

import (
	"slices"
	"strings"

	"hoopy/devices/modindex"
)

// target is what a name stands for.
type target struct {
	modules []string
	alias   bool // found by an alias, not by the module's name
	builtin bool
}

// resolve looks name up in kmod's order: modprobe.d, modules by name, aliases,
// built-in modules by name, then by alias. So "crc32", built in, loads the
// faster ones that have it as an alias.
func (l *Loader) resolve(name string) target {
	if modules := l.conf.alias(name); len(modules) > 0 {
		return target{modules: modules, alias: true}
	}
	module := strings.ReplaceAll(name, "-", "_")
	if _, ok := l.dep.Get(module); ok {
		return target{modules: []string{module}}
	}
	if modules := texts(l.alias.Search(name)); len(modules) > 0 {
		return target{modules: modules, alias: true}
	}
	if _, ok := l.builtin.Get(module); ok {
		return target{modules: []string{module}, builtin: true}
	}
	if modules := texts(l.builtinName.Search(name)); len(modules) > 0 {
		return target{modules: modules, alias: true, builtin: true}
	}
	return target{}
}

func texts(values []modindex.Value) (out []string) {
	for _, v := range values {
		if !slices.Contains(out, v.Text) {
			out = append(out, v.Text)
		}
	}
	return out
}
