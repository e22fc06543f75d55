package launch

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

// Memfd returns a sealed memfd that holds s; the caller closes it.
func (s *Spec) Memfd() (int, error) {
	b := s.Append(nil)
	if len(b) > SpecMax {
		return -1, fmt.Errorf("launch spec: %d bytes, more than %d", len(b), SpecMax)
	}
	fd, err := unix.MemfdCreate("spec", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, fmt.Errorf("launch spec: memfd_create: %w", err)
	}
	if n, err := unix.Pwrite(fd, b, 0); err != nil || n != len(b) {
		unix.Close(fd)
		return -1, fmt.Errorf("launch spec: write: %w", err)
	}
	seals := unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("launch spec: seal: %w", err)
	}
	return fd, nil
}

// ReadSpec reads the spec in fd from its beginning.
func ReadSpec(fd int) (*Spec, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Size <= 0 || st.Size > SpecMax {
		return nil, ErrSpec
	}
	b := make([]byte, st.Size)
	n, err := unix.Pread(fd, b, 0)
	if err != nil {
		return nil, err
	}
	if n != len(b) {
		return nil, io.ErrUnexpectedEOF
	}
	s := new(Spec)
	return s, s.Decode(b)
}

// codec writes values after b, or, with decode, takes them from its beginning;
// bad: they were not there.
type codec struct {
	b           []byte
	decode, bad bool
}

// number is not inlined into each of its callers: /init is to be small.
//
//go:noinline
func (c *codec) number(v *uint64) {
	switch {
	case !c.decode:
		c.b = binary.LittleEndian.AppendUint64(c.b, *v)
	case len(c.b) < 8:
		c.bad, c.b, *v = true, nil, 0
	default:
		*v, c.b = binary.LittleEndian.Uint64(c.b), c.b[8:]
	}
}

func (c *codec) word(v *int32) {
	n := uint64(uint32(*v))
	c.number(&n)
	c.bad = c.bad || n>>32 != 0
	*v = int32(n)
}

func (c *codec) bool(v *bool) {
	var n uint64
	if *v {
		n = 1
	}
	c.number(&n)
	c.bad = c.bad || n > 1
	*v = n == 1
}

func (c *codec) text(s *string) {
	n := c.length(len(*s), 1)
	if !c.decode {
		c.b = append(c.b, *s...)
		return
	}
	*s, c.b = string(c.b[:n]), c.b[n:]
	c.bad = c.bad || strings.IndexByte(*s, 0) >= 0
}

func (c *codec) list(l *[]string) {
	n := c.length(len(*l), 8)
	if c.decode && n > 0 {
		*l = make([]string, n)
	}
	for i := range *l {
		c.text(&(*l)[i])
	}
}

func (c *codec) limits(l *[]Limit) {
	n := c.length(len(*l), 24)
	if c.decode && n > 0 {
		*l = make([]Limit, n)
	}
	for i := range *l {
		c.text(&(*l)[i].Resource)
		c.number(&(*l)[i].Soft)
		c.number(&(*l)[i].Hard)
	}
}

// length is that of what follows, in parts of at least so many bytes.
func (c *codec) length(n, part int) int {
	v := uint64(n)
	c.number(&v)
	if c.decode && v > uint64(len(c.b)/part) {
		c.bad, c.b, v = true, nil, 0
	}
	return int(v)
}
