package control

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// peerOf asks for SO_PEERCRED, unix(7): the credentials of connect(2).
func peerOf(conn *os.File) (Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Ucred
	var sockErr error
	if err := raw.Control(func(fd uintptr) {
		cred, sockErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return Peer{}, err
	}
	if sockErr != nil {
		return Peer{}, fmt.Errorf("SO_PEERCRED: %w", sockErr)
	}
	return Peer{PID: int(cred.Pid), UID: cred.Uid}, nil
}
