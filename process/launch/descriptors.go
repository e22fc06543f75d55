package launch

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// extraFD is where the first of the extra descriptors arrives, see
// keeper/proto.go.
const extraFD = 5

// listenFD is where those of LISTEN_FDS begin, SD_LISTEN_FDS_START.
const listenFD = 3

// descriptors are those that the launcher itself holds, and those that it
// passes on. What the service gets may have any number, also that of the spec,
// of the error pipe or of another that arrived: so all of them first move above
// every number that is wanted, and only the last step before the limits puts
// them where they belong.
type descriptors struct {
	report int   // the error pipe
	stderr int   // what 2 was at first
	from   []int // where the extra ones are
	to     []int // where they belong
}

// targets says where the extra descriptors belong, in the order they arrive.
func targets(s *Spec) ([]int, *Failure) {
	var to []int
	if s.NotifyFD != 0 {
		if n := strconv.Itoa(s.NotifyFD); s.NotifyFD < listenFD {
			return nil, fail("ready descriptor", n, errors.New("below 3"))
		} else if s.NotifyFD < listenFD+len(s.Listen) {
			return nil, fail("ready descriptor", n, errors.New("taken by a socket of LISTEN_FDS"))
		}
		to = append(to, s.NotifyFD)
	}
	for i, name := range s.Listen {
		if strings.ContainsAny(name, ":\n") {
			return nil, fail("listen", name, errors.New("no colon, no line"))
		}
		to = append(to, listenFD+i)
	}
	return to, nil
}

// clear moves everything out of the way. It comes before anything is opened, or
// a descriptor of our own might pass for one that the keeper forgot.
func (d *descriptors) clear(s *Spec) (f *Failure) {
	d.report, d.stderr = errorFD, 2
	if d.to, f = targets(s); f != nil {
		return f
	}
	above := extraFD + len(d.to)
	for _, n := range d.to {
		above = max(above, n+1)
	}
	if len(d.to) > 0 {
		n, err := unix.FcntlInt(errorFD, unix.F_DUPFD_CLOEXEC, above)
		if err != nil {
			return fail("ready descriptor", strconv.Itoa(above-1), err)
		}
		d.report = n
	}
	for i := range d.to {
		n, err := unix.FcntlInt(uintptr(extraFD+i), unix.F_DUPFD_CLOEXEC, above)
		if err != nil {
			return fail("descriptor", strconv.Itoa(extraFD+i), err)
		}
		d.from = append(d.from, n)
	}
	if n, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, above); err == nil {
		d.stderr = n
	}
	return nil
}

// place puts the extra ones where they belong, open across execve(2). It may
// close what the Go runtime has opened there for itself; nothing after it wants
// that.
func (d *descriptors) place() *Failure {
	for i, fd := range d.from {
		if err := unix.Dup3(fd, d.to[i], 0); err != nil {
			return fail("descriptor", strconv.Itoa(d.to[i]), err)
		}
	}
	return nil
}
