package modindex

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"
)

// Module is one module of the tree that Build indexes.
type Module struct {
	// Path is relative to /lib/modules/RELEASE, slash-separated, as the file
	// will be called in the image: "kernel/fs/ext4/ext4.ko". It may end in
	// .ko.gz and the like.
	Path string
	// Info is what Info gave for the (decompressed) file.
	Info *Modinfo
}

// ReadModule reads the module at path out of r.
func ReadModule(path string, r io.ReaderAt) (Module, error) {
	info, err := Info(r)
	if err != nil {
		return Module{}, fmt.Errorf("module %s: %w", path, err)
	}
	return Module{Path: path, Info: info}, nil
}

// Build makes the index of mods and returns the content of each file by name:
// modules.dep, modules.alias, modules.softdep, modules.devname, and
// modules.{dep,alias,builtin,builtin.alias}.bin.
//
// order, builtin and builtinModinfo are modules.order, modules.builtin and
// modules.builtin.modinfo as the kernel's build wrote them (nil is empty);
// names in order that are not among mods are skipped, modules that order does
// not name come last, by path. Who depends on whom is computed from symbols,
// as depmod does, and from .modinfo's depends= for modules without a symbol
// table.
//
// Errors name all modules at fault: two of one name, a dependency that is not
// among mods, a cycle.
func Build(mods []Module, order, builtin, builtinModinfo []byte) (map[string][]byte, error) {
	b, err := newBuilder(mods, string(order))
	if err != nil {
		return nil, err
	}
	inKernel := map[string]bool{}
	for line := range strings.Lines(string(builtin)) {
		inKernel[ModuleName(strings.TrimSpace(line))] = true
	}
	if err := b.link(inKernel); err != nil {
		return nil, err
	}
	dep, depBin := b.dep()
	alias, aliasBin := b.alias()
	builtinBin := &trie{}
	for _, name := range slices.Sorted(maps.Keys(inKernel)) {
		if name != "" {
			builtinBin.insert(name, "", 0)
		}
	}
	return map[string][]byte{
		"modules.dep":               []byte(dep),
		"modules.dep.bin":           depBin.bytes(),
		"modules.alias":             []byte(alias),
		"modules.alias.bin":         aliasBin.bytes(),
		"modules.builtin.bin":       builtinBin.bytes(),
		"modules.builtin.alias.bin": builtinAlias(builtinModinfo).bytes(),
		"modules.softdep":           []byte(b.softdep()),
		"modules.devname":           []byte(b.devname()),
	}, nil
}

// builder holds the modules in the order of modules.order; an index into mods
// is the module's priority.
type builder struct {
	mods   []*built
	byName map[string]*built
}

type built struct {
	Module
	name string
	deps []*built // direct, then sorted by rank
	rank int      // place in the topological order, users first
	idx  int
}

func newBuilder(mods []Module, order string) (*builder, error) {
	place := map[string]int{}
	for line := range strings.Lines(order) {
		place[uncompressed(strings.TrimSpace(line))] = len(place) - 1<<30
	}
	b := &builder{byName: map[string]*built{}}
	sorted := slices.SortedFunc(slices.Values(mods), func(x, y Module) int {
		return cmp.Or(cmp.Compare(place[uncompressed(x.Path)], place[uncompressed(y.Path)]),
			strings.Compare(x.Path, y.Path))
	})
	for i, m := range sorted {
		n := &built{Module: m, name: ModuleName(m.Path), idx: i}
		if twin := b.byName[n.name]; twin != nil {
			return nil, fmt.Errorf("modules %s and %s have one name", twin.Path, m.Path)
		}
		b.byName[n.name] = n
		b.mods = append(b.mods, n)
	}
	return b, nil
}

// uncompressed cuts what follows .ko.
func uncompressed(p string) string {
	if i := strings.LastIndex(p, ".ko."); i > strings.LastIndexByte(p, '/') {
		return p[:i+3]
	}
	return p
}

// link finds each module's direct dependencies and gives every module its rank.
func (b *builder) link(inKernel map[string]bool) error {
	owner := map[string]*built{}
	for _, m := range b.mods {
		for _, symbol := range m.Info.Exports {
			if owner[symbol] == nil {
				owner[symbol] = m
			}
		}
	}
	var missing []string
	for _, m := range b.mods {
		for _, symbol := range m.Info.Imports {
			if d := owner[symbol]; d != nil && d != m && !slices.Contains(m.deps, d) {
				m.deps = append(m.deps, d)
			}
		}
		for _, name := range m.Info.Depends {
			d := b.byName[name]
			switch {
			case d == nil && !inKernel[name]:
				missing = append(missing, fmt.Sprintf("%s needs %s", m.Path, name))
			case d != nil && d != m && !slices.Contains(m.deps, d) && len(m.Info.Imports) == 0:
				m.deps = append(m.deps, d)
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("modules missing: %s", strings.Join(missing, "; "))
	}
	return b.rank()
}

// rank sorts the modules topologically, users before what they use, taking
// them from a stack as depmod does so that the result is the same.
func (b *builder) rank() error {
	users := make([]int, len(b.mods))
	for _, m := range b.mods {
		for _, d := range m.deps {
			users[d.idx]++
		}
	}
	var roots []*built
	for _, m := range b.mods {
		if users[m.idx] == 0 {
			roots = append(roots, m)
		}
	}
	done := 0
	for ; len(roots) > 0; done++ {
		m := roots[len(roots)-1]
		roots = roots[:len(roots)-1]
		m.rank = done
		for _, d := range m.deps {
			if users[d.idx]--; users[d.idx] == 0 {
				roots = append(roots, d)
			}
		}
	}
	if done < len(b.mods) {
		var cycle []string
		for _, m := range b.mods {
			if users[m.idx] > 0 {
				cycle = append(cycle, m.name)
			}
		}
		return fmt.Errorf("modules need each other: %s", strings.Join(cycle, " "))
	}
	for _, m := range b.mods {
		sort.Slice(m.deps, func(i, j int) bool { return m.deps[i].rank < m.deps[j].rank })
	}
	return nil
}

// all gives everything that m needs, direct or not: loading it from right to
// left is safe.
func (m *built) all() []*built {
	var out []*built
	var fill func(*built)
	fill = func(m *built) {
		for _, d := range m.deps {
			if !slices.Contains(out, d) {
				out = append(out, d)
				fill(d)
			}
		}
	}
	fill(m)
	sort.Slice(out, func(i, j int) bool { return out[i].rank < out[j].rank })
	return out
}

func (b *builder) dep() (string, *trie) {
	var text strings.Builder
	bin := &trie{}
	for _, m := range b.mods {
		line := m.Path + ":"
		for _, d := range m.all() {
			line += " " + d.Path
		}
		text.WriteString(line + "\n")
		bin.insert(m.name, line, uint32(m.idx))
	}
	return text.String(), bin
}

func (b *builder) alias() (string, *trie) {
	var text strings.Builder
	bin := &trie{}
	text.WriteString("# Aliases extracted from modules themselves.\n")
	for _, m := range b.mods {
		for _, a := range m.Info.Alias {
			text.WriteString("alias " + a + " " + m.name + "\n")
			bin.insert(Normalize(a), m.name, uint32(m.idx))
		}
	}
	return text.String(), bin
}

// builtinAlias indexes the aliases of modules.builtin.modinfo.
func builtinAlias(modinfo []byte) *trie {
	bin := &trie{}
	for _, m := range Builtin(modinfo) {
		for _, a := range m.Alias {
			bin.insert(Normalize(a), m.Name, 0)
		}
	}
	return bin
}

func (b *builder) softdep() string {
	var text strings.Builder
	text.WriteString("# Soft dependencies extracted from modules themselves.\n")
	for _, m := range b.mods {
		for _, s := range m.Info.Softdep {
			text.WriteString("softdep " + m.name + " " + s + "\n")
		}
	}
	return text.String()
}

// devname lists the device nodes whose opening loads a module: the pair of an
// alias char-major-X-Y (or block-) and an alias devname:NAME.
func (b *builder) devname() string {
	var text strings.Builder
	for _, m := range b.mods {
		var name, kind string
		var major, minor uint
		for _, a := range m.Info.Alias {
			switch {
			case strings.HasPrefix(a, "devname:"):
				name = path.Clean(strings.TrimPrefix(a, "devname:"))
			case scanNode(a, "char-major-%d-%d", &major, &minor):
				kind = "c"
			case scanNode(a, "block-major-%d-%d", &major, &minor):
				kind = "b"
			}
		}
		if name != "" && kind != "" {
			if text.Len() == 0 {
				text.WriteString("# Device nodes to trigger on-demand module loading.\n")
			}
			fmt.Fprintf(&text, "%s %s %s%d:%d\n", m.name, name, kind, major, minor)
		}
	}
	return text.String()
}

func scanNode(alias, format string, major, minor *uint) bool {
	var a, b uint
	if n, err := fmt.Sscanf(alias, format, &a, &b); n != 2 || err != nil {
		return false
	}
	*major, *minor = a, b
	return true
}
