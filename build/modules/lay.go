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

// index makes the index files of the kept modules.
func index(t *tree.Tree, dir string, kept []*module) (map[string][]byte, error) {
	var lists [3][]byte
	for i, name := range []string{"modules.order", "modules.builtin", "modules.builtin.modinfo"} {
		data, err := t.ReadFile(path.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		lists[i] = data
	}
	mods := make([]modindex.Module, len(kept))
	for i, m := range kept {
		mods[i] = modindex.Module{Path: m.path, Info: m.info}
	}
	return modindex.Build(mods, lists[0], lists[1], lists[2])
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
