package process

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// sock_diag(7): the kernel's list of sockets, as ss(8) reads it. Nothing
// connects, so a service neither logs nor counts the question.

const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY of linux/sock_diag.h
	listenState      = 10 // TCP_LISTEN of net/tcp_states.h, of AF_UNIX too
	inetRequestSize  = 56 // struct inet_diag_req_v2
	inetMessageSize  = 72 // struct inet_diag_msg
)

// listening says whether a TCP socket, IPv4 or IPv6, listens on port in the
// network namespace of the calling process.
func listening(port uint16) (bool, error) {
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		req := make([]byte, inetRequestSize)
		req[0], req[1] = family, unix.IPPROTO_TCP
		binary.NativeEndian.PutUint32(req[4:], 1<<listenState)
		// The kernel compares the port only when the dump names it.
		binary.BigEndian.PutUint16(req[8:], port)
		found, err := dump(req, func(body []byte) bool { return listensOn(body, port) })
		if err != nil {
			return found, fmt.Errorf("tcp_diag: %w", err)
		}
		if found {
			return true, nil
		}
	}
	return false, nil
}

// listensOn takes one struct inet_diag_msg.
func listensOn(body []byte, port uint16) bool {
	return len(body) >= inetMessageSize && body[1] == listenState && binary.BigEndian.Uint16(body[4:]) == port
}

// dump sends a request of SOCK_DIAG_BY_FAMILY and gives each answer to match,
// until the end; true: one of them matched.
func dump(request []byte, match func(body []byte) bool) (found bool, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	// The kernel answers at once; the bound is for the day that it does not.
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1})
	const seq = 1
	ne := binary.NativeEndian
	msg := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(request))
	ne.PutUint32(msg[0:], uint32(unix.NLMSG_HDRLEN+len(request)))
	ne.PutUint16(msg[4:], sockDiagByFamily)
	ne.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	ne.PutUint32(msg[8:], seq)
	if err := unix.Sendto(fd, append(msg, request...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, err
	}
	b := make([]byte, 16<<10)
	for {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false, err
		}
		done, err := parseDump(b[:n], seq, func(body []byte) { found = found || match(body) })
		if done || err != nil {
			return found, err
		}
	}
}

var errMalformed = errors.New("malformed message")

// parseDump calls take for each socket in one datagram of a dump's answer.
func parseDump(b []byte, seq uint32, take func(body []byte)) (done bool, err error) {
	ne := binary.NativeEndian
	for len(b) >= unix.NLMSG_HDRLEN {
		n := int(ne.Uint32(b))
		if n < unix.NLMSG_HDRLEN || n > len(b) {
			return true, errMalformed
		}
		body := b[unix.NLMSG_HDRLEN:n]
		if ne.Uint32(b[8:]) == seq {
			switch ne.Uint16(b[4:]) {
			case unix.NLMSG_DONE:
				return true, nil
			case unix.NLMSG_ERROR:
				if len(body) >= 4 {
					return true, unix.Errno(-int32(ne.Uint32(body)))
				}
				return true, errMalformed
			case sockDiagByFamily:
				take(body)
			}
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return false, nil
}
