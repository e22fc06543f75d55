package keeper

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// wake is an eventfd: any goroutine adds, the loop's poll(2) returns.
type wake struct{ fd int }

func newWake() (wake, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return wake{fd}, err
}

func (w wake) ring() {
	one := [8]byte{1}
	_, _ = unix.Write(w.fd, one[:]) // EAGAIN: it is ringing already
}

func (w wake) quiet() {
	var b [8]byte
	_, _ = unix.Read(w.fd, b[:]) // EAGAIN: it did not ring
}

// takeSignals takes signals 1 to 64 and returns where all but two of them
// arrive: a Go process that is PID 1 dies of each it has not asked for.
// SIGCHLD only rings, since exits are asked of wait4(2) anyhow; SIGURG is what
// the runtime sends to itself and goes nowhere.
func takeSignals(w wake) <-chan syscall.Signal {
	noise := make(chan os.Signal, 1) // never read: full, it refuses
	children := make(chan os.Signal, 1)
	rest := make(chan os.Signal, 64)
	out := make(chan syscall.Signal, 64)
	for n := syscall.Signal(1); n <= 64; n++ {
		switch n {
		case unix.SIGURG:
			signal.Notify(noise, n)
		case unix.SIGCHLD:
			signal.Notify(children, n)
		default:
			signal.Notify(rest, n)
		}
	}
	// Ends with the process. Nothing in it can panic but a closed channel, and
	// nobody closes these.
	go func() {
		for {
			select {
			case <-children:
			case s := <-rest:
				select {
				case out <- s.(syscall.Signal):
				default: // 64 unread: the loop has lost nothing by the 65th
				}
			}
			w.ring()
		}
	}()
	return out
}

// wish is what a signal asks of PID 1.
type wish uint8

const (
	wishNothing wish = iota
	wishReload
	wishPowerOff
	wishReboot
	wishHalt
)

// wishOf is the table of signals: those of busybox's reboot, halt and poweroff,
// ctrl-alt-del from the kernel, and the power failing.
func wishOf(s syscall.Signal) wish {
	switch s {
	case unix.SIGTERM, unix.SIGINT:
		return wishReboot
	case unix.SIGUSR1:
		return wishHalt
	case unix.SIGUSR2, unix.SIGPWR:
		return wishPowerOff
	case unix.SIGHUP:
		return wishReload
	}
	return wishNothing
}

func (w wish) how() uint64 {
	switch w {
	case wishPowerOff:
		return HowPowerOff
	case wishReboot:
		return HowReboot
	case wishHalt:
		return HowHalt
	}
	return 0
}

// presses counts ctrl-alt-del: the seventh within two seconds means now.
type presses struct {
	at [7]Duration
	n  int
}

func (p *presses) press(now Duration) bool {
	p.at[p.n%len(p.at)] = now
	p.n++
	return p.n >= len(p.at) && now-p.at[p.n%len(p.at)] <= 2*Second
}
