package unit

import (
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"

	"hoopy/unit/schema"
)

// Config is what the files of one machine say.
type Config struct {
	Machine *Machine // never nil
	Units   []*Unit  // of etc/svc, by name; files with a mistake are left out
	Files   *Files   // that it was read from

	dir   string
	keys  []schema.Key // UnitKeys
	lines lines
	bad   map[string]bool // units that were left out for their mistakes
	top   *schema.Doc     // init.toml
}

// lines find where edges stand, for mistakes that only the graph can see: the
// file of each unit, by the unit's name.
type lines map[string]*schema.Doc

// edge is the line where unit says key = [… name …]; 0: unknown.
func (l lines) edge(unit, key, name string) int {
	doc := l[unit]
	if doc == nil {
		return 0
	}
	return doc.ElemLine(key, slices.Index(doc.List(key), name))
}

// Load is ReadFiles(fsys).Load(dir).
func Load(fsys fs.FS, dir string) (*Config, error) { return ReadFiles(fsys).Load(dir) }

// Load reads the files, which stand for the folder that mistakes and Unit.File
// call dir ("/etc", "root/etc").
//
// The error joins one *schema.Mistake for each mistake in any file. The Config
// is usable all the same, as the boot needs it: a bad file costs its unit
// alone; init.toml keeps its good keys and good links. Files that do not exist
// are no mistake. If init.toml does not exist, or is bad and leaves no link,
// the machine gets FallbackLink, so that it can be reached.
//
// Edges are not looked at: that is Config.Graph.
func (f *Files) Load(dir string) (*Config, error) {
	c := &Config{Machine: &Machine{}, Files: f, dir: dir, keys: UnitKeys(), lines: lines{}, bad: map[string]bool{}}
	var mistakes []*schema.Mistake
	add := func(err error) { mistakes = append(mistakes, schema.Mistakes(err)...) }
	machine, found := f.text[machineFile]
	switch why := f.unread[machineFile]; {
	case why != "":
		add(&schema.Mistake{File: path.Join(dir, machineFile), Text: why})
	case found:
		add(c.machine(path.Join(dir, machineFile), machine))
	}
	if len(c.Machine.Links) == 0 && (!found || len(mistakes) > 0) {
		c.Machine.Links = []LinkConfig{FallbackLink}
	}
	for _, name := range f.names() {
		switch folder, base := path.Split(name); {
		case name == machineFile:
		case f.unread[name] != "":
			add(&schema.Mistake{File: path.Join(dir, name), Text: f.unread[name]})
			c.bad[strings.TrimSuffix(base, ".toml")] = true
		case folder == serviceFolder && strings.HasSuffix(base, "@.toml"):
			add(c.template(name))
		default:
			add(c.add(name, f.text[name]))
		}
	}
	add(c.instances())
	sort.Slice(c.Units, func(i, j int) bool { return c.Units[i].Name < c.Units[j].Name })
	return c, schema.Join(mistakes)
}

// add takes one unit of the file called name.
func (c *Config) add(name, text string) error {
	folder, base := path.Split(name)
	called := strings.TrimSuffix(base, ".toml")
	u, doc, err := c.unit(called, path.Join(c.dir, name), text)
	if err != nil {
		c.bad[called] = true
		return err
	}
	u.Transient = folder == transientFolder
	if u.Transient {
		u.File = ""
	}
	c.Units, c.lines[called] = append(c.Units, u), doc
	return nil
}

// All is every unit of the machine: the built-in ones, then those of files, then
// those that only their names declare.
func (c *Config) All() []*Unit {
	units := append(append(Builtin(c.Machine), storageUnits(c.Machine)...), c.Units...)
	return append(units, referred(units)...)
}

// Graph is NewGraph of All, with mistakes that name lines. That a unit which
// Load left out is missing is no mistake of its own.
func (c *Config) Graph() (*Graph, error) { return newGraph(c.All(), c.lines, c.bad) }
