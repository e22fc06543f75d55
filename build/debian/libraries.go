package debian

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"hoopy/build/tree"
)

// librariesName is the package that holds every shared library.
const librariesName = "debian-glibc"

// libraries collects what the programs of the image need at run time: for every
// DT_NEEDED and PT_INTERP the file of that name, from the packages on which the
// package of the program depends (Debian's policy has them there, directly),
// and so on until nothing lacks.
//
// Paths stay those of the packages, lib/x86_64-linux-gnu and its kin, which
// Debian's loader searches without a cache; no merged /usr is needed.
type libraries struct {
	*archive
	tree    *tree.Tree
	version string          // of libc6
	have    map[string]bool // by file name
	needs   []need
	pool    map[string][]pooled // by file name, of the packages fetched so far
	fetched map[string]bool
}

type need struct {
	soname, by string
	depends    []string // Debian packages that may hold it
}

// pooled is a library, or a link to one, that may come to be needed.
type pooled struct {
	header  tar.Header
	content []byte
	depends []string
}

// own notes that the image has a file of this name already.
func (l *libraries) own(name string) {
	if strings.Contains(path.Base(name), ".so") {
		l.have[path.Base(name)] = true
	}
}

// scan notes what a file needs, and reports whether it is dynamically linked.
func (l *libraries) scan(name string, b []byte, depends []string) (bool, error) {
	if !bytes.HasPrefix(b, []byte(elf.ELFMAG)) {
		return false, nil
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return false, err
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return false, nil
	}
	sonames, err := f.ImportedLibraries()
	if err != nil {
		return false, err
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP && p.Filesz < 4096 {
			interp, err := io.ReadAll(p.Open())
			if err != nil {
				return false, err
			}
			sonames = append(sonames, path.Base(strings.TrimRight(string(interp), "\x00")))
		}
	}
	for _, s := range sonames {
		l.needs = append(l.needs, need{s, name, depends})
	}
	return len(sonames) > 0, nil
}

// close lays libraries until no need is left.
func (l *libraries) close(ctx context.Context) error {
	l.pool, l.fetched = map[string][]pooled{}, map[string]bool{}
	for {
		if err := l.layPooled(); err != nil {
			return err
		}
		if len(l.needs) == 0 {
			return nil
		}
		var names []string
		for _, n := range l.needs {
			for _, d := range n.depends {
				if isLibrary(d) && !l.fetched[d] {
					l.fetched[d] = true
					names = append(names, d)
				}
			}
		}
		if len(names) == 0 {
			n := l.needs[0]
			return fmt.Errorf("%s needs %s, which none of %v holds", n.by, n.soname, n.depends)
		}
		debs, err := l.fetch(ctx, names...)
		if err != nil {
			return err
		}
		for _, d := range debs {
			if err := l.fill(ctx, d); err != nil {
				return err
			}
		}
	}
}

func isLibrary(debName string) bool {
	return strings.HasPrefix(debName, "lib") || strings.HasPrefix(debName, "zlib")
}

// layPooled lays what is needed and there, and keeps the needs that are not.
func (l *libraries) layPooled() error {
	for i := 0; i < len(l.needs); {
		n := l.needs[i]
		files := l.pool[n.soname]
		if !l.have[n.soname] && len(files) == 0 {
			i++
			continue
		}
		l.needs = slices.Delete(l.needs, i, i+1)
		if l.have[n.soname] {
			continue
		}
		l.have[n.soname] = true
		for _, p := range files {
			_, err := lay(l.tree, &p.header, bytes.NewReader(p.content), nil, func(b []byte) (bool, error) {
				return l.scan(p.header.Name, b, p.depends)
			})
			if err != nil {
				return err
			}
			if p.header.Typeflag == tar.TypeSymlink {
				l.needs = append(l.needs, need{path.Base(p.header.Linkname), p.header.Name, p.depends})
			}
		}
		i = 0 // the needs may have grown
	}
	return nil
}

// fill reads a library package into the pool.
func (l *libraries) fill(ctx context.Context, d deb) error {
	c, err := d.control(ctx)
	if err != nil {
		return err
	}
	if d.Name == "libc6" {
		l.version = c.version
	}
	return d.walk(ctx, func(h *tar.Header, content io.Reader) error {
		dir, base := path.Split(h.Name)
		switch dir {
		case "lib/x86_64-linux-gnu/", "usr/lib/x86_64-linux-gnu/", "lib64/":
		default:
			return nil
		}
		if !strings.Contains(base, ".so") || (h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeSymlink) {
			return nil
		}
		b, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		l.pool[base] = append(l.pool[base], pooled{*h, b, c.depends})
		return nil
	})
}
