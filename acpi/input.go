package acpi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From linux/input.h and linux/input-event-codes.h.
const (
	evKey    = 0x01
	keyPower = 116
	keyMax   = 0x2ff
	pressed  = 1 // 0 is released, 2 repeated

	eventSize = 24 // struct input_event where long has 64 bits

	eviocgbitKey = 2<<30 | (keyMax/8+1)<<16 | 'E'<<8 | (0x20 + evKey) // EVIOCGBIT(EV_KEY, 96)
	eviocsmask   = 1<<30 | 16<<16 | 'E'<<8 | 0x93                     // EVIOCSMASK, struct input_mask
)

// errNoButton is a device that cannot send KEY_POWER: nearly all of them.
var errNoButton = errors.New("no power key")

// openButton opens an input device that has a power key, for reading through
// the poller, and has the kernel hold back all other keys.
func openButton(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("input device %s: %w", path, err)
	}
	var keys [keyMax/8 + 1]byte
	if err := ioctl(fd, eviocgbitKey, unsafe.Pointer(&keys)); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("input device %s: keys: %w", path, err)
	}
	if keys[keyPower/8]&(1<<(keyPower%8)) == 0 {
		_ = unix.Close(fd)
		return nil, errNoButton
	}
	// Some keyboards have a power key; what is typed on them is not for us. If
	// the kernel refuses, we skip the rest ourselves.
	_ = maskKeys(fd)
	return os.NewFile(uintptr(fd), path), nil
}

// inputMask is struct input_mask.
type inputMask struct {
	kind, size uint32
	codes      unsafe.Pointer // 64 bits
}

// maskKeys lets only KEY_POWER through: of the types only keys, of the keys only
// this one.
func maskKeys(fd int) error {
	types := [8]byte{1 << evKey} // the kernel takes whole longs
	var keys [keyMax/8 + 1]byte
	keys[keyPower/8] = 1 << (keyPower % 8)
	if err := setMask(fd, 0, types[:]); err != nil {
		return err
	}
	return setMask(fd, evKey, keys[:])
}

func setMask(fd int, kind uint32, codes []byte) error {
	m := inputMask{kind, uint32(len(codes)), unsafe.Pointer(&codes[0])}
	return ioctl(fd, eviocsmask, unsafe.Pointer(&m))
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// presses counts the presses of the power key in a read's worth of events:
// struct input_event { time 16; u16 type; u16 code; s32 value }.
func presses(b []byte) (n int) {
	for ; len(b) >= eventSize; b = b[eventSize:] {
		if binary.NativeEndian.Uint16(b[16:]) == evKey &&
			binary.NativeEndian.Uint16(b[18:]) == keyPower &&
			binary.NativeEndian.Uint32(b[20:]) == pressed {
			n++
		}
	}
	return n
}
