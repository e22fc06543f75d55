package acpi

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// push is what a machine sent (qemu, system_powerdown): pressed, end of report,
// released, end of report.
const push = "aecf006b00000000897e030000000000" + "0100740001000000" +
	"aecf006b00000000897e030000000000" + "0000000000000000" +
	"aecf006b00000000897e030000000000" + "0100740000000000" +
	"aecf006b00000000897e030000000000" + "0000000000000000"

func decode(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLayout holds our numbers against the C structures.
func TestLayout(t *testing.T) {
	type inputEvent struct { // linux/input.h, 64 bit
		_     unix.Timeval
		kind  uint16
		code  uint16
		value int32
	}
	var e inputEvent
	if unsafe.Sizeof(e) != eventSize || unsafe.Offsetof(e.kind) != 16 || unsafe.Offsetof(e.code) != 18 || unsafe.Offsetof(e.value) != 20 {
		t.Errorf("struct input_event: %d %d %d %d", unsafe.Sizeof(e), unsafe.Offsetof(e.kind), unsafe.Offsetof(e.code), unsafe.Offsetof(e.value))
	}
	var m inputMask
	if unsafe.Sizeof(m) != 16 || unsafe.Offsetof(m.codes) != 8 {
		t.Errorf("struct input_mask: %d %d", unsafe.Sizeof(m), unsafe.Offsetof(m.codes))
	}
	// Printed by a C program: EVIOCGBIT(EV_KEY, 96), EVIOCSMASK.
	if request, mask := uintptr(eviocgbitKey), uintptr(eviocsmask); request != 0x80604521 || mask != 0x40104593 {
		t.Errorf("ioctls %#x %#x", request, mask)
	}
}

func TestPresses(t *testing.T) {
	const stamp = "00000000000000000000000000000000"
	for name, row := range map[string]struct {
		hex  string
		want int
	}{
		"push":         {push, 1},
		"nothing":      {"", 0},
		"two":          {push + push, 2},
		"repeated":     {stamp + "0100740002000000", 0},
		"released":     {stamp + "0100740000000000", 0},
		"another key":  {stamp + "01001e0001000000", 0},
		"another type": {stamp + "0400740001000000", 0},
		"cut":          {stamp + "010074000100", 0},
	} {
		if got := presses(decode(t, row.hex)); got != row.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func FuzzPresses(f *testing.F) {
	f.Add([]byte(push))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := presses(b); n < 0 || n > len(b)/eventSize {
			t.Error(n)
		}
	})
}

const bound = time.Minute // for anything that is expected to happen

// desk is a Source whose devices are pipes.
type desk struct {
	*Source
	mu    sync.Mutex
	pipes map[string]*os.File // what is written there is read as events
	press chan time.Time
	logs  chan string
	ended chan error
}

func newDesk(t *testing.T, present ...string) *desk {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "dev/input"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range present {
		if err := os.WriteFile(filepath.Join(root, "dev/input", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := &desk{
		pipes: map[string]*os.File{}, press: make(chan time.Time, 16),
		logs: make(chan string, 64), ended: make(chan error, 1),
	}
	d.Source = New(Config{
		Root: root, Press: func() { d.press <- time.Now() }, Log: func(s string) { d.logs <- s },
		testOnlyOpen: d.open,
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { d.ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-d.ended:
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		case <-time.After(bound):
			t.Error("Run does not end")
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, w := range d.pipes {
			_ = w.Close()
		}
	})
	return d
}

func (d *desk) open(path string) (*os.File, error) {
	name := filepath.Base(path)
	switch name {
	case "event0":
		return nil, errNoButton
	case "event8":
		return nil, unix.EACCES
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pipes["input/"+name] = w
	return r, nil
}

func (d *desk) said(t *testing.T, want string) {
	t.Helper()
	for {
		select {
		case got := <-d.logs:
			if got == want {
				return
			}
			t.Logf("log: %s", got)
		case <-time.After(bound):
			t.Fatalf("%q is not logged", want)
		}
	}
}

func (d *desk) pipe(name string) *os.File {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pipes[name]
}

func TestButtons(t *testing.T) {
	d := newDesk(t, "event0", "event1", "mouse0")
	d.said(t, "power button on input/event1")
	if _, err := d.pipe("input/event1").Write(decode(t, push)); err != nil {
		t.Fatal(err)
	}
	<-d.press
	// A second device comes late, twice; the first is unplugged.
	d.Add("input/event2")
	d.Add("input/event2")
	d.Add("input/mouse1")
	d.Add("sda")
	d.said(t, "power button on input/event2")
	if err := d.pipe("input/event1").Close(); err != nil {
		t.Fatal(err)
	}
	d.said(t, "power button input/event1: EOF")
	d.Add("input/event8")
	d.said(t, "power button input/event8: permission denied")
	// Removed and back under the same name.
	old := d.pipe("input/event2")
	d.Remove("input/event2")
	d.Remove("input/event9")
	d.Add("input/event2")
	d.said(t, "power button on input/event2")
	// The old reader may take a moment to close; then the pipe breaks.
	if err := old.SetWriteDeadline(time.Now().Add(bound)); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		_, err = old.Write(decode(t, push))
	}
	if !errors.Is(err, unix.EPIPE) {
		t.Errorf("the removed device is still open: %v", err)
	}
	_ = old.Close()
}

func TestDebounce(t *testing.T) {
	var b bounce
	begin := time.Now()
	var counted []int
	for _, ms := range []int{0, 100, 250, 350, 649, 650, 6000} {
		if b.press(begin.Add(time.Duration(ms) * time.Millisecond)) {
			counted = append(counted, ms)
		}
	}
	if !slices.Equal(counted, []int{0, 350, 650, 6000}) {
		t.Error(counted)
	}
}
