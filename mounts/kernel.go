package mounts

import (
	"context"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// kernel is what the arm asks of the machine. Only table, swaps and the watch
// are called from the loop; the others may hang on a disk.
type kernel interface {
	table() ([]mounted, error)
	swaps() []string // paths of the areas in use
	watch(ctx context.Context, changed func()) error
	// prepare makes the place (a file, if what is one), and gives its real path.
	prepare(what, where string) (at string, err error)
	mount(source, where, fstype string, flags uintptr, data string) error
	unmount(where string, flags int) error
	sync(where string) error
	exists(path string) bool
	mkdir(path string) error
	lead(from, to string) error
	holders(where string) string
	used(where string) (percent int, ok bool)
	swapOn(path string, priority int) error
	swapOff(path string) error
	newZram(size int64) (path string, err error)
	dropZram(path string)
}

type linux struct{}

func (linux) table() ([]mounted, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	return parseTable(string(b)), err
}

// watch calls changed at once, and then with each change of mountinfo, until ctx
// ends: poll(2) shows POLLPRI on it, see proc_pid_mounts(5). The file is none of
// os's: the runtime would poll it, too, and what it is told of is not told again.
func (linux) watch(ctx context.Context, changed func()) error {
	fd, err := unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: "/proc/self/mountinfo", Err: err}
	}
	defer func() { _ = unix.Close(fd) }()
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	defer func() { _ = unix.Close(wake) }()
	rung := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(rung)
		_, _ = unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	defer func() {
		if !stop() {
			<-rung // else it might write to what has the number next
		}
	}()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}, {Fd: int32(wake), Events: unix.POLLIN}}
	for changed(); ctx.Err() == nil; {
		_, err := unix.Poll(fds, -1)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return os.NewSyscallError("poll", err)
		case fds[0].Revents != 0:
			changed()
		}
	}
	return nil
}

func (linux) prepare(what, where string) (string, error) {
	var st unix.Stat_t
	if what != "" && unix.Stat(what, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
		if err := os.MkdirAll(path.Dir(where), 0o755); err != nil {
			return where, err
		}
		f, err := os.OpenFile(where, os.O_CREATE|os.O_RDONLY, 0o644)
		if err != nil {
			return where, err
		}
		_ = f.Close() // nothing was written
	} else if err := os.MkdirAll(where, 0o755); err != nil {
		return where, err
	}
	return realPath(where), nil
}

// realPath is where links lead to; a path that is not there is itself.
func realPath(p string) string {
	fd, err := unix.Open(p, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return p
	}
	defer func() { _ = unix.Close(fd) }()
	if at, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)); err == nil {
		return at
	}
	return p
}

func (linux) mount(source, where, fstype string, flags uintptr, data string) error {
	return unix.Mount(source, where, fstype, flags, data)
}

func (linux) unmount(where string, flags int) error { return unix.Unmount(where, flags) }

func (linux) sync(where string) error {
	fd, err := unix.Open(where, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.Syncfs(fd)
}

func (linux) exists(path string) bool { return unix.Access(path, unix.F_OK) == nil }

func (linux) mkdir(path string) error { return os.MkdirAll(path, 0o755) }

// lead makes from a link to the folder to. An empty folder gives way.
func (linux) lead(from, to string) error {
	if have, err := os.Readlink(from); err == nil && have == to {
		return nil
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := os.Remove(from); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.Symlink(to, from)
}

func (linux) used(where string) (percent int, ok bool) {
	var st unix.Statfs_t
	if unix.Statfs(where, &st) != nil || st.Blocks == 0 {
		return 0, false
	}
	used := st.Blocks - st.Bfree // as df has it: of what is not root's own
	return int((used*100 + used + st.Bavail - 1) / max(used+st.Bavail, 1)), true
}

func (linux) swaps() (paths []string) {
	b, _ := os.ReadFile("/proc/swaps") // a kernel without swap has none
	_, rest, _ := strings.Cut(string(b), "\n")
	for line := range strings.SplitSeq(rest, "\n") {
		if f := strings.Fields(line); len(f) > 0 {
			paths = append(paths, unit.Unescape(f[0]))
		}
	}
	return paths
}
