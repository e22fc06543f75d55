package seedrng

import (
	"encoding/binary"
	"math/bits"
)

// blake2s is BLAKE2s-256 without a key (RFC 7693). It is written out here for its
// size: the one of golang.org/x/crypto is 37 kB of /init, crypto/sha256 164 kB.
// Seeds do not say what hash they were made with.
type blake2s struct {
	h     [8]uint32
	total uint64 // bytes in h
	block [64]byte
	n     int // of block that is filled
}

const hashSize = 32 // bytes

var blakeIV = [8]uint32{
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
}

// blakeOrder is which word of the block comes when: RFC 7693, 2.7.
var blakeOrder = [10]string{
	"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f",
	"\x0e\x0a\x04\x08\x09\x0f\x0d\x06\x01\x0c\x00\x02\x0b\x07\x05\x03",
	"\x0b\x08\x0c\x00\x05\x02\x0f\x0d\x0a\x0e\x03\x06\x07\x01\x09\x04",
	"\x07\x09\x03\x01\x0d\x0c\x0b\x0e\x02\x06\x05\x0a\x04\x00\x0f\x08",
	"\x09\x00\x05\x07\x02\x04\x0a\x0f\x0e\x01\x0b\x0c\x06\x08\x03\x0d",
	"\x02\x0c\x06\x0a\x00\x0b\x08\x03\x04\x0d\x07\x05\x0f\x0e\x01\x09",
	"\x0c\x05\x01\x0f\x0e\x0d\x04\x0a\x00\x07\x06\x03\x09\x02\x08\x0b",
	"\x0d\x0b\x07\x0e\x0c\x01\x03\x09\x05\x00\x0f\x04\x08\x06\x02\x0a",
	"\x06\x0f\x0e\x09\x0b\x03\x00\x08\x0c\x02\x0d\x07\x01\x04\x0a\x05",
	"\x0a\x02\x08\x04\x07\x06\x01\x05\x0f\x0b\x09\x0e\x03\x0c\x0d\x00",
}

func newBlake2s() *blake2s {
	d := &blake2s{h: blakeIV}
	d.h[0] ^= 0x01010000 | hashSize // one lane, no key
	return d
}

// write adds p to what is hashed. The last block stays back for sum, even if full.
func (d *blake2s) write(p []byte) {
	for len(p) > 0 {
		if d.n == len(d.block) {
			d.compress(0)
		}
		n := copy(d.block[d.n:], p)
		d.n += n
		p = p[n:]
	}
}

// writeSeed adds a seed as seedrng does: its length, a size_t, and then itself.
func (d *blake2s) writeSeed(b []byte) {
	var size [8]byte
	binary.NativeEndian.PutUint64(size[:], uint64(len(b)))
	d.write(size[:])
	d.write(b)
}

// writeTime adds a struct timespec of 64 bits.
func (d *blake2s) writeTime(sec, nsec int64) {
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:], uint64(sec))
	binary.NativeEndian.PutUint64(b[8:], uint64(nsec))
	d.write(b[:])
}

// sum writes the hash into out; nothing may be added after it.
func (d *blake2s) sum(out []byte) {
	clear(d.block[d.n:])
	d.compress(^uint32(0))
	for i, w := range d.h {
		binary.LittleEndian.PutUint32(out[4*i:], w)
	}
}

// compress is F of RFC 7693, 3.2; last is all ones for the last block.
func (d *blake2s) compress(last uint32) {
	d.total += uint64(d.n)
	d.n = 0
	var v [16]uint32
	copy(v[:], d.h[:])
	copy(v[8:], blakeIV[:])
	v[12] ^= uint32(d.total)
	v[13] ^= uint32(d.total >> 32)
	v[14] ^= last
	for _, order := range blakeOrder {
		for i := range 8 {
			// four columns, then four diagonals
			turn := i / 4
			a, b, c, e := i%4, 4+(i+turn)%4, 8+(i+2*turn)%4, 12+(i+3*turn)%4
			x := binary.LittleEndian.Uint32(d.block[4*order[2*i]:])
			y := binary.LittleEndian.Uint32(d.block[4*order[2*i+1]:])
			v[a] += v[b] + x
			v[e] = bits.RotateLeft32(v[e]^v[a], -16)
			v[c] += v[e]
			v[b] = bits.RotateLeft32(v[b]^v[c], -12)
			v[a] += v[b] + y
			v[e] = bits.RotateLeft32(v[e]^v[a], -8)
			v[c] += v[e]
			v[b] = bits.RotateLeft32(v[b]^v[c], -7)
		}
	}
	for i := range d.h {
		d.h[i] ^= v[i] ^ v[i+8]
	}
}
