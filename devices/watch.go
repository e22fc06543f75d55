package devices

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

var (
	native = binary.NativeEndian
	big    = binary.BigEndian
)

// watch hears of block devices that are closed by who could write to them:
// mkfs, sfdisk and the like make no uevent. udev's option "watch" is the same.
type watch struct{ f *os.File }

func openWatch() (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return &watch{os.NewFile(uintptr(fd), "inotify")}, nil
}

// add gives the number of the watch; 0: there is none.
func (w *watch) add(path string) int32 {
	fd, err := w.f.SyscallConn()
	if err != nil {
		return 0
	}
	id := -1
	_ = fd.Control(func(fd uintptr) { id, _ = unix.InotifyAddWatch(int(fd), path, unix.IN_CLOSE_WRITE) })
	return int32(max(id, 0))
}

func (w *watch) drop(id int32) {
	if fd, err := w.f.SyscallConn(); err == nil {
		_ = fd.Control(func(fd uintptr) { _, _ = unix.InotifyRmWatch(int(fd), uint32(id)) }) // it may be gone with the node
	}
}

// read calls yield with the number of each watch that something happened to,
// until the watch is closed.
func (w *watch) read(yield func(id int32)) {
	buf := make([]byte, 4096)
	for {
		n, err := w.f.Read(buf)
		if err != nil {
			return
		}
		eachWatch(buf[:n], yield)
	}
}

// eachWatch takes struct inotify_event; see inotify(7).
func eachWatch(b []byte, yield func(id int32)) {
	for len(b) >= unix.SizeofInotifyEvent {
		id, mask, length := int32(native.Uint32(b)), native.Uint32(b[4:]), native.Uint32(b[12:])
		if mask&unix.IN_CLOSE_WRITE != 0 {
			yield(id)
		}
		if uint64(length) > uint64(len(b)-unix.SizeofInotifyEvent) {
			return
		}
		b = b[unix.SizeofInotifyEvent+int(length):]
	}
}

func (w *watch) close() { _ = w.f.Close() }
