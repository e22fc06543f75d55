//go:build priv

package klog

import (
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// TestKernel writes to the kernel's log and finds it there, at the right time.
func TestKernel(t *testing.T) {
	r, err := Open("/dev/kmsg")
	if err != nil {
		t.Skip(err)
	}
	defer r.Close()
	w, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer w.Close()
	now := func() unit.Time {
		var ts unix.Timespec
		unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
		return unit.Time(ts.Nano())
	}
	more := make(chan struct{}, 1)
	before := now()
	count := 0
	r.Stamps(func(s unit.Time) { count++ })
	text := "hoopy test " + strconv.Itoa(os.Getpid()) + " ü"
	if _, err := w.WriteString("<27>" + text + "\n"); err != nil {
		t.Fatal(err)
	}
	r.Follow(more)
	seen := 0
	for end := time.After(time.Minute); ; {
		l, ok := r.Next()
		if !ok {
			select {
			case <-more:
			case <-end:
				t.Fatalf("not found in %d records", seen)
			}
			continue
		}
		seen++
		if l.Text != text {
			continue
		}
		const drift = unit.Time(10 * time.Second)
		if l.Stamp < before-drift || l.Stamp > now()+drift || l.Severity != 4 || l.Facility != 3 {
			t.Errorf("at %d, written between %d and %d: %+v", l.Stamp, before, now(), l)
		}
		t.Logf("%d records, %v from the right time", seen, time.Duration(l.Stamp-before))
		break
	}
	if seen <= count {
		t.Errorf("%d records now, %d before", seen, count)
	}
}
