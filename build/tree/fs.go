package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
)

// maxLinks is how many symbolic links one name may pass through, as in Linux.
const maxLinks = 40

// Sentinel errors. What a name lacks is fs.ErrNotExist and fs.ErrExist.
var (
	ErrLoop     = errors.New("too many symbolic links")
	ErrNotDir   = errors.New("not a directory")
	ErrIsDir    = errors.New("is a directory")
	ErrNotEmpty = errors.New("directory is not empty")
	ErrNotFile  = errors.New("not a regular file")
)

// node is one place in the tree: an entry and, for a directory, what is in it.
type node struct {
	entry  *Entry
	parent *node
	kids   map[string]*node
}

// Tree is the file tree of an image. It is not safe for concurrent writers.
type Tree struct {
	root *node
	// hard lists, by the path of a first name, the other names of its file.
	hard map[string][]*node
	n    int
}

// New returns a tree that holds only its root, mode 0755, owned by 0:0.
func New() *Tree {
	return &Tree{
		root: &node{
			entry: &Entry{Path: ".", Mode: fs.ModeDir | 0o755},
			kids:  map[string]*node{},
		},
		hard: map[string][]*node{},
	}
}

// Len counts the entries below the root.
func (t *Tree) Len() int { return t.n }

// Clean brings a name to the form of Entry.Path: relative to the root, without
// "." and "..". A ".." never climbs above the root, as in a chroot.
func Clean(name string) string {
	c := path.Clean("/" + name)
	if c == "/" {
		return "."
	}
	return c[1:]
}

// find walks to name. Links in the parents are followed inside the tree; the
// last one only if follow is set. It returns the directory that holds the last
// component, that component, and the node if it exists.
func (t *Tree) find(name string, follow bool) (dir *node, base string, n *node, err error) {
	rest := strings.Split(name, "/")
	cur := t.root
	links := 0
	dir, base = t.root, "."
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if cur.parent != nil {
				cur = cur.parent
			}
			dir, base = cur.parent, path.Base(cur.entry.Path)
			if dir == nil {
				dir, base = t.root, "."
			}
			continue
		}
		if !cur.entry.Mode.IsDir() {
			return nil, "", nil, ErrNotDir
		}
		last := true
		for _, r := range rest {
			if r != "" && r != "." {
				last = false
				break
			}
		}
		next := cur.kids[part]
		if next == nil {
			if !last {
				return nil, "", nil, fs.ErrNotExist
			}
			return cur, part, nil, nil
		}
		if next.entry.Mode&fs.ModeSymlink != 0 && (follow || !last) {
			if links++; links > maxLinks {
				return nil, "", nil, ErrLoop
			}
			target := next.entry.Link
			if strings.HasPrefix(target, "/") {
				cur = t.root
				dir, base = t.root, "."
			}
			rest = append(strings.Split(target, "/"), rest...)
			continue
		}
		dir, base, cur = cur, part, next
	}
	return dir, base, cur, nil
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// Lstat returns the entry called name. Links among its parents are followed
// inside the tree, a link in the last place is returned itself. The error is a
// *fs.PathError; fs.ErrNotExist when there is none.
func (t *Tree) Lstat(name string) (*Entry, error) { return t.stat("lstat", name, false) }

// Stat is Lstat that follows a link in the last place too.
func (t *Tree) Stat(name string) (*Entry, error) { return t.stat("stat", name, true) }

func (t *Tree) stat(op, name string, follow bool) (*Entry, error) {
	_, _, n, err := t.find(name, follow)
	if err != nil {
		return nil, pathError(op, name, err)
	}
	if n == nil {
		return nil, pathError(op, name, fs.ErrNotExist)
	}
	return n.entry, nil
}

// Get is Lstat for callers that need no reason.
func (t *Tree) Get(name string) (*Entry, bool) {
	e, err := t.Lstat(name)
	return e, err == nil
}

// Add lays an entry. Its parents must be there; links among them are followed
// inside the tree and e.Path becomes the name that results. What the name held
// is replaced, as rename(2) would: a directory keeps its contents under a new
// directory entry and is never replaced by anything else unless it is empty; a
// non-directory is never replaced by a directory.
//
// The tree keeps e; the caller may go on to change its Mode, owner and MTime,
// not its Path, type or Hard.
func (t *Tree) Add(e *Entry) error {
	dir, base, old, err := t.find(e.Path, false)
	if err != nil {
		return pathError("add", e.Path, err)
	}
	if !dir.entry.Mode.IsDir() {
		return pathError("add", e.Path, ErrNotDir)
	}
	if old == t.root {
		if !e.Mode.IsDir() {
			return pathError("add", e.Path, ErrIsDir)
		}
		e.Path = "."
		t.root.entry = e
		return nil
	}
	if e.Hard != "" {
		first, err := t.Lstat(e.Hard)
		if err != nil {
			return pathError("link", e.Path, fmt.Errorf("first name %q: %w", e.Hard, fs.ErrNotExist))
		}
		if !first.Mode.IsRegular() {
			return pathError("link", e.Path, fmt.Errorf("first name %q: %w", e.Hard, ErrNotFile))
		}
		e.Hard = first.Path
		if first.Hard != "" {
			e.Hard = first.Hard
		}
	}
	e.Path = path.Join(dir.entry.Path, base)
	if e.Hard == e.Path {
		return pathError("link", e.Path, fs.ErrExist)
	}
	if old != nil {
		switch {
		case old.entry.Mode.IsDir() && e.Mode.IsDir():
			old.entry = e
			return nil
		case e.Mode.IsDir():
			return pathError("add", e.Path, ErrNotDir)
		case old.entry.Mode.IsDir() && len(old.kids) > 0:
			return pathError("add", e.Path, ErrNotEmpty)
		}
		t.drop(dir, base, old)
	}
	n := &node{entry: e, parent: dir}
	if e.Mode.IsDir() {
		n.kids = map[string]*node{}
	}
	if dir.kids == nil {
		dir.kids = map[string]*node{}
	}
	dir.kids[base] = n
	t.n++
	if e.Hard != "" {
		t.hard[e.Hard] = append(t.hard[e.Hard], n)
	}
	return nil
}

// drop takes a node out. When it was the first name of a file, the next name
// becomes the first and takes over the content.
func (t *Tree) drop(dir *node, base string, n *node) {
	delete(dir.kids, base)
	t.n--
	if first := n.entry.Hard; first != "" {
		t.hard[first] = slices.DeleteFunc(t.hard[first], func(o *node) bool { return o == n })
		if len(t.hard[first]) == 0 {
			delete(t.hard, first)
		}
		return
	}
	others := t.hard[n.entry.Path]
	if len(others) == 0 {
		return
	}
	delete(t.hard, n.entry.Path)
	heir := others[0].entry
	heir.Hard, heir.Size, heir.Open = "", n.entry.Size, n.entry.Open
	for _, o := range others[1:] {
		o.entry.Hard = heir.Path
	}
	if len(others) > 1 {
		t.hard[heir.Path] = others[1:]
	}
}

// Remove takes out one entry; a directory must be empty. Other names of a hard
// linked file keep the content.
func (t *Tree) Remove(name string) error {
	dir, base, n, err := t.find(name, false)
	switch {
	case err != nil:
		return pathError("remove", name, err)
	case n == nil:
		return pathError("remove", name, fs.ErrNotExist)
	case n == t.root:
		return pathError("remove", name, fs.ErrInvalid)
	case len(n.kids) > 0:
		return pathError("remove", name, ErrNotEmpty)
	}
	t.drop(dir, base, n)
	return nil
}

// RemoveAll takes out an entry and what is below it. That it is not there is
// no error.
func (t *Tree) RemoveAll(name string) error {
	dir, base, n, err := t.find(name, false)
	if err != nil || n == nil {
		return nil
	}
	if n == t.root {
		return pathError("remove", name, fs.ErrInvalid)
	}
	t.dropAll(dir, base, n)
	return nil
}

func (t *Tree) dropAll(dir *node, base string, n *node) {
	for name, kid := range n.kids {
		t.dropAll(n, name, kid)
	}
	t.drop(dir, base, n)
}

// Walk yields every entry, the root "." first, then sorted bytewise by Path, so
// that parents come before children. The first name of a hard link may come
// after the others. The tree must not gain or lose entries meanwhile.
func (t *Tree) Walk() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		all := make([]*Entry, 0, t.n)
		var collect func(n *node)
		collect = func(n *node) {
			for _, kid := range n.kids {
				all = append(all, kid.entry)
				collect(kid)
			}
		}
		collect(t.root)
		slices.SortFunc(all, func(a, b *Entry) int { return strings.Compare(a.Path, b.Path) })
		if !yield(t.root.entry) {
			return
		}
		for _, e := range all {
			if !yield(e) {
				return
			}
		}
	}
}

// ReadDir lists a directory, sorted by name. Links are followed.
func (t *Tree) ReadDir(name string) ([]*Entry, error) {
	_, _, n, err := t.find(name, true)
	switch {
	case err != nil:
		return nil, pathError("readdir", name, err)
	case n == nil:
		return nil, pathError("readdir", name, fs.ErrNotExist)
	case !n.entry.Mode.IsDir():
		return nil, pathError("readdir", name, ErrNotDir)
	}
	out := make([]*Entry, 0, len(n.kids))
	for _, kid := range n.kids {
		out = append(out, kid.entry)
	}
	slices.SortFunc(out, func(a, b *Entry) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// Content opens what a regular file of the tree holds, also through one of the
// other names of a hard link.
func (t *Tree) Content(e *Entry) (io.ReadCloser, error) {
	if e.Hard != "" {
		first, err := t.Lstat(e.Hard)
		if err != nil {
			return nil, err
		}
		e = first
	}
	if !e.Mode.IsRegular() {
		return nil, pathError("open", e.Path, ErrNotFile)
	}
	if e.Open == nil {
		return io.NopCloser(strings.NewReader("")), nil
	}
	return e.Open()
}
