package modules

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"hoopy/build/tree"
	"hoopy/devices/modindex"
)

// lists are what the kernel's build wrote beside its modules; nil where it did
// not.
type lists struct{ order, builtin, modinfo []byte }

func kernelLists(t *tree.Tree, dir string) (k lists, err error) {
	for name, to := range map[string]*[]byte{"modules.order": &k.order, "modules.builtin": &k.builtin, "modules.builtin.modinfo": &k.modinfo} {
		*to, err = t.ReadFile(path.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return k, err
		}
	}
	return k, nil
}

// index makes the index files of these modules.
func (k lists) index(mods []*module) (map[string][]byte, error) {
	out := make([]modindex.Module, len(mods))
	for i, m := range mods {
		out[i] = modindex.Module{Path: m.path, Info: m.info}
	}
	return modindex.Build(out, k.order, k.builtin, k.modinfo)
}

// notBuiltin leaves the patterns that match no line of modules.builtin.
func (k lists) notBuiltin(patterns []string) (left []string) {
	builtin := map[string]*module{}
	for line := range strings.Lines(string(k.builtin)) {
		line = strings.TrimSpace(line)
		builtin[modindex.ModuleName(line)] = &module{path: line}
	}
	for _, p := range patterns {
		if len(match(builtin, p)) == 0 {
			left = append(left, p)
		}
	}
	return left
}

// lay replaces the packages' modules and index by ours. The index carries the
// MTime of the release's folder.
func lay(t *tree.Tree, dir *tree.Entry, kept []*module, all map[string]*module, files map[string][]byte) error {
	stays := map[*tree.Entry]bool{}
	for _, m := range kept {
		e := m.entry
		stays[e] = e.Path == path.Join(dir.Path, m.path)
		if stays[e] {
			continue
		}
		plain := &tree.Entry{
			Path: path.Join(dir.Path, m.path), Mode: 0o644, UID: e.UID, GID: e.GID,
			MTime: e.MTime, Size: m.size, Open: unpacked(t, e), Source: e.Source,
		}
		if err := t.Add(plain); err != nil {
			return err
		}
	}
	for _, m := range all {
		if !stays[m.entry] {
			if err := t.Remove(m.entry.Path); err != nil {
				return err
			}
		}
	}
	if err := tidy(t, dir.Path); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		e := &tree.Entry{
			Path: path.Join(dir.Path, name), Mode: 0o644, MTime: dir.MTime,
			Size: int64(len(files[name])), Open: tree.Bytes(files[name]), Source: Source,
		}
		if err := t.Add(e); err != nil {
			return err
		}
	}
	return nil
}

// tidy takes out the packages' own lists, the links to a kernel source that
// nobody has, and folders that became empty.
func tidy(t *tree.Tree, dir string) error {
	var gone []string
	kids := map[string]int{}
	for e := range t.Walk() {
		rel, below := strings.CutPrefix(e.Path, dir+"/")
		switch {
		case !below:
		case strings.HasPrefix(rel, "modules."), rel == "build", rel == "source":
			gone = append(gone, e.Path)
		default:
			kids[path.Dir(e.Path)]++
			if e.Mode.IsDir() {
				gone = append(gone, e.Path)
			}
		}
	}
	for _, name := range slices.Backward(gone) {
		e, _ := t.Get(name)
		if e.Mode.IsDir() {
			if kids[name] > 0 {
				continue
			}
			kids[path.Dir(name)]--
		}
		if err := t.Remove(name); err != nil {
			return err
		}
	}
	return nil
}
