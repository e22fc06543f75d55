//go:build e2e

package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"
)

// frames are copies of what the guest sends on its first card. They tell what a
// connection to a forwarded port cannot: qemu accepts it long before the guest
// does, and tries again only after a second if the guest was not there yet.
type frames struct {
	first    chan struct{} // closed when the first one came
	at       time.Time     // when that was
	accepted chan struct{} // one for each connection to port 22 that the guest accepts
}

// mirror listens for the copies and returns the options that make qemu send
// them. The reader ends with qemu.
//
// Source: qemu, net/filter-mirror.c: a length of 4 bytes, the frame.
func (v *VM) mirror(netdev string) ([]string, error) {
	file := filepath.Join(v.dir, "frames")
	l, err := net.Listen("unix", file)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetDeadline(time.Now().Add(Patience))
	v.frames = &frames{first: make(chan struct{}), accepted: make(chan struct{}, 64)}
	go func() {
		defer l.Close()
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		v.frames.readAll(conn)
	}()
	return []string{"-chardev", "socket,id=frames,path=" + file,
		"-object", "filter-mirror,id=mirror,netdev=" + netdev + ",queue=rx,outdev=frames"}, nil
}

func (f *frames) readAll(r io.Reader) {
	for first := true; ; first = false {
		var length [4]byte
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(length[:])
		if n > 1<<20 {
			return
		}
		frame := make([]byte, n)
		if _, err := io.ReadFull(r, frame); err != nil {
			return
		}
		if first {
			f.at = time.Now()
			close(f.first)
		}
		if accepts(frame, 22) {
			select {
			case f.accepted <- struct{}{}:
			default: // nobody counts
			}
		}
	}
}

// accepts reports whether an Ethernet frame carries SYN and ACK from a TCP port
// over IPv4 (RFC 791, RFC 9293).
func accepts(frame []byte, port uint16) bool {
	if len(frame) < 14+20 || binary.BigEndian.Uint16(frame[12:]) != 0x0800 {
		return false
	}
	ip := frame[14:]
	header := int(ip[0]&15) * 4
	if ip[0]>>4 != 4 || ip[9] != 6 || len(ip) < header+20 {
		return false
	}
	tcp := ip[header:]
	return binary.BigEndian.Uint16(tcp) == port && tcp[13]&0x12 == 0x12
}

// FirstFrame waits for the first frame that the guest sends and returns when it
// came.
func (v *VM) FirstFrame(bound time.Duration) time.Time {
	v.t.Helper()
	select {
	case <-v.frames.first:
		return v.frames.at
	case <-v.ended:
		v.Fatalf("the machine ended without a frame")
	case <-time.After(max(bound, Patience)):
		v.Fatalf("the guest sent no frame")
	}
	return time.Time{}
}

// unheard is how long a connection is waited for before it is made again. One
// that the guest accepted is not given up.
const unheard = 100 * time.Millisecond

// connect makes one connection to the guest's port 22 and returns once the
// guest accepts it.
func (v *VM) connect() (net.Conn, error) {
	v.dialing.Lock() // one connection at a time, so that acceptance is this one's
	defer v.dialing.Unlock()
	for drained := false; !drained; {
		select {
		case <-v.frames.accepted: // of one that was given up
		default:
			drained = true
		}
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", v.port))
	if err != nil {
		return nil, err
	}
	silence := time.NewTimer(unheard)
	defer silence.Stop()
	select {
	case <-v.frames.accepted:
		return conn, nil
	case <-silence.C:
		conn.Close()
		return nil, errRefused
	}
}

var errRefused = errors.New("the guest does not accept connections to port 22")

// Banner polls for sshd, one connection at a time, from the first frame on, and
// returns when its banner came.
func (v *VM) Banner(bound time.Duration) time.Time {
	v.t.Helper()
	v.FirstFrame(bound)
	late := time.Now().Add(max(bound, Patience))
	for {
		if conn, err := v.connect(); err == nil {
			conn.SetReadDeadline(late)
			var b [4]byte
			_, err = io.ReadFull(conn, b[:])
			at := time.Now()
			conn.Close()
			if err == nil && string(b[:]) == "SSH-" {
				return at
			}
		}
		select {
		case <-v.ended:
			v.Fatalf("the machine ended without a banner")
		default:
		}
		if time.Now().After(late) {
			v.Fatalf("no banner")
		}
	}
}
