package process

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// sock_diag(7): the kernel's list of sockets, as ss(8) reads it. Nothing
// connects, so a service neither logs nor counts the question.

const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY of linux/sock_diag.h
	tcpListen        = 10 // TCP_LISTEN of net/tcp_states.h
	diagRequestSize  = 56 // struct inet_diag_req_v2
	diagMessageSize  = 72 // struct inet_diag_msg
)

// listening says whether a TCP socket, IPv4 or IPv6, listens on port in the
// network namespace of the calling process.
func listening(port uint16) (bool, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return false, fmt.Errorf("sock_diag: %w", err)
	}
	defer unix.Close(fd)
	// The kernel answers at once; the bound is for the day that it does not.
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1})
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		found, err := dumpListeners(fd, family, port)
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func dumpListeners(fd int, family byte, port uint16) (found bool, err error) {
	req := make([]byte, unix.NLMSG_HDRLEN+diagRequestSize)
	ne := binary.NativeEndian
	ne.PutUint32(req[0:], uint32(len(req)))
	ne.PutUint16(req[4:], sockDiagByFamily)
	ne.PutUint16(req[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	ne.PutUint32(req[8:], uint32(family)) // sequence
	body := req[unix.NLMSG_HDRLEN:]
	body[0], body[1] = family, unix.IPPROTO_TCP
	ne.PutUint32(body[4:], 1<<tcpListen)
	// The kernel compares the port only when the dump names it.
	binary.BigEndian.PutUint16(body[8:], port)
	if err := unix.Sendto(fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, fmt.Errorf("sock_diag: %w", err)
	}
	b := make([]byte, 16<<10)
	for {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("sock_diag: %w", err)
		}
		hit, done, err := parseListeners(b[:n], uint32(family), port)
		found = found || hit
		if done || err != nil {
			return found, err
		}
	}
}

// parseListeners looks for port in one datagram of a dump's answer.
func parseListeners(b []byte, seq uint32, port uint16) (found, done bool, err error) {
	ne := binary.NativeEndian
	for len(b) >= unix.NLMSG_HDRLEN {
		n := int(ne.Uint32(b))
		if n < unix.NLMSG_HDRLEN || n > len(b) {
			return found, true, fmt.Errorf("sock_diag: malformed message")
		}
		body := b[unix.NLMSG_HDRLEN:n]
		if ne.Uint32(b[8:]) == seq {
			switch ne.Uint16(b[4:]) {
			case unix.NLMSG_DONE:
				return found, true, nil
			case unix.NLMSG_ERROR:
				if len(body) >= 4 {
					return found, true, fmt.Errorf("sock_diag: %w", unix.Errno(-int32(ne.Uint32(body))))
				}
				return found, true, fmt.Errorf("sock_diag: malformed error")
			case sockDiagByFamily:
				if len(body) >= diagMessageSize && body[1] == tcpListen && binary.BigEndian.Uint16(body[4:]) == port {
					found = true
				}
			}
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return found, false, nil
}
