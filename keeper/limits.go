package keeper

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// noFile is the RLIMIT_NOFILE of keeper and supervisor: thousands of runs with
// their pipes, rings and pidfds.
const noFile = 65536

// setNoFile sets RLIMIT_NOFILE, soft and hard, of the process pid, 0 being this
// one, by the raw system call: through the package syscall Go would give its
// own to children too.
func setNoFile(pid int, n uint64) syscall.Errno {
	lim := unix.Rlimit{Cur: n, Max: n}
	_, _, e := unix.RawSyscall6(unix.SYS_PRLIMIT64, uintptr(pid), unix.RLIMIT_NOFILE,
		uintptr(unsafe.Pointer(&lim)), 0, 0, 0)
	return e
}

// table makes room for n values without pointers, which is not the heap's: it
// takes memory page by page as it is used, and is no reason to collect.
func table[T any](n int) []T {
	var zero T
	b, err := unix.Mmap(-1, 0, n*int(unsafe.Sizeof(zero)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return make([]T, n)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n)
}
