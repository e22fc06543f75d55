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
