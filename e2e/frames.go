//go:build e2e

package e2e

import (
	"io"
	"net"
	"path/filepath"
	"time"
)

// mirror listens for copies of the frames of the first card, and returns the
// options that make qemu send them. What the frames hold is not read: the first
// byte says that there is one. Until then qemu's network does not know where
// the guest is, and a connection that is tried would be tried again only a
// second later.
func (v *VM) mirror() ([]string, error) {
	file := filepath.Join(v.dir, "frames")
	l, err := net.Listen("unix", file)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetDeadline(time.Now().Add(Patience))
	v.frame = make(chan time.Time, 1)
	go func() {
		defer l.Close()
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		var one [1]byte
		if _, err := io.ReadFull(conn, one[:]); err != nil {
			return
		}
		v.frame <- time.Now()
		io.Copy(io.Discard, conn) // until qemu ends
	}()
	return []string{"-chardev", "socket,id=frames,path=" + file,
		"-object", "filter-mirror,id=mirror,netdev=n0,queue=rx,outdev=frames"}, nil
}

// FirstFrame waits for the first frame that the guest sends and returns when it
// came. Config.Frames must be set.
func (v *VM) FirstFrame(bound time.Duration) time.Time {
	v.t.Helper()
	select {
	case at := <-v.frame:
		return at
	case <-v.ended:
		v.Fatalf("the machine ended without a frame")
	case <-time.After(max(bound, Patience)):
		v.Fatalf("the guest sent no frame")
	}
	return time.Time{}
}
