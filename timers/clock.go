package timers

import (
	"errors"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit/schedule"
)

// clock is what Run needs of time.
type clock interface {
	now() schedule.Now
	// arm has woken give a token at that CLOCK_BOOTTIME, instead of what was
	// armed before; 0: at none.
	arm(at time.Duration)
	// woken gives a token also when the wall clock was set.
	woken() <-chan struct{}
	close()
}

// never is a wall time that does not come; the kernel takes more seconds, but
// nobody else does.
const never = 1 << 40

// kernelClock is the clocks of the machine.
type kernelClock struct {
	alarm, sets *os.File // timerfds: CLOCK_BOOTTIME, CLOCK_REALTIME
	token       chan struct{}
	readers     sync.WaitGroup
}

// openClock opens the timers. lost is called, from a goroutine, when one can no
// longer be read.
func openClock(lost func(error), fault func(any, []byte)) (clock, error) {
	k := &kernelClock{token: make(chan struct{}, 1)}
	var err error
	if k.alarm, err = timerFD(unix.CLOCK_BOOTTIME); err != nil {
		return nil, err
	}
	if k.sets, err = timerFD(unix.CLOCK_REALTIME); err == nil {
		err = k.watchSets()
	}
	if err != nil {
		k.close()
		return nil, err
	}
	for _, f := range []*os.File{k.alarm, k.sets} {
		k.readers.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					fault(v, debug.Stack())
				}
			}()
			if err := k.read(f); !errors.Is(err, os.ErrClosed) {
				lost(err)
			}
		})
	}
	return k, nil
}

func timerFD(clock int) (*os.File, error) {
	fd, err := unix.TimerfdCreate(clock, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("timers: timerfd_create", err)
	}
	return os.NewFile(uintptr(fd), "timerfd"), nil
}

// read gives a token for each time that f has run out, or was cancelled because
// the clock was set.
func (k *kernelClock) read(f *os.File) error {
	var b [8]byte
	for {
		if _, err := f.Read(b[:]); errors.Is(err, unix.ECANCELED) {
			if err := k.watchSets(); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		select {
		case k.token <- struct{}{}:
		default:
		}
	}
}

func (k *kernelClock) watchSets() error {
	return settime(k.sets, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, unix.Timespec{Sec: never})
}

func settime(f *os.File, flags int, at unix.Timespec) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var errno error
	if err := raw.Control(func(fd uintptr) {
		errno = unix.TimerfdSettime(int(fd), flags, &unix.ItimerSpec{Value: at}, nil)
	}); err != nil {
		return err
	}
	return os.NewSyscallError("timers: timerfd_settime", errno)
}

func (k *kernelClock) arm(at time.Duration) {
	// The time is valid and the descriptor a timer: there is no error left.
	_ = settime(k.alarm, unix.TFD_TIMER_ABSTIME, unix.NsecToTimespec(int64(at)))
}

func (k *kernelClock) woken() <-chan struct{} { return k.token }

// now takes both clocks at one moment, or, on a machine that is very busy, at
// nearly one.
func (k *kernelClock) now() (n schedule.Now) {
	const apart, tries = time.Millisecond, 10
	n.Zone = time.Local
	for range tries {
		before := read(unix.CLOCK_BOOTTIME)
		n.Wall = read(unix.CLOCK_REALTIME)
		n.Boot = read(unix.CLOCK_BOOTTIME)
		if n.Boot-before < apart {
			break
		}
	}
	return n
}

func read(clock int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		panic(err) // both exist since Linux 2.6.39
	}
	return time.Duration(ts.Nano())
}

// close ends the readers and waits for them: they hang in nothing but a read
// that closing ends.
func (k *kernelClock) close() {
	for _, f := range []*os.File{k.alarm, k.sets} {
		if f != nil {
			_ = f.Close() // nothing is written to it
		}
	}
	k.readers.Wait()
}
