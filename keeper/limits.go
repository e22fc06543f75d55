package keeper

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setNoFile sets this process's own RLIMIT_NOFILE, soft and hard, by the raw
// system call: through the package syscall Go would give it to children too.
func setNoFile(n uint64) syscall.Errno {
	lim := unix.Rlimit{Cur: n, Max: n}
	_, _, e := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE,
		uintptr(unsafe.Pointer(&lim)), 0, 0, 0)
	return e
}
