package syslog

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A datagram through /dev/log, beside a receiver that throws it away. x-recv is
// how often the time of that it takes. Sender and receiver take turns, eight
// datagrams at a time.
func BenchmarkDatagram(b *testing.B) {
	h := newHouse(b)
	h.Close()
	s, err := open(h.config())
	if err != nil {
		b.Fatal(err)
	}
	h.Server = s
	close(s.done)
	h.unit = func(int) string { return "unit" }
	f, err := h.dial().File()
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	line := []byte("<38>Oct 11 22:14:15 sshd[42]: Accepted publickey for root from 192.168.1.20 port 40000 ssh2")
	const most = 8 // max_dgram_qlen may be 10
	run := func(receive func()) time.Duration {
		began := time.Now()
		for n := 0; n < b.N; n += most {
			for range most {
				if _, err := unix.Write(int(f.Fd()), line); err != nil {
					b.Fatal(err)
				}
			}
			receive()
		}
		return time.Since(began)
	}
	buf, oob := make([]byte, stageSize), make([]byte, controlSize)
	plain := run(func() {
		for {
			if _, _, _, _, err := unix.Recvmsg(s.socket, buf, oob, unix.MSG_DONTWAIT); err != nil {
				return
			}
		}
	})
	b.ReportAllocs()
	b.ResetTimer()
	b.ReportMetric(float64(run(s.receive))/float64(plain), "x-recv")
}
