package supervisor

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Slots keep the last snapshot in memory that outlives the supervisor. There
// are two; the older one is overwritten, its header last, so that at every
// moment one of them is whole.
//
// Each begins with a header, little endian: version u32, length u32, sequence
// u64, CRC32C u32 of sequence and data, 4 bytes of nothing.
type Slots struct {
	mem [2][]byte
	seq uint64
}

const (
	slotsVersion = 1
	slotHeader   = 24
)

// SlotsSize is the memory that Slots want, in bytes: room for 20,000 units,
// taken page by page as it is used.
const SlotsSize = 1 << 20

// NewSlots uses mem, of at least 64 bytes; whatever an earlier epoch left there
// is kept until the second Save.
func NewSlots(mem []byte) *Slots {
	s := &Slots{mem: [2][]byte{mem[: len(mem)/2 : len(mem)/2], mem[len(mem)/2:]}}
	for i := range s.mem {
		if seq, _, ok := s.read(i); ok {
			s.seq = max(s.seq, seq)
		}
	}
	return s
}

// Last is the newest whole snapshot; nil if there is none. It is a copy.
func (s *Slots) Last() []byte {
	var last []byte
	var newest uint64
	for i := range s.mem {
		if seq, data, ok := s.read(i); ok && seq >= newest {
			newest, last = seq, data
		}
	}
	if last == nil {
		return nil
	}
	return append([]byte{}, last...)
}

// Save publishes data. It fails if data does not fit; the last snapshot stays
// then.
func (s *Slots) Save(data []byte) error {
	slot := s.mem[(s.seq+1)%2]
	if len(data) > len(slot)-slotHeader {
		return fmt.Errorf("snapshot: %d bytes, there is room for %d", len(data), len(slot)-slotHeader)
	}
	s.seq++
	h := slot[:slotHeader]
	clear(h[:4]) // no version: not whole
	copy(slot[slotHeader:], data)
	binary.LittleEndian.PutUint32(h[4:], uint32(len(data)))
	binary.LittleEndian.PutUint64(h[8:], s.seq)
	binary.LittleEndian.PutUint32(h[16:], sum(h, data))
	binary.LittleEndian.PutUint32(h[0:], slotsVersion)
	return nil
}

func (s *Slots) read(i int) (seq uint64, data []byte, ok bool) {
	slot := s.mem[i]
	if len(slot) < slotHeader || binary.LittleEndian.Uint32(slot) != slotsVersion {
		return 0, nil, false
	}
	n := binary.LittleEndian.Uint32(slot[4:])
	if uint64(n) > uint64(len(slot)-slotHeader) {
		return 0, nil, false
	}
	data = slot[slotHeader : slotHeader+int(n)]
	if sum(slot[:slotHeader], data) != binary.LittleEndian.Uint32(slot[16:]) {
		return 0, nil, false
	}
	return binary.LittleEndian.Uint64(slot[8:]), data, true
}

func sum(header, data []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli) // made once, at the first call
	return crc32.Update(crc32.Checksum(header[8:16], table), table, data)
}
