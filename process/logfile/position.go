package logfile

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Position says up to which line a file has been written, in a page that the
// keeper holds: it outlives a supervisor, and ends with the machine as the ring
// does that it counts the lines of.
//
//	 0  magic
//	 8  done: sequence of the last line that is in the file
//	16  plan: sequence of the last line of the write under way; done or less: there is none
//	24  size of the file before that write
//	32  bytes of that write
//	40  inode of the file
//
// When the writer died in a write, the size of the file tells whether it was made.
type Position struct{ mem []byte }

const magic = 0x3174736f70676c68 // "hlgpost1", read as a number

const (
	offMagic = 8 * iota
	offDone
	offPlan
	offSize
	offLength
	offInode
)

const (
	pageSize = 4096
	seals    = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
)

// NewPosition makes one that is before the first line, and its descriptor, which
// the caller gives to the keeper and may then close.
func NewPosition() (p *Position, fd int, err error) {
	fd, err = unix.MemfdCreate("logfile", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, -1, fmt.Errorf("log file position: memfd_create: %w", err)
	}
	if err = unix.Ftruncate(fd, pageSize); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	}
	if err == nil {
		p, err = mapPosition(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, -1, fmt.Errorf("log file position: %w", err)
	}
	p.word(offMagic).Store(magic)
	return p, fd, nil
}

var errNoPosition = errors.New("log file position: unreadable")

// OpenPosition takes over what an earlier epoch has left in fd, which the caller
// may then close.
func OpenPosition(fd int) (*Position, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("log file position: fstat: %w", err)
	}
	// A mapping that somebody can shrink is a SIGBUS to come.
	if s, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0); err != nil || s&unix.F_SEAL_SHRINK == 0 || st.Size != pageSize {
		return nil, errNoPosition
	}
	p, err := mapPosition(fd)
	if err == nil && p.word(offMagic).Load() != magic {
		p.Close()
		return nil, errNoPosition
	}
	return p, err
}

func mapPosition(fd int) (*Position, error) {
	mem, err := unix.Mmap(fd, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return &Position{mem}, nil
}

// Close unmaps it; no File may use it any more.
func (p *Position) Close() { unix.Munmap(p.mem) }

func (p *Position) word(off int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&p.mem[off]))
}

func (p *Position) done() uint64 { return p.word(offDone).Load() }

// plan comes before a write of length bytes behind size, the last line of which
// is seq.
func (p *Position) plan(seq uint64, st *unix.Stat_t, length int) {
	p.word(offSize).Store(uint64(st.Size))
	p.word(offLength).Store(uint64(length))
	p.word(offInode).Store(st.Ino)
	p.word(offPlan).Store(seq)
}

func (p *Position) planned() bool { return p.word(offPlan).Load() > p.done() }

// commit says that the write was made, drop that it was not.
func (p *Position) commit() { p.word(offDone).Store(p.word(offPlan).Load()) }
func (p *Position) drop()   { p.word(offPlan).Store(0) }

// settle finds out whether the write under way when an earlier epoch died was
// made. What there is of a part of it is cut off. Fd is the file now, open.
func (p *Position) settle(fd int, st *unix.Stat_t) error {
	before, length := p.word(offSize).Load(), p.word(offLength).Load()
	size := uint64(st.Size)
	switch {
	case st.Ino != p.word(offInode).Load() || size <= before:
		p.drop()
	case size >= before+length:
		p.commit()
	default:
		if err := unix.Ftruncate(fd, int64(before)); err != nil {
			return fmt.Errorf("ftruncate: %w", err)
		}
		p.drop()
	}
	return nil
}
