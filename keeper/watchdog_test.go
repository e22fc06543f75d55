package keeper

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWatchdog: a device that comes late is found, fed on time, and not fed
// when the machine is not worth keeping.
func TestWatchdog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "watchdog")
	d := watchdog{fd: -1}
	d.open(path, nil)
	fed := func() int {
		b, err := os.ReadFile(path)
		if err != nil {
			return -1
		}
		return len(b)
	}
	now := d.next
	step := func(well bool) int {
		now = d.next
		d.feed(now, well, nil)
		return fed()
	}
	if step(true) != -1 {
		t.Fatal("a device that is not there is made")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	defer func() { closeFD(d.fd) }()
	for i := 1; i <= 3; i++ {
		if got := step(true); got != i {
			t.Errorf("fed %d times, want %d", got, i)
		}
		d.feed(now+feedEvery-1, true, nil)
		if got := fed(); got != i {
			t.Errorf("fed before its time")
		}
	}
	if got := step(false); got != 3 {
		t.Errorf("fed although all is lost")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b {
		if c == 'V' {
			t.Error("the byte that disarms was written")
		}
	}
}

func TestWatchdogIsGivenUp(t *testing.T) {
	d := watchdog{fd: -1}
	d.open(filepath.Join(t.TempDir(), "none"), nil)
	for tries := 0; d.next != 0; tries++ {
		if tries > 20 {
			t.Fatal("looked for without end")
		}
		d.feed(d.next, true, nil)
	}
	none := watchdog{}
	none.open("-", nil)
	if none.next != 0 || none.fd != -1 {
		t.Errorf("none is wanted: %+v", none)
	}
}

// TestWellKept says when the watchdog may be fed.
func TestWellKept(t *testing.T) {
	for _, c := range []struct {
		name string
		k    keeper
		want bool
	}{
		{"the boot", keeper{}, true},
		{"safe mode, being replaced", keeper{deaths: deaths{mode: safe}}, true},
		{"rescue with a shell", keeper{deaths: deaths{mode: rescue}, shell: shell{pid: 7}}, true},
		{"rescue without one", keeper{deaths: deaths{mode: rescue}}, false},
		{"rescue, a supervisor answers", keeper{deaths: deaths{mode: rescue}, sup: supervisor{helloed: true}}, true},
		{"the end", keeper{how: HowReboot, deadline: 11}, true},
		{"the end is overdue", keeper{how: HowReboot, deadline: 10}, false},
	} {
		if got := c.k.wellKept(10); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
