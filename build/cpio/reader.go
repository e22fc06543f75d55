package cpio

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Reader reads one archive, entry by entry. After Next it reads the content of
// that entry.
type Reader struct {
	r    *bufio.Reader
	left int64 // content not read yet
	pad  int64 // padding after it
}

// NewReader reads the archive that starts at the reader's first byte. It may
// read past the trailer: give it a bufio.Reader to go on with a second archive.
func NewReader(r io.Reader) *Reader {
	b, ok := r.(*bufio.Reader)
	if !ok {
		b = bufio.NewReader(r)
	}
	return &Reader{r: b}
}

// Next goes to the next entry. It returns io.EOF at the trailer, and an error
// that says what is wrong when the archive is cut off or malformed.
func (r *Reader) Next() (Header, error) {
	if err := r.skip(r.left + r.pad); err != nil {
		return Header{}, err
	}
	r.left, r.pad = 0, 0
	var raw [headerSize]byte
	if _, err := io.ReadFull(r.r, raw[:]); err != nil {
		return Header{}, cut(err)
	}
	if string(raw[:6]) != magic {
		return Header{}, fmt.Errorf("cpio: magic %q, want %q", raw[:6], magic)
	}
	var f [13]uint32
	for i := range f {
		v, err := strconv.ParseUint(string(raw[6+8*i:14+8*i]), 16, 32)
		if err != nil {
			return Header{}, fmt.Errorf("cpio: field %d is %q, not 8 hex digits", i, raw[6+8*i:14+8*i])
		}
		f[i] = uint32(v)
	}
	size := f[11]
	if size < 2 || size > nameMax {
		return Header{}, fmt.Errorf("cpio: a name of %d bytes", size)
	}
	name := make([]byte, size)
	if _, err := io.ReadFull(r.r, name); err != nil {
		return Header{}, cut(err)
	}
	if name[size-1] != 0 {
		return Header{}, fmt.Errorf("cpio %q: name has no NUL", name)
	}
	if err := r.skip(pad4(headerSize + int64(size))); err != nil {
		return Header{}, err
	}
	h := Header{
		Name: string(bytes.TrimRight(name, "\x00")), Ino: f[0], Mode: f[1], UID: f[2], GID: f[3], Nlink: f[4],
		MTime: f[5], Size: f[6], Major: f[9], Minor: f[10],
	}
	if h.Name == trailer {
		return Header{}, io.EOF
	}
	if err := checkName(h.Name); err != nil {
		return Header{}, err
	}
	r.left, r.pad = int64(h.Size), pad4(int64(h.Size))
	return h, nil
}

// Read reads the content of the entry that Next returned; io.EOF at its end.
func (r *Reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.r.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if r.left > 0 && errors.Is(err, io.EOF) {
		err = cut(err)
	}
	return n, err
}

func (r *Reader) skip(n int64) error {
	if _, err := io.CopyN(io.Discard, r.r, n); err != nil {
		return cut(err)
	}
	return nil
}

func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("cpio: archive is cut off: %w", io.ErrUnexpectedEOF)
	}
	return err
}
