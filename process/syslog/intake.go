package syslog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"hoopy/process/ring"
)

// intake is the memory that a datagram arrives in, a memfd that outlives us:
// recvmsg(2) puts the bytes and the sender's credentials there, and until the
// line is in its ring and the memory zeroed, the next epoch finds it.
//
//	 0  magic
//	 8  plan: 0 there is none; else the stamp with which the datagram is posted
//	16  done: the plan that was carried out
//	24  length of the name of the ring of the plan, and at 32 the name
//	control  credentials of the sender, as control message
//	stage    the datagram, zeroed before
//
// A plan that is not done may have been carried out all the same; then the ring
// has a line with that stamp, see ring.Posted.
type intake struct {
	mem, control, stage []byte
}

const (
	magic = 0x31676c73796f7068 // "hpoyslg1", read as a number

	offMagic = 0
	offPlan  = 8
	offDone  = 16
	offName  = 24

	nameMax     = 255
	controlAt   = 512
	stageAt     = 4096
	stageSize   = ring.LineMax + 4096 // more of a datagram is cut off
	intakeSize  = stageAt + stageSize
	controlSize = 16 + 16 // CmsgSpace of struct ucred on 64 bits: room for no descriptor beside
)

const intakeSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

func newIntake() (*intake, int, error) {
	fd, err := unix.MemfdCreate("syslog", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, -1, fmt.Errorf("memfd_create: %w", err)
	}
	err = unix.Ftruncate(fd, intakeSize)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, intakeSeals)
	}
	var in *intake
	if err == nil {
		in, err = mapIntake(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, -1, err
	}
	in.word(offMagic).Store(magic)
	return in, fd, nil
}

var errNoIntake = errors.New("the memory that was kept is no intake")

func openIntake(fd int) (*intake, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("fstat: %w", err)
	}
	// A mapping that somebody can shrink is a SIGBUS to come.
	if s, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0); err != nil || s&unix.F_SEAL_SHRINK == 0 || st.Size != intakeSize {
		return nil, errNoIntake
	}
	in, err := mapIntake(fd)
	if err == nil && in.word(offMagic).Load() != magic {
		in.close()
		return nil, errNoIntake
	}
	return in, err
}

// mapIntake maps with all pages there: the kernel drops a datagram that it cannot
// copy, and a process that is being killed gets no page any more.
func mapIntake(fd int) (*intake, error) {
	mem, err := unix.Mmap(fd, 0, intakeSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return &intake{mem: mem, control: mem[controlAt : controlAt+controlSize : controlAt+controlSize], stage: mem[stageAt:]}, nil
}

func (in *intake) close() { unix.Munmap(in.mem) }

func (in *intake) word(off int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&in.mem[off]))
}

// plan says that the datagram will be in the ring called name, with stamp.
func (in *intake) plan(name string, stamp uint64) {
	in.word(offPlan).Store(0)
	in.word(offDone).Store(0)
	n := copy(in.mem[offName+8:offName+8+nameMax], name)
	in.word(offName).Store(uint64(n))
	in.word(offPlan).Store(stamp)
}

// done says that it is there. Only then, and only for this plan, may the
// datagram be forgotten.
func (in *intake) done() { in.word(offDone).Store(in.word(offPlan).Load()) }

// planned is the plan that may not have been carried out; stamp 0: there is none.
func (in *intake) planned() (name string, stamp uint64) {
	n := min(in.word(offName).Load(), nameMax)
	return string(in.mem[offName+8 : offName+8+n]), in.word(offPlan).Load()
}

func (in *intake) isDone() bool {
	p := in.word(offPlan).Load()
	return p != 0 && p == in.word(offDone).Load()
}

// clear empties the stage of n bytes, and then forgets the plan.
func (in *intake) clear(n int) {
	clear(in.stage[:n])
	clear(in.control)
	in.word(offPlan).Store(0)
}

// held is how many bytes of a datagram the stage has; zeros at its end are none.
func (in *intake) held() int { return len(bytes.TrimRight(in.stage, "\x00")) }

// sender reads the process from the control message; 0: nobody we can see.
func (in *intake) sender() int {
	ne := binary.NativeEndian
	if ne.Uint32(in.control[8:]) != unix.SOL_SOCKET || ne.Uint32(in.control[12:]) != unix.SCM_CREDENTIALS {
		return 0
	}
	return int(int32(ne.Uint32(in.control[16:])))
}
