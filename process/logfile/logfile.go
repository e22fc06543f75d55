// Package logfile appends the log of a unit to a file.
//
// # Sparing flash
//
// The lines wait in the unit's ring, which has them anyway. Once in an interval
// what is new is written, with one write(2) for each 64 KiB; nothing is synced,
// the kernel does that in its own time. When more comes in an interval than the
// ring holds, or the disk is away for long, the oldest lines are dropped, and the
// file says how many.
//
// # Trouble
//
// A disk that is not mounted yet, is full, read-only, pulled or hangs: each file
// has a goroutine of its own, which alone waits for it; the file is open only
// while it is written, so it keeps nobody from unmounting. One warning is said
// when the trouble begins, one line when it is over. Nothing is ever written to
// the root file system if that is memory: there the mount is missing.
//
// # Dying
//
// Position holds which line was written last, and the write under way. So the
// next epoch writes no line twice and leaves none out, also when the last one
// was killed in the midst of a write.
package logfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/process/ring"
	"hoopy/unit"
)

// What a unit.LogFile of zeros means.
const (
	DefaultSize  = 1 << 20
	DefaultEvery = 30 * time.Second
)

const batchMax = 64 << 10 // bytes of a write; one line more than that at most

// Config is what a File works with. All but Fault is needed.
type Config struct {
	unit.LogFile        // Size 0: DefaultSize; Count 0: 1, the current one alone; Every 0: DefaultEvery
	Unit         string // for what is said
	Ring         *ring.Ring
	Position     *Position // the file's until it is done
	Before       *File     // is ended, and waited for first; nil: none
	Say          func(string)
	// Fault is told of a panic. The process is expected to end; nil: the panic is
	// said and costs the file.
	Fault func(what any, stack []byte)
}

// File is a log file that is being written.
type File struct {
	cfg  Config
	end  chan struct{}
	done chan struct{}

	mu    sync.Mutex
	ended bool
	over  bool
	after []func()

	trouble bool // was said
	buf     []byte
}

// Open begins to write; the first time after one interval.
func Open(c Config) *File {
	if c.Size <= 0 {
		c.Size = DefaultSize
	}
	if c.Every <= 0 {
		c.Every = DefaultEvery
	}
	f := &File{cfg: c, end: make(chan struct{}), done: make(chan struct{})}
	if c.Before != nil {
		c.Before.End(nil)
	}
	go f.run()
	return f
}

// End asks for a last write, and then for the end. It does not wait; after, unless
// nil, is called then, by the file's goroutine.
func (f *File) End(after func()) {
	f.mu.Lock()
	if !f.ended {
		f.ended = true
		close(f.end)
	}
	if after != nil && !f.over {
		f.after = append(f.after, after)
		after = nil
	}
	f.mu.Unlock()
	if after != nil {
		after()
	}
}

// finish tells those who wait for the end.
func (f *File) finish() {
	f.mu.Lock()
	f.over = true
	f.mu.Unlock()
	for _, after := range f.after {
		after()
	}
	close(f.done)
}

// Wait waits for that, at most until the deadline; false: it goes on.
func (f *File) Wait(deadline <-chan time.Time) bool {
	select {
	case <-f.done:
		return true
	case <-deadline:
		return false
	}
}

func (f *File) run() {
	defer func() {
		if v := recover(); v != nil {
			if f.cfg.Fault != nil {
				f.cfg.Fault(v, debug.Stack())
			}
			f.say(fmt.Sprintf("panic: %v", v))
		}
		f.finish()
	}()
	if f.cfg.Before != nil {
		<-f.cfg.Before.done // or never, on a dead disk: it has the position
		f.cfg.Before = nil
	}
	tick := time.NewTicker(f.cfg.Every)
	defer tick.Stop()
	for last := false; !last; {
		select {
		case <-tick.C:
		case <-f.end:
			last = true
		}
		err := f.write()
		f.buf = nil // for half a minute it would be a waste
		switch {
		case err != nil && !f.trouble:
			f.trouble = true
			f.say(err.Error() + "; its lines wait in memory")
		case err == nil && f.trouble:
			f.trouble = false
			f.say("is written again")
		}
	}
}

func (f *File) say(text string) {
	f.cfg.Say("unit " + f.cfg.Unit + ": log file " + strconv.Quote(f.cfg.Path) + ": " + text)
}

// write writes what is new.
func (f *File) write() error {
	p := f.cfg.Position
	if p.planned() {
		if err := f.settle(); err != nil {
			return err
		}
	}
	lines := f.cfg.Ring.After(p.done())
	// A ring that is written faster than a file has no end: its size is.
	for written := 0; written < ring.EssentialSize; written += len(f.buf) {
		seq := f.fill(lines)
		if len(f.buf) == 0 {
			return nil
		}
		if err := f.append(seq); err != nil {
			return err
		}
	}
	return nil
}

// fill puts lines into the buffer and returns the sequence of the last.
func (f *File) fill(lines *ring.Cursor) (seq uint64) {
	var boot unix.Timespec
	unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) // exists since Linux 2.6.39
	began := time.Now().UTC().Add(-time.Duration(boot.Nano()))
	f.buf = f.buf[:0]
	for len(f.buf) < batchMax {
		l, ok := lines.Next()
		if !ok {
			break
		}
		at := began.Add(time.Duration(l.Stamp))
		if l.Lost > 0 {
			f.buf = append(at.AppendFormat(f.buf, stampForm), "hoopy: "...)
			f.buf = append(strconv.AppendUint(f.buf, l.Lost, 10), " lines lost\n"...)
		}
		f.buf = at.AppendFormat(f.buf, stampForm)
		f.buf = append(escape(f.buf, l.Text), '\n')
		seq = l.Seq
	}
	return seq
}

const stampForm = "2006-01-02T15:04:05.000Z "

// escape makes control characters visible: the file is read on terminals.
func escape(b []byte, text string) []byte {
	const hex = "0123456789abcdef"
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// append writes the buffer, whole or not at all.
func (f *File) append(seq uint64) error {
	fd, st, err := f.open()
	if err != nil {
		return err
	}
	defer func() { unix.Close(fd) }()
	if st.Size > 0 && st.Size+int64(len(f.buf)) > f.cfg.Size {
		if err := f.rotate(); err != nil {
			return err
		}
		unix.Close(fd)
		if fd, st, err = f.open(); err != nil {
			fd = -1
			return err
		}
	}
	if st.Size > 0 { // a line that the end of the machine has torn
		var last [1]byte
		if n, err := unix.Pread(fd, last[:], st.Size-1); err == nil && n == 1 && last[0] != '\n' {
			f.buf = append(f.buf, 0)
			copy(f.buf[1:], f.buf)
			f.buf[0] = '\n'
		}
	}
	f.cfg.Position.plan(seq, st, len(f.buf))
	n, err := write(fd, f.buf)
	if err == nil {
		f.cfg.Position.commit()
		return nil
	}
	if n > 0 {
		if err := unix.Ftruncate(fd, st.Size); err != nil {
			return fmt.Errorf("ftruncate: %w", err) // settled at the next write
		}
	}
	f.cfg.Position.drop()
	return err
}

func write(fd int, b []byte) (n int, err error) {
	for n < len(b) {
		k, err := unix.Write(fd, b[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, fmt.Errorf("write: %w", err)
		}
		n += k
	}
	return n, nil
}

var errNoFile = errors.New("is no regular file")

// open opens the file, made with its directory if need be: mode 0600, for logs
// can hold secrets.
func (f *File) open() (int, *unix.Stat_t, error) {
	dir := filepath.Dir(f.cfg.Path)
	if err := mounted(dir); err != nil {
		return -1, nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return -1, nil, err
	}
	const flags = unix.O_RDWR | unix.O_APPEND | unix.O_CREAT | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Open(f.cfg.Path, flags, 0o600)
	if err != nil {
		return -1, nil, fmt.Errorf("open: %w", err)
	}
	st := new(unix.Stat_t)
	if err = unix.Fstat(fd, st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errNoFile
	}
	if err != nil {
		unix.Close(fd)
		return -1, nil, err
	}
	return fd, st, nil
}

var errNotMounted = errors.New("its disk is not mounted")

// mounted refuses a directory on the root file system, if that is memory.
func mounted(dir string) error {
	var root unix.Statfs_t
	if err := unix.Statfs("/", &root); err != nil || root.Type != unix.TMPFS_MAGIC && root.Type != unix.RAMFS_MAGIC {
		return nil
	}
	var top, st unix.Stat_t
	if err := unix.Stat("/", &top); err != nil {
		return fmt.Errorf("stat %q: %w", "/", err)
	}
	for {
		err := unix.Stat(dir, &st)
		if err == nil {
			break
		}
		if parent := filepath.Dir(dir); err == unix.ENOENT && parent != dir {
			dir = parent
			continue
		}
		return fmt.Errorf("stat %q: %w", dir, err)
	}
	if st.Dev == top.Dev {
		return errNotMounted
	}
	return nil
}

// rotate renames FILE to FILE.1, FILE.1 to FILE.2 and so on, the last first, so
// that whoever dies in the midst has lost none; with a Count of 1 the file begins
// anew.
func (f *File) rotate() error {
	name := func(n int) string {
		if n == 0 {
			return f.cfg.Path
		}
		return f.cfg.Path + "." + strconv.Itoa(n)
	}
	if f.cfg.Count <= 1 {
		if err := unix.Unlink(f.cfg.Path); err != nil {
			return fmt.Errorf("unlink: %w", err)
		}
		return nil
	}
	free := 1 // what somebody who died has left free, or the last
	for free < f.cfg.Count-1 && unix.Access(name(free), unix.F_OK) == nil {
		free++
	}
	for n := free - 1; n >= 0; n-- {
		if err := unix.Rename(name(n), name(n+1)); err != nil && err != unix.ENOENT {
			return fmt.Errorf("rename %q: %w", name(n), err)
		}
	}
	return nil
}

// settle opens the file as it is, for Position.settle.
func (f *File) settle() error {
	if err := mounted(filepath.Dir(f.cfg.Path)); err != nil {
		return err
	}
	fd, err := unix.Open(f.cfg.Path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		f.cfg.Position.drop()
		return nil
	}
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("fstat: %w", err)
	}
	return f.cfg.Position.settle(fd, &st)
}
