package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

const (
	headSize = 68 << 10 // up to the end of btrfs's superblock; holds all magics but those at the end
	pageSize = 4 << 10

	mostReads = 128     // per device
	mostBytes = 2 << 20 // per device
)

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

// device reads pieces of a block device, keeping what was read: the head, the
// tail and the last other place.
type device struct {
	r      io.ReaderAt
	size   int64
	pieces [3]piece // head, tail, elsewhere
	reads  int
	bytes  int64
	err    error // the first failed read
}

type piece struct {
	off  int64
	data []byte
}

func (p piece) at(off, n int64) []byte {
	if off < p.off || off-p.off > int64(len(p.data))-n {
		return nil
	}
	return p.data[off-p.off : off-p.off+n : off-p.off+n]
}

// at gives n bytes at off, or nil where the device has none, a read fails or
// the budget is spent. The next call may overwrite what it gave, unless that was
// in the head or the tail.
func (d *device) at(off, n int64) []byte {
	if off < 0 || n <= 0 || n > mostBytes || off > d.size-n {
		return nil
	}
	for _, p := range d.pieces {
		if b := p.at(off, n); b != nil {
			return b
		}
	}
	start := off &^ (pageSize - 1)
	length := (off + n - start + pageSize - 1) &^ (pageSize - 1)
	d.load(2, start, length)
	return d.pieces[2].at(off, n)
}

// load fills a piece; a device that is shorter than it says gives a short one.
func (d *device) load(which int, off, n int64) {
	n = min(n, d.size-off)
	if off < 0 || n <= 0 || d.reads >= mostReads || d.bytes+n > mostBytes {
		return
	}
	d.reads++
	d.bytes += n
	p := &d.pieces[which]
	if int64(cap(p.data)) < n {
		p.data = make([]byte, n)
	}
	got, err := d.r.ReadAt(p.data[:n], off)
	p.off, p.data = off, p.data[:got]
	if err != nil && !errors.Is(err, io.EOF) && d.err == nil {
		d.err = err
	}
}

// has says whether magic stands at off.
func (d *device) has(off int64, magic string) bool {
	b := d.at(off, int64(len(magic)))
	return b != nil && string(b) == magic
}

// text is a field of a superblock: up to the first NUL, without white space at
// its end, as libblkid has it.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return string(b)
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// utf16text is a field in UTF-16, up to the first NUL.
func utf16text(b []byte, order binary.ByteOrder) string {
	var out []byte
	for ; len(b) >= 2; b = b[2:] {
		r := rune(order.Uint16(b))
		if r == 0 {
			break
		}
		if r >= 0xd800 && r < 0xdc00 && len(b) >= 4 {
			if low := rune(order.Uint16(b[2:])); low >= 0xdc00 && low < 0xe000 {
				r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
				b = b[2:]
			}
		}
		out = appendRune(out, r)
	}
	return text(out)
}

// appendRune writes UTF-8, lone surrogates included: a label is what the disk
// says.
func appendRune(b []byte, r rune) []byte {
	switch {
	case r < 0x80:
		return append(b, byte(r))
	case r < 0x800:
		return append(b, 0xc0|byte(r>>6), 0x80|byte(r&0x3f))
	case r < 0x10000:
		return append(b, 0xe0|byte(r>>12), 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f))
	default:
		return append(b, 0xf0|byte(r>>18), 0x80|byte(r>>12&0x3f), 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f))
	}
}

const hexLower, hexUpper = "0123456789abcdef", "0123456789ABCDEF"

// uuid writes 16 bytes as 8-4-4-4-12; all zero is none.
func uuid(b []byte) string {
	if zero(b) {
		return ""
	}
	out := make([]byte, 0, 36)
	for i, c := range b[:16] {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, hexLower[c>>4], hexLower[c&15])
	}
	return string(out)
}

// guid is uuid for EFI's mixed order of bytes (UEFI 2.10, appendix A).
func guid(b []byte) string {
	var g [16]byte
	be.PutUint32(g[0:], le.Uint32(b[0:]))
	be.PutUint16(g[4:], le.Uint16(b[4:]))
	be.PutUint16(g[6:], le.Uint16(b[6:]))
	copy(g[8:], b[8:16])
	return uuid(g[:])
}

// hex writes the low digits of v.
func hex(v uint64, digits int, alphabet string) string {
	out := make([]byte, digits)
	for i := digits - 1; i >= 0; i-- {
		out[i] = alphabet[v&15]
		v >>= 4
	}
	return string(out)
}

func serial(b []byte) string {
	return hex(uint64(le.Uint16(b[2:])), 4, hexUpper) + "-" + hex(uint64(le.Uint16(b)), 4, hexUpper)
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func powerOfTwo(v uint32) bool { return v != 0 && v&(v-1) == 0 }
