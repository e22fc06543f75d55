package modules

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"hoopy/build/tree"
	"hoopy/devices/modindex"
)

// firmwareOf collects what modules and the kernel itself may ask for.
func firmwareOf(kept []*module, k lists) (names []string) {
	for _, m := range kept {
		names = append(names, m.info.Firmware...)
	}
	for _, m := range modindex.Builtin(k.modinfo) {
		names = append(names, m.Firmware...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Firmware is what ApplyFirmware did.
type Firmware struct {
	// Kept and Total count files, Size is the bytes of those kept.
	Kept, Total int
	Size        int64
	// Missing are the names that no file answers, sorted.
	Missing []string
}

// firmwareDirs are where packages put it; the kernel looks in lib/firmware.
var firmwareDirs = []string{"lib/firmware", "usr/lib/firmware"}

// ApplyFirmware keeps in t the firmware that names (of Result.Firmware) and
// required ask for, plain or compressed as the kernel takes it (.xz, .zst), and
// what links among it lead to; all keeps the rest as well. That nothing answers
// one of required is an error.
func ApplyFirmware(t *tree.Tree, names, required []string, all bool) (Firmware, error) {
	var r Firmware
	files, err := firmwareFiles(t)
	if err != nil {
		return r, fmt.Errorf("firmware: %w", err)
	}
	r.Total = len(files)
	stays := map[string]bool{}
	asked := func(patterns []string) (missing []string) {
		for _, p := range patterns {
			hits := matchFirmware(files, p)
			if len(hits) == 0 {
				missing = append(missing, p)
			}
			for _, h := range hits {
				stays[h] = true
			}
		}
		return missing
	}
	r.Missing = asked(names)
	if missing := asked(required); len(missing) > 0 {
		return r, fmt.Errorf("firmware: %s is required, and no package of the list brings it; add the linux-firmware package that does", strings.Join(missing, ", "))
	}
	for name := range files {
		if all {
			stays[name] = true
		}
	}
	followLinks(t, files, stays)
	for name, e := range files {
		if !stays[name] {
			if err := t.Remove(e.Path); err != nil {
				return r, fmt.Errorf("firmware: %w", err)
			}
			continue
		}
		r.Kept++
		r.Size += e.Size
	}
	return r, tidyFirmware(t)
}

// firmwareFiles lists files and links below the folders, by the name that the
// kernel asks for.
func firmwareFiles(t *tree.Tree) (map[string]*tree.Entry, error) {
	files := map[string]*tree.Entry{}
	for e := range t.Walk() {
		for _, dir := range firmwareDirs {
			if name, ok := strings.CutPrefix(e.Path, dir+"/"); ok && !e.Mode.IsDir() {
				if twin := files[name]; twin != nil {
					return nil, fmt.Errorf("%s: laid twice, %s (%s) and %s (%s)", name, twin.Path, twin.Source, e.Path, e.Source)
				}
				files[name] = e
			}
		}
	}
	return files, nil
}

// matchFirmware gives the files that answer a name, in which * may stand for
// anything.
func matchFirmware(files map[string]*tree.Entry, pattern string) (hits []string) {
	if !strings.ContainsAny(pattern, "*?[") {
		for _, packed := range []string{"", ".zst", ".xz"} {
			if files[pattern+packed] != nil {
				hits = append(hits, pattern+packed)
			}
		}
		return hits
	}
	for name := range files {
		plain := strings.TrimSuffix(strings.TrimSuffix(name, ".zst"), ".xz")
		if modindex.Match(pattern, plain) {
			hits = append(hits, name)
		}
	}
	return hits
}

// followLinks adds what the links among stays lead to.
func followLinks(t *tree.Tree, files map[string]*tree.Entry, stays map[string]bool) {
	byPath := map[string]string{}
	for name, e := range files {
		byPath[e.Path] = name
	}
	var todo []string
	for name := range stays {
		todo = append(todo, name)
	}
	add := func(at string) {
		if name, ok := byPath[at]; ok && !stays[name] {
			stays[name] = true
			todo = append(todo, name)
		}
	}
	for len(todo) > 0 {
		e := files[todo[0]]
		todo = todo[1:]
		if e.Hard != "" {
			add(e.Hard)
		}
		if e.Mode&fs.ModeSymlink == 0 {
			continue
		}
		to := e.Link
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(e.Path), to)
		}
		add(tree.Clean(to)) // a link to a link
		if end, err := t.Stat(e.Path); err == nil {
			add(end.Path)
		}
	}
}

// tidyFirmware takes out folders that became empty.
func tidyFirmware(t *tree.Tree) error {
	for _, top := range firmwareDirs {
		var dirs []string
		for e := range t.Walk() {
			if e.Mode.IsDir() && strings.HasPrefix(e.Path+"/", top+"/") {
				dirs = append(dirs, e.Path)
			}
		}
		for _, dir := range slices.Backward(dirs) {
			if err := t.Remove(dir); err != nil && !errors.Is(err, tree.ErrNotEmpty) {
				return fmt.Errorf("firmware: %w", err)
			}
		}
	}
	return nil
}
