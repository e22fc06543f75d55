// Package ring keeps the last lines that a unit wrote, in memory that outlives
// its writer.
//
// # Surviving kill -9
//
// A ring is a memfd, sealed against resizing and held by the keeper. read(2) of
// the log pipe lands directly in the ring's staging area, which is zeroed before
// and so says by itself how much has arrived. From there lines are copied behind
// the head, where no reader looks yet. Then one 64-bit store publishes both the
// new head and how much of the staging area is spent. So whenever the writer
// dies, each byte is either in the pipe, or in the staging area and not spent,
// or in the ring: never in two of them, never in none. The next writer takes the
// non-zero rest of the staging area first. (Bytes of zero that end a read at
// that very moment are the exception; text has none.)
//
// # Layout
//
// A page of header, StageSize bytes of staging, then the records: 24 bytes of
// header (length, flags, sequence, stamp), the bytes, padding to 8. Positions
// count up for ever; modulo the size they are offsets.
//
//	 0  magic
//	 8  size of the record area in bytes
//	16  epoch of the writer: one of an older epoch refuses to publish
//	24  published: position of the head (48 bits), spent bytes of the staging (16 bits)
//	32  tail: position of the oldest record
package ring

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Sizes in bytes.
const (
	Size          = 128 << 10 // of a unit's ring
	EssentialSize = 1 << 20   // of an essential unit's
	LineMax       = 16 << 10  // a longer line is cut into lines of this length
	StageSize     = 32 << 10

	headerSize = 4096
	recordSize = 24
	sizeMin    = 4 * (LineMax + recordSize)
	sizeMax    = 1 << 26
)

const magic = 0x31676e7279706f68 // "hopyrng1"

const (
	offMagic = 8 * iota
	offSize
	offEpoch
	offPublished
	offTail
)

// Flags of a record. An apart record is a whole line by itself; it may stand
// between the records of a line under way. A line has the sequence that was due
// when it ended.
const (
	flagMore  = 1 << iota // the line goes on in the next record that is not apart
	flagCont              // this record continues a line
	flagCut               // the line was cut here
	flagApart             // see Post

	severityShift = 4 // 4 bits, see Line
	facilityShift = 8 // 5 bits
	flagMask      = 0x1fff
)

var (
	// ErrFenced: a writer of a later epoch has taken the ring over.
	ErrFenced = errors.New("log ring: taken over by a later epoch")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("log ring: closed")
	// ErrCorrupt: the bytes are no ring. Make a new one.
	ErrCorrupt = errors.New("log ring: unreadable")
)

const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// Ring is the writer's view of a ring, and the readers' in the same process. Its
// methods may be called from any goroutine.
type Ring struct {
	mu    sync.Mutex
	mem   []byte
	stage []byte
	data  []byte

	epoch     uint64
	published uint64 // what we published last
	head      uint64 // records up to here are written
	tail      uint64
	seq       uint64 // of the next line that ends
	partial   int    // bytes of the line under way
	open      bool   // a line is under way
	last      uint64 // stamp of the last record
	fenced    bool
	closed    bool

	watch map[chan<- struct{}]struct{}

	testOnlyStep func() // called between the stores that a death can come between
}

// Create makes an empty ring of size bytes of records and returns it with its
// descriptor, which the caller gives to the keeper and may then close.
func Create(name string, size int, epoch uint32) (*Ring, int, error) {
	fd, err := unix.MemfdCreate("ring:"+name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, -1, fmt.Errorf("log ring: memfd_create: %w", err)
	}
	r, err := initialise(fd, size, epoch)
	if err != nil {
		unix.Close(fd)
		return nil, -1, err
	}
	return r, fd, nil
}

func initialise(fd, size int, epoch uint32) (*Ring, error) {
	if size%8 != 0 || size < sizeMin || size > sizeMax {
		return nil, fmt.Errorf("log ring: size %d is not a multiple of 8 from %d to %d", size, sizeMin, sizeMax)
	}
	if err := unix.Ftruncate(fd, int64(headerSize+StageSize+size)); err != nil {
		return nil, fmt.Errorf("log ring: ftruncate: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("log ring: seal: %w", err)
	}
	mem, err := unix.Mmap(fd, 0, headerSize+StageSize+size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("log ring: mmap: %w", err)
	}
	word(mem, offSize).Store(uint64(size))
	word(mem, offEpoch).Store(uint64(epoch))
	word(mem, offMagic).Store(magic)
	return view(mem, epoch)
}

// Open takes over the ring in fd, which the caller may then close: from here on
// writers of earlier epochs refuse to publish, and what the last one had read
// but not published is in the ring. The error is ErrCorrupt when fd holds no
// sound ring and ErrFenced when a later epoch owns it.
func Open(fd int, epoch uint32) (*Ring, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("log ring: fstat: %w", err)
	}
	if st.Size < headerSize+StageSize+sizeMin || st.Size > headerSize+StageSize+sizeMax {
		return nil, ErrCorrupt
	}
	// A mapping that somebody can shrink is a SIGBUS to come.
	if s, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0); err != nil || s&unix.F_SEAL_SHRINK == 0 {
		return nil, ErrCorrupt
	}
	mem, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("log ring: mmap: %w", err)
	}
	r, err := view(mem, epoch)
	if err != nil {
		unix.Munmap(mem)
	}
	return r, err
}

// view checks mem, an aligned image of a ring, and takes it over.
func view(mem []byte, epoch uint32) (*Ring, error) {
	if len(mem) < headerSize+StageSize+sizeMin || word(mem, offMagic).Load() != magic {
		return nil, ErrCorrupt
	}
	r := &Ring{mem: mem, stage: mem[headerSize : headerSize+StageSize : headerSize+StageSize],
		data: mem[headerSize+StageSize:], epoch: uint64(epoch)}
	if uint64(len(r.data)) != word(mem, offSize).Load() || len(r.data)%8 != 0 {
		return nil, ErrCorrupt
	}
	if old := word(mem, offEpoch).Load(); old > r.epoch {
		return nil, ErrFenced
	}
	word(mem, offEpoch).Store(r.epoch)
	r.published = word(mem, offPublished).Load()
	r.tail = word(mem, offTail).Load()
	r.head = r.published >> 16
	spent := int(r.published & 0xffff)
	if r.tail > r.head || r.head-r.tail > uint64(len(r.data)) || spent > StageSize || r.head%8 != 0 || r.tail%8 != 0 {
		return nil, ErrCorrupt
	}
	r.seq = 1
	first := true
	for pos := r.tail; pos < r.head; {
		rec, ok := r.record(pos)
		if !ok || !first && rec.seq != r.seq {
			return nil, ErrCorrupt
		}
		r.seq, r.last = rec.seq, max(r.last, rec.stamp)
		if rec.flags&flagApart != 0 {
			r.seq++
		} else {
			if rec.flags&flagCont == 0 {
				r.partial = 0
			}
			r.partial, r.open = r.partial+int(rec.length), rec.flags&flagMore != 0
			if !r.open {
				r.seq, r.partial = r.seq+1, 0
			}
		}
		pos += rec.size()
		first = false
	}
	r.partial = min(r.partial, LineMax)
	filled := StageSize
	for filled > spent && r.stage[filled-1] == 0 {
		filled--
	}
	if err := r.take(spent, filled, now()); err != nil {
		return nil, err
	}
	return r, nil
}

// Fill reads once from fd, a pipe that does not block, into the ring. It returns
// what read(2) returned; ErrFenced says that nothing was read and nothing ever
// will be.
func (r *Ring) Fill(fd int) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isFenced() {
		return 0, ErrFenced
	}
	n, err := unix.Read(fd, r.stage)
	if n <= 0 {
		return 0, err
	}
	err = r.take(0, n, now())
	r.tell()
	return n, err
}

// End ends a line under way, so that what a next run writes does not join it.
func (r *Ring) End() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open && !r.isFenced() {
		r.put(nil, 0, r.last)
		r.publish(0)
		r.tell()
	}
}

// Note adds one line that did not come from the unit.
func (r *Ring) Note(text string) {
	r.End()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.isFenced() {
		r.put([]byte(text[:min(len(text), LineMax)]), 0, now())
		r.publish(0)
		r.tell()
	}
}

// take makes records of stage[from:to] and leaves the staging area zeroed.
func (r *Ring) take(from, to int, stamp uint64) error {
	for from < to {
		rest := r.stage[from:to]
		room := LineMax - r.partial
		end := bytes.IndexByte(rest[:min(len(rest), room+1)], '\n')
		switch {
		case end >= 0:
			r.put(rest[:end], 0, stamp)
			from += end + 1
		case len(rest) > room:
			r.put(rest[:room], flagCut, stamp)
			from += room
		default:
			r.put(rest, flagMore, stamp)
			from = to
		}
		// So that many short lines never overtake the published tail.
		if r.head-r.published>>16 > uint64(len(r.data))/2 && !r.publish(from) {
			return ErrFenced
		}
	}
	if !r.publish(from) {
		return ErrFenced
	}
	clear(r.stage[:from])
	r.step()
	if !r.publish(0) {
		return ErrFenced
	}
	return nil
}

// put writes one record behind the head, dropping the oldest ones to make room.
func (r *Ring) put(b []byte, flags uint32, stamp uint64) {
	r.last = max(r.last, stamp)
	rec := record{length: uint32(len(b)), flags: flags, seq: r.seq, stamp: r.last}
	if r.open && flags&flagApart == 0 {
		rec.flags |= flagCont
	}
	need := rec.size()
	for r.head+need-r.tail > uint64(len(r.data)) {
		old, ok := r.record(r.tail)
		if !ok {
			r.tail = r.published >> 16
			break
		}
		r.tail += old.size()
	}
	word(r.mem, offTail).Store(r.tail)
	r.step()
	r.writeRecord(r.head, rec, b)
	r.head += need
	r.step()
	if flags&flagApart != 0 {
		r.seq++
		return
	}
	r.open = flags&flagMore != 0
	if r.open {
		r.partial += len(b)
	} else {
		r.partial = 0
		r.seq++
	}
}

// publish makes everything up to the head visible and spent bytes of the staging
// area void, in one store.
func (r *Ring) publish(spent int) bool {
	next := r.head<<16 | uint64(spent)
	if r.isFenced() || !word(r.mem, offPublished).CompareAndSwap(r.published, next) {
		r.fenced = true
		return false
	}
	r.published = next
	r.step()
	return true
}

func (r *Ring) step() {
	if r.testOnlyStep != nil {
		r.testOnlyStep()
	}
}

func (r *Ring) isFenced() bool {
	r.fenced = r.fenced || word(r.mem, offEpoch).Load() != r.epoch
	return r.fenced
}

// Close unmaps the ring; nothing may use it afterwards. What it holds stays in
// the memfd.
func (r *Ring) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.fenced, r.closed, r.open = true, true, false
	unix.Munmap(r.mem)
	r.mem, r.stage, r.data, r.head, r.tail = make([]byte, headerSize), nil, nil, 0, 0
}
