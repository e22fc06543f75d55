package launch

import (
	"encoding/binary"
	"fmt"
	"io"

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

// Inlined into Append, this and appendText are 11 kB of /init.
//
//go:noinline
func appendNumber(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

func appendWord(b []byte, v int32) []byte { return appendNumber(b, uint64(uint32(v))) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return appendNumber(b, 1)
	}
	return appendNumber(b, 0)
}

//go:noinline
func appendText(b []byte, s string) []byte { return append(appendNumber(b, uint64(len(s))), s...) }

func appendList(b []byte, l []string) []byte {
	b = appendNumber(b, uint64(len(l)))
	for _, s := range l {
		b = appendText(b, s)
	}
	return b
}

type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) number() uint64 {
	if len(d.b) < 8 {
		d.bad, d.b = true, nil
		return 0
	}
	v := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

func (d *decoder) word() uint32 {
	v := d.number()
	d.bad = d.bad || v>>32 != 0
	return uint32(v)
}

func (d *decoder) text() string {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	for i := range len(s) {
		d.bad = d.bad || s[i] == 0
	}
	return s
}

func (d *decoder) list() []string {
	n := d.number()
	if n > uint64(len(d.b))/8 {
		d.bad, d.b = true, nil
		return nil
	}
	var l []string
	for range n {
		l = append(l, d.text())
	}
	return l
}

func (d *decoder) bool() bool {
	v := d.number()
	d.bad = d.bad || v > 1
	return v == 1
}

func (d *decoder) limits() []Limit {
	n := d.number()
	if n > uint64(len(d.b))/24 {
		d.bad, d.b = true, nil
		return nil
	}
	var l []Limit
	for range n {
		l = append(l, Limit{d.text(), d.number(), d.number()})
	}
	return l
}
