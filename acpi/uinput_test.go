//go:build priv

package acpi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From linux/uinput.h.
const (
	uiSetEvbit   = 0x40045564
	uiSetKeybit  = 0x40045565
	uiDevSetup   = 0x405c5503
	uiDevCreate  = 0x5501
	uiDevDestroy = 0x5502
	uiGetSysname = 0x8040552c // 64 bytes

	keyA = 30
)

// keyboard is an input device of our own making.
type keyboard struct {
	f    *os.File
	node string // "input/event3"
}

func newKeyboard(t *testing.T, keys ...uintptr) *keyboard {
	t.Helper()
	f, err := os.OpenFile("/dev/uinput", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no uinput here (modprobe uinput evdev):", err)
	}
	t.Cleanup(func() { f.Close() })
	control := func(request, arg uintptr) {
		t.Helper()
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, arg); errno != 0 {
			t.Fatalf("uinput %#x: %v", request, errno)
		}
	}
	control(uiSetEvbit, evKey)
	for _, key := range keys {
		control(uiSetKeybit, key)
	}
	var setup [92]byte // struct uinput_setup: id, name[80], ff_effects_max
	copy(setup[8:], "hoopy test")
	if err := ioctl(int(f.Fd()), uiDevSetup, unsafe.Pointer(&setup)); err != nil {
		t.Fatal(err)
	}
	control(uiDevCreate, 0)
	var name [64]byte
	if err := ioctl(int(f.Fd()), uiGetSysname, unsafe.Pointer(&name)); err != nil {
		t.Fatal(err)
	}
	end := bytes.IndexByte(name[:], 0)
	events, err := filepath.Glob(filepath.Join("/sys/devices/virtual/input", string(name[:end]), "event*"))
	if err != nil || len(events) != 1 {
		t.Skip("no event device (modprobe evdev):", events, err)
	}
	return &keyboard{f, "input/" + filepath.Base(events[0])}
}

// push presses and releases a key.
func (k *keyboard) push(t *testing.T, key uint16) {
	t.Helper()
	for _, value := range []uint32{pressed, 0} {
		for _, e := range [][2]uint16{{evKey, key}, {0, 0}} {
			b := make([]byte, eventSize)
			binary.NativeEndian.PutUint16(b[16:], e[0])
			binary.NativeEndian.PutUint16(b[18:], e[1])
			if e[0] == evKey {
				binary.NativeEndian.PutUint32(b[20:], value)
			}
			if _, err := k.f.Write(b); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestUinput reads a real evdev: only the power key comes through, and the end
// of the device is told.
func TestUinput(t *testing.T) {
	plain := newKeyboard(t, keyA)
	if f, err := openButton("/dev/" + plain.node); !errors.Is(err, errNoButton) {
		t.Errorf("without a power key: %v, %v", f, err)
	}
	k := newKeyboard(t, keyA, keyPower)
	f, err := openButton("/dev/" + k.node)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.SetReadDeadline(time.Now().Add(bound)); err != nil {
		t.Fatal(err)
	}
	k.push(t, keyA)
	k.push(t, keyPower)
	buf := make([]byte, 64*eventSize)
	n, err := f.Read(buf)
	if err != nil || presses(buf[:n]) != 1 {
		t.Errorf("%d presses, %v", presses(buf[:n]), err)
	}
	for b := buf[:n]; len(b) >= eventSize; b = b[eventSize:] {
		if binary.NativeEndian.Uint16(b[16:]) == evKey && binary.NativeEndian.Uint16(b[18:]) != keyPower {
			t.Errorf("another key came through: %x", b[:eventSize])
		}
	}
	press, logs := make(chan struct{}, 4), make(chan string, 16)
	s := New(Config{Press: func() { press <- struct{}{} }, Log: func(line string) { logs <- line }})
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	await := func(want string) {
		t.Helper()
		for {
			select {
			case got := <-logs:
				if got == want {
					return
				}
			case <-ctx.Done():
				t.Fatalf("%q is not logged", want)
			}
		}
	}
	await("power button on " + k.node)
	k.push(t, keyA)
	k.push(t, keyPower)
	select {
	case <-press:
	case <-ctx.Done():
		t.Fatal("no press")
	}
	if err := ioctl(int(k.f.Fd()), uiDevDestroy, nil); err != nil {
		t.Fatal(err)
	}
	await("power button " + k.node + " is gone")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
