package image

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Segment is one part of an initramfs that the kernel unpacks by itself.
type Segment struct {
	// Kind is none, zstd, lz4 or gzip.
	Kind string
	// Offset and Size are of the packed bytes in the file, without padding;
	// Unpacked is the size of its archive.
	Offset, Size, Unpacked int64
	// Entries counts what is in it.
	Entries int
}

// Magic numbers, as init/initramfs.c and lib/decompress.c look for them.
var (
	magicCPIO = []byte("0707")
	magicZstd = []byte{0x28, 0xb5, 0x2f, 0xfd}
	magicGzip = []byte{0x1f, 0x8b}
	magicLZ4  = []byte{0x02, 0x21, 0x4c, 0x18}
)

// maxUnpacked bounds what is unpacked of one segment.
const maxUnpacked = 16 << 30

var errSegment = errors.New("neither an archive nor compressed in a way that is known here")

// openSegment finds out what begins at off and gives its unpacked bytes; length
// is that of the packed ones, or below zero where only reading to the end tells:
// then the count of in does.
func openSegment(r io.ReaderAt, off, size int64) (kind string, length int64, content io.Reader, err error) {
	part := io.NewSectionReader(r, off, size-off)
	var head [4]byte
	if _, err := io.ReadFull(part, head[:]); err != nil {
		return "", 0, nil, errSegment
	}
	switch {
	case bytes.Equal(head[:], magicCPIO):
		return "none", -1, io.NewSectionReader(r, off, size-off), nil
	case bytes.HasPrefix(head[:], magicGzip):
		in := &byteCounter{r: bufio.NewReader(io.NewSectionReader(r, off, size-off))}
		z, err := gzip.NewReader(in)
		if err != nil {
			return "", 0, nil, err
		}
		z.Multistream(false)
		return "gzip", -1, counted{z, in}, nil
	case bytes.Equal(head[:], magicZstd):
		if length, err = zstdLength(io.NewSectionReader(r, off, size-off)); err != nil {
			return "", 0, nil, err
		}
		z, err := zstd.NewReader(io.NewSectionReader(r, off, length), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked))
		if err != nil {
			return "", 0, nil, err
		}
		return "zstd", length, z.IOReadCloser(), nil
	case bytes.Equal(head[:], magicLZ4):
		if length, err = lz4Length(io.NewSectionReader(r, off, size-off)); err != nil {
			return "", 0, nil, err
		}
		return "lz4", length, lz4.NewReader(io.NewSectionReader(r, off, length)), nil
	}
	return "", 0, nil, errSegment
}

// counted is a stream that knows how much of what lies below it was used.
type counted struct {
	io.Reader
	in *byteCounter
}

// byteCounter counts what is taken from r. It is an io.ByteReader, so that
// gzip takes no more than it needs.
type byteCounter struct {
	r *bufio.Reader
	n int64
}

func (c *byteCounter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *byteCounter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// zstdLength walks over the blocks of one frame (RFC 8878, section 3.1.1).
func zstdLength(r *io.SectionReader) (int64, error) {
	cut := func(err error) (int64, error) { return 0, fmt.Errorf("zstd: frame is cut off: %w", err) }
	var b [8]byte
	if _, err := r.ReadAt(b[:5], 0); err != nil {
		return cut(err)
	}
	descriptor := b[4]
	n := int64(5)
	if descriptor&0x20 == 0 {
		n++ // window descriptor
	}
	n += []int64{0, 1, 2, 4}[descriptor&3] // dictionary
	sizes := []int64{0, 2, 4, 8}
	if descriptor&0x20 != 0 {
		sizes[0] = 1
	}
	n += sizes[descriptor>>6]
	for last := false; !last; {
		if _, err := r.ReadAt(b[:3], n); err != nil {
			return cut(err)
		}
		header := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		last = header&1 != 0
		n += 3
		if header>>1&3 == 1 { // one byte, repeated
			n++
		} else {
			n += int64(header >> 3)
		}
	}
	if descriptor&4 != 0 {
		n += 4 // checksum
	}
	if n > r.Size() {
		return cut(io.ErrUnexpectedEOF)
	}
	return n, nil
}

// lz4Length walks over the blocks of one legacy frame, which ends where four
// zeros or the file do.
func lz4Length(r *io.SectionReader) (int64, error) {
	n := int64(len(magicLZ4))
	for {
		var b [4]byte
		if _, err := r.ReadAt(b[:], n); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return 0, err
		}
		block := binary.LittleEndian.Uint32(b[:])
		if block == 0 {
			return n, nil
		}
		n += 4 + int64(block)
		if n > r.Size() {
			return 0, fmt.Errorf("lz4: frame is cut off: %w", io.ErrUnexpectedEOF)
		}
	}
}
