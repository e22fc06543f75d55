// Package modules chooses the kernel modules of an image, unpacks them and
// writes their index.
//
// Alpine stores modules compressed one by one; an initramfs is compressed as a
// whole, which is smaller, and lets /init hand plain files to finit_module(2).
// So every module that stays is unpacked here, and because the names change,
// and other packages (zfs-lts) bring modules of their own, the index is made
// anew for exactly the modules of the final tree.
package modules

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"hoopy/build/tree"
	"hoopy/devices/modindex"
)

// Source is the Source of the entries that Apply lays.
const Source = "module index"

// maxModule bounds one unpacked module; the largest of Linux 6.1 has 18 MB.
const maxModule = 256 << 20

// Policy says which modules stay.
type Policy struct {
	// All keeps every module; Patterns does not count then.
	All bool
	// Patterns are shell patterns of module names, where '-' and '_' are one,
	// folders below kernel/ that end in '/', or names of Sets after '@'.
	Patterns []string
	// Hardware are modaliases as sysfs gives them: the modules that the kernel
	// would ask for on that machine stay as well.
	Hardware []string
}

// Result is what Apply did.
type Result struct {
	// Release is the kernel's, as uname -r says it; empty: there are no modules.
	Release string
	// Kept and Total count modules, Size is the bytes of those kept.
	Kept, Total int
	Size        int64
	// Unmatched are the patterns that named no module, nor one that is built
	// into the kernel: misspelt, or of another kernel.
	Unmatched []string
	// Firmware are the files below lib/firmware that the kept modules, and the
	// kernel itself, may ask for: names or patterns, sorted.
	Firmware []string
	// Driven counts the modaliases of Policy.Hardware that a module, or the
	// kernel itself, answers.
	Driven int
}

type module struct {
	name  string // as the kernel calls it
	path  string // below lib/modules/RELEASE, unpacked name
	entry *tree.Entry
	info  *modindex.Modinfo // nil until it is read
	size  int64
}

// Apply keeps in t what the policy names and what that depends on, unpacks it
// and writes the index. t may hold modules of one kernel release only.
func Apply(t *tree.Tree, p Policy) (Result, error) {
	dir, err := releaseDir(t)
	if err != nil || dir == nil {
		return Result{}, err
	}
	r := Result{Release: path.Base(dir.Path)}
	all, err := find(t, dir.Path)
	if err != nil {
		return r, err
	}
	r.Total = len(all)
	k, err := kernelLists(t, dir.Path)
	if err != nil {
		return r, fmt.Errorf("modules: %w", err)
	}
	c := choice{t: t, all: all, kernel: k}
	if err := c.choose(p); err != nil {
		return r, err
	}
	kept := c.kept
	r.Kept, r.Driven = len(kept), c.driven
	r.Unmatched = k.notBuiltin(c.unmatched)
	r.Firmware = firmwareOf(kept, k)
	files, err := k.index(kept)
	if err != nil {
		return r, err
	}
	if err := lay(t, dir, kept, all, files); err != nil {
		return r, fmt.Errorf("modules: %w", err)
	}
	for _, m := range kept {
		r.Size += m.size
	}
	return r, nil
}

// releaseDir is lib/modules/RELEASE, or nil where there are no modules.
func releaseDir(t *tree.Tree) (*tree.Entry, error) {
	dirs, err := t.ReadDir("lib/modules")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("modules: %w", err)
	}
	dirs = slices.DeleteFunc(dirs, func(e *tree.Entry) bool { return !e.Mode.IsDir() })
	if len(dirs) > 1 {
		return nil, fmt.Errorf("modules: of two kernels, %s (%s) and %s (%s); an image boots one",
			path.Base(dirs[0].Path), dirs[0].Source, path.Base(dirs[1].Path), dirs[1].Source)
	}
	if len(dirs) == 0 {
		return nil, nil
	}
	return dirs[0], nil
}

// find lists the modules below dir by name.
func find(t *tree.Tree, dir string) (map[string]*module, error) {
	all := map[string]*module{}
	for e := range t.Walk() {
		rel, below := strings.CutPrefix(e.Path, dir+"/")
		stem, ok := plainName(rel)
		if !below || !ok || !e.Mode.IsRegular() {
			continue
		}
		m := &module{name: modindex.ModuleName(stem), path: stem, entry: e}
		if twin := all[m.name]; twin != nil {
			return nil, fmt.Errorf("module %s: laid twice, %s (%s) and %s (%s)", m.name,
				twin.path, twin.entry.Source, m.path, e.Source)
		}
		all[m.name] = m
	}
	return all, nil
}

// plainName cuts the compression off a module's file name.
func plainName(name string) (string, bool) {
	for _, packed := range []string{".gz", ".xz", ".zst"} {
		if stem, ok := strings.CutSuffix(name, ".ko"+packed); ok {
			return stem + ".ko", true
		}
	}
	return name, strings.HasSuffix(name, ".ko")
}

func match(all map[string]*module, pattern string) (hits []string) {
	folder, isFolder := strings.CutSuffix(pattern, "/")
	name := modindex.Normalize(pattern)
	for n, m := range all {
		if isFolder && strings.HasPrefix(m.path, "kernel/"+folder+"/") || !isFolder && modindex.Match(name, n) {
			hits = append(hits, n)
		}
	}
	slices.Sort(hits)
	return hits
}

// read unpacks the module once, for its facts and its size.
func (m *module) read(t *tree.Tree) error {
	if m.info != nil {
		return nil
	}
	err := m.readInfo(t)
	if err != nil {
		return fmt.Errorf("module %s (%s): %w", m.path, m.entry.Source, err)
	}
	return nil
}

func (m *module) readInfo(t *tree.Tree) error {
	r, err := unpacked(t, m.entry)()
	if err != nil {
		return err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err == nil && len(data) > maxModule {
		err = fmt.Errorf("unpacks to more than %d MB", maxModule>>20)
	}
	if err != nil {
		return err
	}
	m.size = int64(len(data))
	m.info, err = modindex.Info(bytes.NewReader(data))
	return err
}

// unpacked opens the plain content of a module's entry.
func unpacked(t *tree.Tree, e *tree.Entry) func() (io.ReadCloser, error) {
	packed := *e
	return func() (io.ReadCloser, error) {
		r, err := t.Content(&packed)
		if err != nil {
			return nil, err
		}
		switch path.Ext(packed.Path) {
		case ".gz":
			return chain(r)(gzip.NewReader(r))
		case ".xz":
			x, err := xz.NewReader(r)
			return chain(r)(io.NopCloser(x), err)
		case ".zst":
			z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
			if err != nil {
				return nil, errors.Join(err, r.Close())
			}
			return both{z.IOReadCloser(), r}, nil
		}
		return r, nil
	}
}

// both reads the one and closes the other with it.
type both struct {
	io.ReadCloser
	below io.Closer
}

func (b both) Close() error { return errors.Join(b.ReadCloser.Close(), b.below.Close()) }

func chain(below io.Closer) func(r io.ReadCloser, err error) (io.ReadCloser, error) {
	return func(r io.ReadCloser, err error) (io.ReadCloser, error) {
		if err != nil {
			return nil, errors.Join(err, below.Close())
		}
		return both{r, below}, nil
	}
}
