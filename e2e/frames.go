//go:build e2e

package e2e

import (
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"time"
)

// frames are copies of what the guest sends on its first card. They tell what a
// connection to a forwarded port cannot: qemu accepts it long before the guest
// does, and tries again only after a second if the guest was not there yet.
type frames struct {
	first    chan time.Time // when the first one came
	accepted chan struct{}  // one for each connection to port 22 that the guest accepts
}

// mirror listens for the copies and returns the options that make qemu send
// them. The reader ends with qemu.
//
// Source: qemu, net/filter-mirror.c: a length of 4 bytes, the frame.
func (v *VM) mirror() ([]string, error) {
	file := filepath.Join(v.dir, "frames")
	l, err := net.Listen("unix", file)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetDeadline(time.Now().Add(Patience))
	v.frames = &frames{first: make(chan time.Time, 1), accepted: make(chan struct{}, 64)}
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
		"-object", "filter-mirror,id=mirror,netdev=n0,queue=rx,outdev=frames"}, nil
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
			f.first <- time.Now()
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
// came; it can be called once. Config.Frames must be set.
func (v *VM) FirstFrame(bound time.Duration) time.Time {
	v.t.Helper()
	select {
	case at := <-v.frames.first:
		return at
	case <-v.ended:
		v.Fatalf("the machine ended without a frame")
	case <-time.After(max(bound, Patience)):
		v.Fatalf("the guest sent no frame")
	}
	return time.Time{}
}

// Banner polls for sshd, one connection at a time, and returns when its banner
// came. A connection that the guest does not accept within unheard is made
// again; one that it accepted is waited for. Config.Frames must be set.
func (v *VM) Banner(bound time.Duration) time.Time {
	v.t.Helper()
	const unheard = 50 * time.Millisecond
	late := time.NewTimer(max(bound, Patience))
	defer late.Stop()
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for {
		select {
		case <-v.frames.accepted: // of a connection that was given up
			continue
		default:
		}
		if at, ok := v.banner(unheard); ok {
			return at
		}
		select {
		case <-pause.C:
		case <-v.ended:
			v.Fatalf("the machine ended without a banner")
		case <-late.C:
			v.Fatalf("no banner")
		}
	}
}

// banner makes one connection.
func (v *VM) banner(unheard time.Duration) (time.Time, bool) {
	conn, err := net.Dial("tcp", v.address())
	if err != nil {
		return time.Time{}, false
	}
	defer conn.Close()
	got := make(chan time.Time, 1)
	go func() {
		defer close(got)
		var b [4]byte
		if _, err := io.ReadFull(conn, b[:]); err == nil && string(b[:]) == "SSH-" {
			got <- time.Now()
		}
	}()
	silence := time.NewTimer(unheard)
	defer silence.Stop()
	for {
		select {
		case at, ok := <-got:
			return at, ok
		case <-v.frames.accepted:
			silence.Reset(Patience)
		case <-silence.C:
			return time.Time{}, false
		}
	}
}
