package unit

import (
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

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
	names := f.names()
	for i, r := range c.parse(names) {
		switch folder, base := path.Split(names[i]); {
		case names[i] == machineFile:
		case f.unread[names[i]] != "":
			add(&schema.Mistake{File: path.Join(dir, names[i]), Text: f.unread[names[i]]})
			c.bad[strings.TrimSuffix(base, ".toml")] = true
		case r.err != nil:
			add(r.err)
			c.bad[strings.TrimSuffix(base, ".toml")] = true
		case !isTemplate(names[i]):
			if r.unit.Transient = folder == transientFolder; r.unit.Transient {
				r.unit.File = ""
			}
			c.Units, c.lines[r.unit.Name] = append(c.Units, r.unit), r.doc
		}
	}
	add(c.instances())
	sort.Slice(c.Units, func(i, j int) bool { return c.Units[i].Name < c.Units[j].Name })
	return c, schema.Join(mistakes)
}

// parsed is what one file says; doc and unit are there unless err is.
type parsed struct {
	unit *Unit
	doc  *schema.Doc
	err  error
}

// parse reads the units of files, on all processors if there are many: nine
// tenths of a load are spent here. The answers are in the order of names.
func (c *Config) parse(names []string) []parsed {
	all := make([]parsed, len(names))
	var next atomic.Int32
	work := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(names) {
				return
			}
			all[i] = c.file(names[i])
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0)-1, len(names)/filesEach) {
		others.Go(work)
	}
	work()
	others.Wait()
	return all
}

// filesEach is how many files are worth a goroutine.
const filesEach = 16

// file reads one file, of a template an instance that nobody starts. What panics
// over it costs its unit alone.
func (c *Config) file(name string) (r parsed) {
	file := path.Join(c.dir, name)
	defer func() {
		if v := recover(); v != nil {
			r = parsed{err: &schema.Mistake{File: file, Text: fmt.Sprintf("the reader stumbled: %v", v)}}
		}
	}()
	text, found := c.Files.text[name]
	if name == machineFile || !found {
		return r
	}
	called := strings.TrimSuffix(path.Base(name), ".toml")
	if isTemplate(name) {
		called, text = called+"x", instanceText(text, "x")
	}
	r.unit, r.doc, r.err = c.unit(called, file, text)
	return r
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
