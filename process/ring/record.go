package ring

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// record is the header of a record in the ring.
type record struct {
	length, flags uint32
	seq, stamp    uint64
}

func (rec record) size() uint64 { return recordSize + (uint64(rec.length)+7)&^7 }

// say gives the line what the flags say of it.
func (rec record) say(l *Line) {
	l.Severity = int8(rec.flags >> severityShift & 0xf)
	l.Facility = int8(rec.flags >> facilityShift & 0x1f)
}

// writeRecord writes a record at pos, which no reader looks at yet.
func (r *Ring) writeRecord(pos uint64, rec record, b []byte) {
	var h [recordSize]byte
	binary.LittleEndian.PutUint32(h[0:], rec.length)
	binary.LittleEndian.PutUint32(h[4:], rec.flags)
	binary.LittleEndian.PutUint64(h[8:], rec.seq)
	binary.LittleEndian.PutUint64(h[16:], rec.stamp)
	r.write(pos, h[:])
	r.write(pos+recordSize, b)
}

// record reads the record header at pos, false when it cannot be one.
func (r *Ring) record(pos uint64) (rec record, ok bool) {
	var h [recordSize]byte
	r.read(pos, h[:])
	rec.length = binary.LittleEndian.Uint32(h[0:])
	rec.flags = binary.LittleEndian.Uint32(h[4:])
	rec.seq = binary.LittleEndian.Uint64(h[8:])
	rec.stamp = binary.LittleEndian.Uint64(h[16:])
	return rec, rec.length <= StageSize && rec.flags&^flagMask == 0 && pos+rec.size() <= r.head
}

func (r *Ring) write(pos uint64, b []byte) {
	n := copy(r.data[pos%uint64(len(r.data)):], b)
	copy(r.data, b[n:])
}

func (r *Ring) read(pos uint64, b []byte) {
	n := copy(b, r.data[pos%uint64(len(r.data)):])
	copy(b[n:], r.data)
}

func word(mem []byte, off int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&mem[off]))
}

// now is CLOCK_BOOTTIME in nanoseconds.
func now() uint64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return uint64(ts.Nano())
}

// Line is one line of a unit's output.
type Line struct {
	Seq   uint64    // 1 for the first line that the unit ever wrote in this boot
	Stamp unit.Time // when its last byte was read; never before that of an earlier line
	Text  string    // without the newline; its beginning may be missing in the oldest line
	Open  bool      // no newline yet
	// Severity is that of syslog(3) plus one, 1 emergency to 8 debug, and Facility
	// that of syslog(3); both are 0 for what came through the pipe, which says none.
	Severity, Facility int8
	Lost               uint64 // lines before this one that were dropped before a Cursor came to them
}
