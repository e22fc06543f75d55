package ring

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The log as the collector reads it, beside a reader of the same pipe that throws
// away what it reads. Bytes per second are those of the writer; x-pipe is how
// often the time of the plain reader it takes. Lines are of that many bytes; 0:
// one that never ends.
func BenchmarkPipe(b *testing.B) {
	for _, c := range []struct {
		name string
		line int
	}{{"20-byte lines", 20}, {"100-byte lines", 100}, {"1000-byte lines", 1000}, {"no newline", 0}} {
		chunk := bytes.Repeat([]byte("x"), 4096)
		if c.line > 0 {
			chunk = bytes.Repeat(append(bytes.Repeat([]byte("x"), c.line-1), '\n'), 4096/c.line)
		}
		run := func(b *testing.B, fill func(rd int) (int, error)) time.Duration {
			var p [2]int
			if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
				b.Fatal(err)
			}
			defer unix.Close(p[0])
			began := time.Now()
			go func() {
				defer unix.Close(p[1])
				for range b.N {
					unix.Write(p[1], chunk)
				}
			}()
			for {
				if n, err := fill(p[0]); n <= 0 || err != nil {
					return time.Since(began)
				}
			}
		}
		b.Run(c.name, func(b *testing.B) {
			r, fd, err := Create("bench", Size, 1)
			if err != nil {
				b.Fatal(err)
			}
			defer unix.Close(fd)
			defer r.Close()
			buf := make([]byte, StageSize)
			b.SetBytes(int64(len(chunk)))
			plain := run(b, func(rd int) (int, error) { return unix.Read(rd, buf) })
			b.ReportAllocs()
			b.ResetTimer()
			b.ReportMetric(float64(run(b, r.Fill))/float64(plain), "x-pipe")
		})
	}
}

// The last ten lines of 50 full rings, merged by time.
func BenchmarkMergeLast(b *testing.B) {
	var rings []*Ring
	for i := range 50 {
		r, fd, err := Create("bench", Size, 1)
		if err != nil {
			b.Fatal(err)
		}
		unix.Close(fd)
		b.Cleanup(r.Close)
		for n := range 2000 {
			r.last += uint64((i*7919+n*104729)%1000000 + 1)
			r.put(bytes.Repeat([]byte("x"), 60), 0, r.last)
			r.publish(0)
		}
		rings = append(rings, r)
	}
	b.ReportAllocs()
	for b.Loop() {
		var m Merge
		for _, r := range rings {
			m.Add("", r.Oldest())
		}
		m.Last(10)
		m.Poll()
		n := 0
		for _, _, ok := m.Next(); ok; _, _, ok = m.Next() {
			n++
		}
		if n != 10 {
			b.Fatal(n)
		}
	}
}
