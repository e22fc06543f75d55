package process

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// linux/unix_diag.h, as in sockdiag.go.
const (
	unixRequestSize = 24 // struct unix_diag_req
	unixMessageSize = 16 // struct unix_diag_msg
	unixShowName    = 1  // UDIAG_SHOW_NAME
	unixShowFile    = 2  // UDIAG_SHOW_VFS
	unixName        = 0  // UNIX_DIAG_NAME
	unixFile        = 1  // UNIX_DIAG_VFS, struct unix_diag_vfs
)

// boundTo is a place where a socket can be found: the path that was given to
// bind(2), or the file that this made.
type boundTo struct {
	path string
	file fileID // zero: there is none
}

// fileID is a file as sock_diag numbers it.
type fileID struct{ inode, device uint32 }

// listeningUnix says whether a socket listens at path, however its owner wrote
// that. It looks at the file system.
func listeningUnix(path string) (bool, error) {
	at := boundTo{path: path}
	var st unix.Stat_t
	if unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK {
		// The kernel has its own encoding of device numbers here: MKDEV.
		at.file = fileID{uint32(st.Ino), unix.Major(uint64(st.Dev))<<20 | unix.Minor(uint64(st.Dev))}
	}
	req := make([]byte, unixRequestSize)
	req[0] = unix.AF_UNIX
	ne := binary.NativeEndian
	ne.PutUint32(req[4:], 1<<listenState)
	ne.PutUint32(req[12:], unixShowName|unixShowFile)
	found, err := dump(req, at.matches)
	if err != nil {
		return found, fmt.Errorf("unix_diag: %w", err)
	}
	return found, nil
}

// matches takes one struct unix_diag_msg with its attributes.
func (at boundTo) matches(body []byte) bool {
	if len(body) < unixMessageSize || body[0] != unix.AF_UNIX || body[2] != listenState {
		return false
	}
	ne := binary.NativeEndian
	for b := body[unixMessageSize:]; len(b) >= unix.SizeofRtAttr; {
		n := int(ne.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return false
		}
		v := b[unix.SizeofRtAttr:n]
		switch ne.Uint16(b[2:]) {
		case unixName:
			if string(v) == at.path || string(v) == at.path+"\x00" {
				return true
			}
		case unixFile:
			if len(v) >= 8 && at.file != (fileID{}) && at.file == (fileID{ne.Uint32(v), ne.Uint32(v[4:])}) {
				return true
			}
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return false
}
