package devices

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// receiveBuffer holds some 16,000 messages; the default holds 216, and a
	// boot of a small machine sends 321.
	receiveBuffer = 16 << 20
	// maxUevent: the kernel builds messages of at most 2048 bytes of variables
	// and a header (UEVENT_BUFFER_SIZE).
	maxUevent = 8 << 10
	// kernelGroup is the multicast group of the kernel's own messages; 2 is
	// udev's.
	kernelGroup = 1
)

// errLost is ENOBUFS: messages were dropped, the socket is good. It is told once
// the buffer is empty: until then the kernel drops all that comes and says no more
// (net/netlink/af_netlink.c, NETLINK_S_CONGESTED), so that who looks earlier at
// what there is does not see what is dropped after that look.
var errLost = errors.New("uevents were lost: receive buffer is full")

// errForeign is a message that did not come from the kernel.
var errForeign = errors.New("not from the kernel")

// socket receives the kernel's uevents.
type socket struct {
	f      *os.File
	raw    syscall.RawConn
	buf    []byte
	oob    []byte
	lost   bool // since the buffer was empty
	closed atomic.Bool
}

// openSocket makes the socket in the network namespace of the calling thread.
// It is written on x/sys/unix: go-udev's Connect gives the same two calls, but
// without SOCK_CLOEXEC, so a child forked in between inherits the descriptor.
func openSocket() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("uevent socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer); err != nil {
		// Without CAP_NET_ADMIN: as far as rmem_max lets us.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("uevent socket: credentials: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("uevent socket: bind: %w", err)
	}
	s := &socket{
		f:   os.NewFile(uintptr(fd), "uevents"), // non-blocking: parks in the poller, Close wakes it
		buf: make([]byte, maxUevent),
		oob: make([]byte, unix.CmsgSpace(unix.SizeofUcred)),
	}
	if s.raw, err = s.f.SyscallConn(); err != nil {
		_ = s.f.Close()
		return nil, fmt.Errorf("uevent socket: %w", err)
	}
	return s, nil
}

// close wakes a blocked read; the socket may be closed twice.
func (s *socket) close() {
	s.closed.Store(true)
	_ = s.f.Close()
}

// read waits for one message. After errLost, errForeign and errUevent reading
// goes on; os.ErrClosed ends it.
func (s *socket) read() (Uevent, error) {
	var n, oobn, flags int
	var from unix.Sockaddr
	var err error
	if rawErr := s.raw.Read(func(fd uintptr) bool {
		for {
			n, oobn, flags, from, err = unix.Recvmsg(int(fd), s.buf, s.oob, 0)
			switch {
			case err == unix.EINTR:
			case err == unix.ENOBUFS:
				s.lost = true
			default:
				return err != unix.EAGAIN || s.lost
			}
		}
	}); rawErr != nil {
		if s.closed.Load() { // os.File says ErrClosed, its RawConn says something of its own
			return Uevent{}, os.ErrClosed
		}
		return Uevent{}, rawErr
	}
	switch {
	case err == unix.EAGAIN:
		s.lost = false
		return Uevent{}, errLost
	case err != nil:
		return Uevent{}, fmt.Errorf("uevent socket: %w", err)
	case !fromKernel(from, s.oob[:oobn]):
		return Uevent{}, errForeign
	case flags&unix.MSG_TRUNC != 0:
		return Uevent{}, errUevent
	}
	return parseUevent(s.buf[:n])
}

// fromKernel checks sender, group and credentials: any process may send to our
// address, root even to the group.
func fromKernel(from unix.Sockaddr, oob []byte) bool {
	nl, ok := from.(*unix.SockaddrNetlink)
	if !ok || nl.Pid != 0 || nl.Groups&kernelGroup == 0 {
		return false
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return false
	}
	for i := range messages {
		if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			return cred.Uid == 0
		}
	}
	return false
}
