package cpio

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Writer writes one archive. Create it with NewWriter; Close ends the archive.
// After an error every further call returns that error.
type Writer struct {
	w    *bufio.Writer
	n    int64
	ino  uint32
	dirs map[string]bool // names written so far; true for directories
	err  error
}

// NewWriter starts an archive on w. Inode numbers start at 1.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: bufio.NewWriterSize(w, 64<<10), dirs: map[string]bool{}}
}

// Add writes one entry and exactly h.Size bytes of content. A nil content is
// an empty one. The entry's parent directory must have been written before.
func (w *Writer) Add(h Header, content io.Reader) error {
	if w.err == nil {
		w.err = w.add(h, content)
	}
	return w.err
}

func (w *Writer) add(h Header, content io.Reader) error {
	if err := checkName(h.Name); err != nil {
		return err
	}
	if _, twice := w.dirs[h.Name]; twice {
		return entryError(h.Name, "written twice")
	}
	if parent := path.Dir(h.Name); parent != "." && !w.dirs[parent] {
		return entryError(h.Name, "its directory %q was not written before it", parent)
	}
	switch h.Type() {
	case TypeRegular, TypeSymlink:
	case TypeDir, TypeChar, TypeBlock, TypeFifo, TypeSocket:
		if h.Size != 0 {
			return entryError(h.Name, "mode %o has no content, but size %d", h.Mode, h.Size)
		}
	default:
		return entryError(h.Name, "mode %o has no type", h.Mode)
	}
	w.dirs[h.Name] = h.Type() == TypeDir
	if h.Align&(h.Align-1) != 0 || h.Align > 512 {
		return entryError(h.Name, "alignment %d", h.Align)
	}
	if h.Ino == 0 {
		h.Ino = w.ino + 1
	}
	w.ino = max(w.ino, h.Ino)
	if h.Nlink == 0 {
		h.Nlink = 1
		if h.Type() == TypeDir {
			h.Nlink = 2
		}
	}
	w.header(h)
	if content == nil {
		content = strings.NewReader("")
	}
	n, err := io.CopyN(w.w, content, int64(h.Size))
	w.n += n
	if errors.Is(err, io.EOF) {
		return entryError(h.Name, "content ends after %d of %d bytes", n, h.Size)
	}
	if err != nil {
		return fmt.Errorf("cpio %q: %w", h.Name, err)
	}
	var one [1]byte
	if n, _ := content.Read(one[:]); n > 0 {
		return entryError(h.Name, "content goes on after %d bytes", h.Size)
	}
	w.pad()
	return nil
}

// Close writes the trailer and flushes. It does not close the writer below.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	w.header(Header{Name: trailer, Nlink: 1})
	if w.err = w.w.Flush(); w.err != nil {
		return w.err
	}
	w.err = errors.New("cpio: archive is closed")
	return nil
}

// header writes the fields, the name and its padding. Errors of the buffered
// writer stick and come out at Flush.
func (w *Writer) header(h Header) {
	name := h.Name + "\x00"
	if h.Align > 4 {
		end := w.n + headerSize + int64(len(name))
		name += strings.Repeat("\x00", int(-end&int64(h.Align-1)))
	}
	n, _ := fmt.Fprintf(w.w, "%s%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s",
		magic, h.Ino, h.Mode, h.UID, h.GID, h.Nlink, h.MTime, h.Size,
		0, 0, h.Major, h.Minor, len(name), 0, name)
	w.n += int64(n)
	w.pad()
}

func (w *Writer) pad() {
	n, _ := w.w.WriteString("\x00\x00\x00"[:pad4(w.n)])
	w.n += int64(n)
}

func checkName(name string) error {
	switch {
	case name == "" || name == trailer:
		return entryError(name, "not a name for an entry")
	case len(name) >= nameMax:
		return entryError(name[:40], "name has %d bytes, the kernel takes %d", len(name), nameMax-1)
	case strings.IndexByte(name, 0) >= 0:
		return entryError(name, "NUL in a name")
	case path.IsAbs(name) || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../"):
		return entryError(name, "name is not relative and clean")
	}
	return nil
}
