package mounts

import (
	"encoding/binary"
	"errors"
	"os"
	"path"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// preferred is SWAP_FLAG_PREFER of swapon(2).
const preferred = 0x8000

func (linux) swapOn(p string, priority int) error {
	flags := 0
	if priority > 0 {
		flags = preferred | priority&0x7fff
	}
	return swapCall(unix.SYS_SWAPON, p, flags)
}

func (linux) swapOff(p string) error { return swapCall(unix.SYS_SWAPOFF, p, 0) }

func swapCall(call uintptr, p string, flags int) error {
	name, err := unix.BytePtrFromString(p)
	if err != nil {
		return err
	}
	if _, _, e := unix.Syscall(call, uintptr(unsafe.Pointer(name)), uintptr(flags), 0); e != 0 {
		return e
	}
	return nil
}

const zramControl = "/sys/class/zram-control/"

var errNoZram = errors.New("the kernel has no zram")

// newZram makes a device of compressed memory with the header of swap on it;
// with size 0 it holds half of the memory. See the kernel's
// Documentation/admin-guide/blockdev/zram.rst.
func (k linux) newZram(size int64) (string, error) {
	if size == 0 {
		var info unix.Sysinfo_t
		if err := unix.Sysinfo(&info); err != nil {
			return "", os.NewSyscallError("sysinfo", err)
		}
		size = int64(info.Totalram) * int64(info.Unit) / 2
	}
	b, err := os.ReadFile(zramControl + "hot_add")
	if err != nil {
		return "", errNoZram
	}
	dev := "/dev/zram" + strings.TrimSpace(string(b))
	size -= size % int64(os.Getpagesize())
	if err := os.WriteFile("/sys/block/"+path.Base(dev)+"/disksize", strconv.AppendInt(nil, size, 10), 0); err != nil {
		k.dropZram(dev)
		return "", err
	}
	f, err := os.OpenFile(dev, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.Write(swapHeader(size, os.Getpagesize()))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		k.dropZram(dev)
		return "", err
	}
	return dev, nil
}

// dropZram gives the device back; a kernel that does not says so by keeping it.
func (linux) dropZram(dev string) {
	n, ok := strings.CutPrefix(dev, "/dev/zram")
	if ok {
		_ = os.WriteFile("/sys/block/zram"+n+"/reset", []byte("1"), 0)
		_ = os.WriteFile(zramControl+"hot_remove", []byte(n), 0)
	}
}

// swapHeader is the first page of swap space of that many bytes: union
// swap_header of the kernel's include/linux/swap.h, version 1.
func swapHeader(size int64, page int) []byte {
	b := make([]byte, page)
	binary.NativeEndian.PutUint32(b[1024:], 1)
	binary.NativeEndian.PutUint32(b[1028:], uint32(size/int64(page)-1)) // the last page
	copy(b[page-10:], "SWAPSPACE2")
	return b
}
