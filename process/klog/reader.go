package klog

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"hoopy/process/ring"
	"hoopy/unit"
)

// recordMax is CONSOLE_EXT_LOG_MAX of the kernels that have the longest records.
const recordMax = 8192

// Reader is a ring.Source of the kernel's records. It belongs to one goroutine.
//
// # Stamps
//
// The kernel's stamps are of local_clock(), which begins with the machine, does
// not count the time of suspends and is not steered by NTP. What is added is the
// time that the machine has slept: right to the drift of the processor's clock
// (some seconds in a month, as with dmesg -T), but for records before a sleep.
type Reader struct {
	file  *os.File
	conn  syscall.RawConn
	slept unit.Time

	seq    uint64 // of the last record that was read; read says whether there is one
	read   bool
	from   unit.Time // older records are passed
	last   unit.Time
	buf    [recordMax]byte
	done   chan struct{}      // closed when the goroutine of Follow has ended; nil: none began
	rewind func(fd int) error // to the oldest record
}

// Open opens path, /dev/kmsg, and stands before the oldest record. Only root may.
func Open(path string) (*Reader, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("kernel log: open %q: %w", path, err)
	}
	r, err := newReader(fd)
	if err != nil {
		return nil, err
	}
	r.rewind = func(fd int) error {
		_, err := unix.Seek(fd, 0, unix.SEEK_SET)
		return err
	}
	return r, nil
}

// newReader takes fd over.
func newReader(fd int) (*Reader, error) {
	r := &Reader{file: os.NewFile(uintptr(fd), "kmsg"), rewind: func(int) error { return nil }}
	var mono, boot unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) // both clocks exist since Linux 2.6.39
	unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)
	r.slept = unit.Time(boot.Nano() - mono.Nano())
	var err error
	if r.conn, err = r.file.SyscallConn(); err != nil {
		r.file.Close()
		return nil, fmt.Errorf("kernel log: %w", err)
	}
	return r, nil
}

// Next gives the next record. Lost counts those that were overwritten between it
// and the one before.
func (r *Reader) Next() (l ring.Line, ok bool) {
	for {
		rec, ok := r.receive()
		if !ok {
			return l, false
		}
		l = ring.Line{Seq: rec.Seq, Stamp: max(r.last, unit.Time(rec.Usec)*1000+r.slept),
			Text: rec.Text, Severity: rec.Severity, Facility: rec.Facility}
		if r.read && rec.Seq > r.seq+1 {
			l.Lost = rec.Seq - r.seq - 1
		}
		r.seq, r.read, r.last = rec.Seq, true, l.Stamp
		if l.Stamp >= r.from {
			return l, true
		}
	}
}

// receive reads the next record that is one.
func (r *Reader) receive() (rec Record, ok bool) {
	for !ok {
		var n int
		var err error
		if r.conn.Control(func(fd uintptr) { n, err = unix.Read(int(fd), r.buf[:]) }) != nil {
			return rec, false // closed
		}
		switch {
		case err == unix.EPIPE, err == unix.EINTR: // EPIPE: the sequence says how many
			continue
		case err != nil || n <= 0:
			return rec, false
		}
		rec, ok = Parse(r.buf[:n])
	}
	return rec, true
}

// Seek passes what is older than stamp.
func (r *Reader) Seek(stamp unit.Time) { r.from = max(r.from, stamp) }

// Stamps reads what there is, and goes back to the oldest record. It comes before
// Next.
func (r *Reader) Stamps(yield func(unit.Time)) {
	for {
		l, ok := r.Next()
		if !ok {
			break
		}
		yield(l.Stamp)
	}
	r.conn.Control(func(fd uintptr) { r.rewind(int(fd)) })
	r.read, r.last = false, 0
}

// Follow has a value sent to more, without waiting, when records have come.
// Called once; Close ends it.
func (r *Reader) Follow(more chan<- struct{}) {
	r.done = make(chan struct{})
	go func() {
		defer close(r.done)
		defer func() { _ = recover() }() // then nothing is followed any more
		for {
			// What comes after the first call ends the wait for the second.
			waited := false
			err := r.conn.Read(func(uintptr) bool {
				select {
				case more <- struct{}{}:
				default:
				}
				was := waited
				waited = true
				return was
			})
			if err != nil {
				return
			}
		}
	}()
}

// Close ends everything.
func (r *Reader) Close() {
	r.file.Close()
	if r.done != nil {
		<-r.done
	}
}
