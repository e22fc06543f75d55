package kmsg

import "golang.org/x/sys/unix"

// sink is one of the two places lines go to, with what it refused.
type sink struct {
	fd      int
	dropped int64
	patient int64 // no wait before, in nanoseconds on CLOCK_MONOTONIC

	testOnlyPatience int // ms, beside patience
}

// A terminal that another process writes to at the moment turns us away (the
// kernel's tty_write_lock), and so does one that has no room; no poll(2) tells
// which. So a line waits a moment; if that was in vain, none waits until one has
// passed and a second is over.
const (
	patience   = 100 // ms
	notPatient = 1e9 // ns
)

func (s *sink) open(path string, flags int) {
	if s.fd >= 0 {
		return
	}
	fd, err := unix.Open(path, flags|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	s.fd = fd
}

func (s *sink) close() {
	if s.fd >= 0 {
		_ = unix.Close(s.fd) // nothing is buffered
	}
	s.fd = -1
}

// write makes one write(2) of b, after one that says what was dropped before.
func (s *sink) write(b []byte) {
	if s.fd < 0 {
		return
	}
	if s.dropped > 0 {
		var buf [64]byte
		note := append(buf[:0], "<28>hoopy: "...)
		if b[0] != '<' {
			note = note[:0]
		}
		note = appendInt(note, s.dropped)
		note = append(note, " lines were dropped here\r\n"...)
		if b[0] == '<' {
			note = append(note[:len(note)-2], '\n')
		}
		if !s.put(note) {
			s.dropped++
			return
		}
		s.dropped = 0
	}
	if !s.put(b) {
		s.dropped++
	}
}

// put reports whether b was taken, if only in part: what is cut off then is
// the end of a line.
func (s *sink) put(b []byte) (taken bool) {
	left := 0
	if s.dropped == 0 && now() >= s.patient {
		left = patience + s.testOnlyPatience
	}
	for {
		n, err := unix.Write(s.fd, b)
		if n > 0 {
			taken = true
			b = b[n:]
		}
		switch {
		case len(b) == 0:
			return true
		case err != nil && err != unix.EAGAIN && err != unix.EINTR:
			return taken
		case left == 0:
			s.patient = now() + notPatient
			return taken
		}
		left--
		_, _ = unix.Poll(nil, 1) // a bounded wait; EINTR shortens it
	}
}

func now() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail: the clock is known
	return ts.Nano()
}

// consoleLevel is the first number in /proc/sys/kernel/printk: 0 when it cannot
// be read, and then levels stay as they are.
func consoleLevel(path string) Level {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var b [16]byte
	n, err := unix.Read(fd, b[:])
	if err != nil || n < 1 || b[0] < '0' || b[0] > '9' {
		return 0
	}
	return min(Level(b[0]-'0'), Debug)
}

// DevkmsgOn turns off the rate limit of /dev/kmsg for user space, which is 10
// lines in 5 seconds otherwise (kernel.printk_devkmsg).
func DevkmsgOn() error {
	fd, err := unix.Open("/proc/sys/kernel/printk_devkmsg", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte("on\n"))
	return err
}

// Num is n in decimal, for callers that do without fmt and strconv.
func Num(n int64) string { return string(appendInt(make([]byte, 0, 20), n)) }

// Seconds is a length of time given in nanoseconds, as "3.9 s".
func Seconds(ns int64) string {
	tenths := (ns + 5e7) / 1e8
	return Num(tenths/10) + "." + Num(tenths%10) + " s"
}

func appendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendUint(append(b, '-'), uint64(-n))
	}
	return appendUint(b, uint64(n))
}

func appendUint(b []byte, n uint64) []byte {
	var digits [20]byte
	i := len(digits)
	for {
		i--
		digits[i] = byte('0' + n%10)
		n /= 10
		if n == 0 {
			return append(b, digits[i:]...)
		}
	}
}
