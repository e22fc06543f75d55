package qemu

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

const xzMagic = "\xfd7zXZ\x00"

// Filters of the .xz format, section 5.3.
const (
	filterX86   = 0x04
	filterLZMA2 = 0x21
	checkCRC32  = 0x01
)

var errXZ = errors.New("damaged or unknown xz stream")

// unxz unpacks the one block of the xz stream a Linux build makes: CRC32 check,
// LZMA2, on x86 behind the branch filter that the xz library at hand does not
// know. The index and footer that follow the block are not read: the block's
// own check covers the content.
//
// Source: "The .xz File Format" 1.1.0, sections 2 and 3; scripts/xz_wrap.sh.
func unxz(stream []byte) ([]byte, error) {
	if len(stream) < 13 || string(stream[:6]) != xzMagic {
		return nil, errXZ
	}
	if stream[6] != 0 || stream[7] != checkCRC32 {
		return nil, fmt.Errorf("xz check type %d: %w", stream[7], errXZ)
	}
	size := (int(stream[12]) + 1) * 4
	if stream[12] == 0 || len(stream) < 12+size {
		return nil, errXZ
	}
	header := stream[12 : 12+size]
	if crc32.ChecksumIEEE(header[:size-4]) != binary.LittleEndian.Uint32(header[size-4:]) {
		return nil, fmt.Errorf("xz block header: %w", errXZ)
	}
	dict, branch, err := blockFilters(header[1 : size-4])
	if err != nil {
		return nil, err
	}
	packed := bytes.NewReader(stream[12+size:])
	r, err := lzma.Reader2Config{DictCap: dict}.NewReader2(packed)
	if err != nil {
		return nil, fmt.Errorf("xz: %w", err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("xz: %w", err)
	}
	if branch {
		unbranchX86(out)
	}
	used := int(packed.Size()) - packed.Len()
	check := 12 + size + (used+3)&^3 // the block is padded to four bytes
	if check+4 > len(stream) || binary.LittleEndian.Uint32(stream[check:]) != crc32.ChecksumIEEE(out) {
		return nil, fmt.Errorf("xz content: %w", errXZ)
	}
	return out, nil
}

// blockFilters reads a block header without its size byte and checksum.
func blockFilters(b []byte) (dict int, branch bool, err error) {
	flags := b[0]
	b = b[1:]
	number := func() uint64 {
		n, k := binary.Uvarint(b)
		if k <= 0 {
			err = errXZ
			b = nil
			return 0
		}
		b = b[k:]
		return n
	}
	for bit := byte(0x40); bit != 0; bit <<= 1 { // packed and unpacked size
		if flags&bit != 0 {
			number()
		}
	}
	for i := 0; i <= int(flags&3) && err == nil; i++ {
		id, n := number(), number()
		if err != nil || n > uint64(len(b)) {
			return 0, false, errXZ
		}
		props := b[:n]
		b = b[n:]
		switch {
		case id == filterX86 && n == 0:
			branch = true
		case id == filterLZMA2 && n == 1 && props[0] <= 37:
			dict = (2 | int(props[0]&1)) << (props[0]/2 + 11)
		default:
			return 0, false, fmt.Errorf("xz filter %#x: %w", id, errXZ)
		}
	}
	if err != nil || dict == 0 {
		return 0, false, errXZ
	}
	return dict, branch, nil
}

// unbranchX86 turns the absolute targets of CALL and JMP (E8, E9) back into
// relative ones, in place.
//
// Source: lib/xz/xz_dec_bcj.c of Linux, bcj_x86 (public domain).
func unbranchX86(buf []byte) {
	var (
		allowed = [8]bool{true, true, true, false, true}
		bits    = [8]uint{0, 1, 2, 2, 3, 3, 3, 3}
		mask    uint32
		prev    = -1
	)
	msb := func(b byte) bool { return b == 0x00 || b == 0xff }
	for i := 0; i+4 < len(buf); i++ {
		if buf[i]&0xfe != 0xe8 {
			continue
		}
		if gap := i - prev; gap > 3 {
			mask = 0
		} else {
			mask = mask << uint(gap-1) & 7
			if mask != 0 && (!allowed[mask] || msb(buf[i+4-int(bits[mask])])) {
				prev = i
				mask = mask<<1 | 1
				continue
			}
		}
		prev = i
		if !msb(buf[i+4]) {
			mask = mask<<1 | 1
			continue
		}
		src := binary.LittleEndian.Uint32(buf[i+1:])
		var dest uint32
		for {
			dest = src - uint32(i+5)
			if mask == 0 {
				break
			}
			j := bits[mask] * 8
			if !msb(byte(dest >> (24 - j))) {
				break
			}
			src = dest ^ (1<<(32-j) - 1)
		}
		dest &= 0x01ffffff
		dest |= -(dest & 0x01000000)
		binary.LittleEndian.PutUint32(buf[i+1:], dest)
		i += 4
	}
}
