package unit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"

	"hoopy/unit/schema"
)

// fileMax bounds a configuration file, in bytes.
const fileMax = 1 << 20

// Config is what the files of one machine say.
type Config struct {
	Machine *Machine // never nil
	Units   []*Unit  // of etc/svc, by name; files with a mistake are left out
	Files   int      // how many files were read

	lines lines
	bad   map[string]bool // units that were left out for their mistakes
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

// Load reads init.toml and svc/*.toml of fsys, which stands for the folder
// that mistakes and Unit.File call dir ("/etc", "root/etc").
//
// The error joins one *schema.Mistake for each mistake in any file. The Config
// is usable all the same, as the boot needs it: a bad file costs its unit
// alone; init.toml keeps its good keys and good links. Files that do not exist
// are no mistake. If init.toml does not exist, or is bad and leaves no link,
// the machine gets FallbackLink, so that it can be reached.
//
// Edges are not looked at: that is Config.Graph.
func Load(fsys fs.FS, dir string) (*Config, error) {
	c := &Config{Machine: &Machine{}, lines: lines{}, bad: map[string]bool{}}
	var mistakes []*schema.Mistake
	text, err := read(fsys, "init.toml")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.Machine.Links = []LinkConfig{FallbackLink}
	case err != nil:
		mistakes = append(mistakes, &schema.Mistake{File: path.Join(dir, "init.toml"), Text: reason(err)})
	default:
		c.Files++
		err = c.machine(path.Join(dir, "init.toml"), text)
		mistakes = append(mistakes, schema.Mistakes(err)...)
	}
	if err != nil && len(c.Machine.Links) == 0 {
		c.Machine.Links = []LinkConfig{FallbackLink}
	}
	entries, err := fs.ReadDir(fsys, "svc")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		mistakes = append(mistakes, &schema.Mistake{File: path.Join(dir, "svc"), Text: reason(err)})
	}
	for _, e := range entries {
		name, isUnit := strings.CutSuffix(e.Name(), ".toml")
		if !isUnit || strings.HasPrefix(name, ".") {
			continue
		}
		c.Files++
		file := path.Join(dir, "svc", e.Name())
		text, err := read(fsys, path.Join("svc", e.Name()))
		if err != nil {
			mistakes = append(mistakes, &schema.Mistake{File: file, Text: reason(err)})
			c.bad[name] = true
			continue
		}
		u, err := c.unit(name, file, text)
		mistakes = append(mistakes, schema.Mistakes(err)...)
		if err == nil {
			c.Units = append(c.Units, u)
		} else {
			c.bad[name] = true
		}
	}
	sort.Slice(c.Units, func(i, j int) bool { return c.Units[i].Name < c.Units[j].Name })
	return c, schema.Join(mistakes)
}

// All is every unit of the machine: the built-in ones, then those of files.
func (c *Config) All() []*Unit { return append(Builtin(c.Machine), c.Units...) }

// Graph is NewGraph of All, with mistakes that name lines. That a unit which
// Load left out is missing is no mistake of its own.
func (c *Config) Graph() (*Graph, error) { return newGraph(c.All(), c.lines, c.bad) }

func read(fsys fs.FS, name string) (string, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", errors.New("is no regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, fileMax+1))
	if len(b) > fileMax {
		return "", fmt.Errorf("is larger than %d bytes", fileMax)
	}
	return string(b), err
}

// reason is err without the path, which the Mistake has already.
func reason(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}
