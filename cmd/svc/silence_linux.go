package main

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// silence has a terminal not show what is typed, until loud is called or a
// signal ends svc. An error: it is no terminal.
func silence(f *os.File) (loud func(), err error) {
	fd := int(f.Fd())
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	quiet := *was
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETSW, &quiet); err != nil {
		return nil, err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	over := make(chan struct{})
	restore := func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, was) } // EIO: the terminal is gone
	go func() {
		select {
		case <-ended:
			restore()
			os.Exit(exitUnwell)
		case <-over:
		}
	}()
	return func() {
		signal.Stop(ended)
		close(over)
		restore()
	}, nil
}
