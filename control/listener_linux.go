package control

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listener is a listening socket. It is none of package net's, whose listeners
// bring every kind of address and socket along: 120 kB of /init.
type Listener struct {
	file *os.File
	raw  syscall.RawConn
}

// backlog is as many as wait while the supervisor is replaced; the kernel takes
// net.core.somaxconn, 4096 by itself, as the most.
const backlog = 4096

// Listen makes the socket at path, mode 0666, in place of what was there. The
// folder must exist. Closing the listener leaves the file: the descriptor is
// kept by the keeper and outlives this process.
func Listen(path string) (*Listener, error) {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	l, err := Adopt(fd)
	if err != nil {
		return nil, err
	}
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: fresh}); err != nil {
		err = fmt.Errorf("bind %s: %w", fresh, err)
	} else if err = os.Chmod(fresh, 0o666); err == nil {
		if err = unix.Listen(fd, backlog); err != nil {
			err = fmt.Errorf("listen %s: %w", fresh, err)
		} else {
			err = os.Rename(fresh, path)
		}
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Adopt takes over fd, a socket that listens or is about to; it is closed if
// that does not work.
func Adopt(fd int) (*Listener, error) {
	if err := unix.SetNonblock(fd, true); err != nil { // the poller's, so that Close ends an Accept
		unix.Close(fd)
		return nil, fmt.Errorf("socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "control socket")
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Listener{f, raw}, nil
}

// Control calls f with the descriptor, which stays the listener's.
func (l *Listener) Control(f func(fd uintptr)) error { return l.raw.Control(f) }

// Accept waits for a connection. os.ErrClosed: the listener is, and there will
// be none.
func (l *Listener) Accept() (*os.File, error) {
	var fd int
	var err error
	if l.raw.Read(func(listening uintptr) bool {
		for {
			fd, _, err = unix.Accept4(int(listening), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	}) != nil {
		return nil, os.ErrClosed
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "control connection"), nil
}

// Close ends an Accept that waits.
func (l *Listener) Close() error { return l.file.Close() }
