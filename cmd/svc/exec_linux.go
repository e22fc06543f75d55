package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"hoopy/control"
)

// Where the launcher expects its spec and the pipe for what went wrong; the
// latter it says on stderr as well, and here that is enough.
const (
	specFD  = 3
	errorFD = 4
)

// holdDescriptors takes 3 and 4 before the runtime's poller does: svc exec puts
// other files there, and a poller whose file is gone ends the process.
func holdDescriptors() {
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return
		}
		if fd > errorFD {
			unix.Close(fd)
			return
		}
	}
}

// become moves this process to where the unit's own are and executes the
// launcher in its place. On success it does not return; on an error the process
// may be in the cgroup already, and the caller is about to end.
func become(launcher, name string, l *control.Launch) error {
	runtime.LockOSThread()
	procs := filepath.Join(l.Cgroup, "cgroup.procs")
	if err := os.WriteFile(procs, strconv.AppendInt(nil, int64(os.Getpid()), 10), 0); err != nil {
		return err
	}
	spec, err := unix.MemfdCreate("spec", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("memfd_create: %w", err)
	}
	if n, err := unix.Pwrite(spec, l.Spec, 0); err != nil || n != len(l.Spec) {
		return fmt.Errorf("write spec: %w", err)
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/null: %w", err)
	}
	if err := unix.Dup3(spec, specFD, 0); err != nil {
		return fmt.Errorf("dup3: %w", err)
	}
	if err := unix.Dup3(null, errorFD, 0); err != nil {
		return fmt.Errorf("dup3: %w", err)
	}
	return fmt.Errorf("exec %s: %w", launcher, unix.Exec(launcher, []string{"init", "exec", name}, os.Environ()))
}
