package tree

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
)

// maxRead bounds ReadFile: what the build reads whole is small.
const maxRead = 256 << 20

// ErrTooBig says that a file is larger than what is read whole.
var ErrTooBig = errors.New("larger than 256 MiB")

// Bytes is an Open for content held in memory. data must not change afterwards.
func Bytes(data []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

// ReadFile returns what the file called name holds; links are followed inside
// the tree.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	e, err := t.Stat(name)
	if err != nil {
		return nil, err
	}
	r, err := t.Content(e)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, maxRead+1))
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err == nil && len(data) > maxRead {
		err = ErrTooBig
	}
	if err != nil {
		return nil, pathError("read", name, err)
	}
	return data, nil
}

// WriteFile lays a file with the given content and returns its entry, whose
// Source the caller may set. A file that is there keeps its mode, owner and
// MTime; a new one has perm, owner 0:0 and MTime 0. Links are followed inside
// the tree. Other names of a hard linked file keep the old content.
func (t *Tree) WriteFile(name string, data []byte, perm fs.FileMode) (*Entry, error) {
	dir, base, old, err := t.find(name, true)
	if err != nil {
		return nil, pathError("write", name, err)
	}
	e := &Entry{Mode: perm &^ fs.ModeType, Path: path.Join(dir.entry.Path, base)}
	if old != nil {
		if !old.entry.Mode.IsRegular() {
			return nil, pathError("write", name, ErrNotFile)
		}
		*e = *old.entry
		e.Hard = ""
	}
	e.Size = int64(len(data))
	e.Open = nil
	if len(data) > 0 {
		e.Open = Bytes(data)
	}
	return e, t.Add(e)
}

// MkdirAll makes a directory and those above it that lack, with perm and owner
// 0:0. A link to a directory is as good as a directory.
func (t *Tree) MkdirAll(name string, perm fs.FileMode) error {
	at := ""
	for _, part := range strings.Split(Clean(name), "/") {
		at = path.Join(at, part)
		e, err := t.Stat(at)
		switch {
		case err == nil && e.Mode.IsDir():
		case err == nil:
			return pathError("mkdir", name, ErrNotDir)
		case errors.Is(err, fs.ErrNotExist):
			if err := t.Add(&Entry{Path: at, Mode: fs.ModeDir | perm}); err != nil {
				return err
			}
		default:
			return err
		}
	}
	return nil
}

// Symlink lays a symbolic link; fs.ErrExist when the name is taken.
func (t *Tree) Symlink(target, name string) error {
	if _, ok := t.Get(name); ok {
		return pathError("symlink", name, fs.ErrExist)
	}
	return t.Add(&Entry{Path: name, Mode: fs.ModeSymlink | 0o777, Link: target})
}

// Resolve returns the path of the entry that name stands for once every link is
// followed, as readlink -f: the last component need not exist.
func (t *Tree) Resolve(name string) (string, error) {
	dir, base, n, err := t.find(name, true)
	if err != nil {
		return "", pathError("resolve", name, err)
	}
	if n != nil {
		return n.entry.Path, nil
	}
	return path.Join(dir.entry.Path, base), nil
}
