package keeper

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWishes(t *testing.T) {
	want := map[syscall.Signal]uint64{
		unix.SIGTERM: HowReboot, unix.SIGINT: HowReboot, unix.SIGUSR1: HowHalt,
		unix.SIGUSR2: HowPowerOff, unix.SIGPWR: HowPowerOff,
	}
	for n := syscall.Signal(1); n <= 64; n++ {
		w := wishOf(n)
		if w.how() != want[n] {
			t.Errorf("signal %d ends as %d, want %d", n, w.how(), want[n])
		}
		if (w == wishReload) != (n == unix.SIGHUP) {
			t.Errorf("signal %d: reload", n)
		}
	}
}

func TestPresses(t *testing.T) {
	var p presses
	for i := range 20 { // slower than seven in two seconds
		if p.press(Duration(i) * 400 * Millisecond) {
			t.Fatalf("press %d of a slow row is taken for the seventh", i)
		}
	}
	p = presses{}
	for i := range 7 {
		if got := p.press(5*Second + Duration(i)*300*Millisecond); got != (i == 6) {
			t.Errorf("press %d: %v", i, got)
		}
	}
}
