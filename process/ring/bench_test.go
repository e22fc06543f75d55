package ring

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// The log as the collector reads it, beside a reader that only reads. Bytes per
// second are those of the writer.
func BenchmarkPipe(b *testing.B) {
	for _, c := range []struct {
		name string
		line int
	}{{"20-byte lines", 20}, {"100-byte lines", 100}, {"1000-byte lines", 1000}} {
		chunk := bytes.Repeat(append(bytes.Repeat([]byte("x"), c.line-1), '\n'), 4096/c.line)
		run := func(b *testing.B, fill func(rd int) (int, error)) {
			var p [2]int
			if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
				b.Fatal(err)
			}
			defer unix.Close(p[0])
			b.SetBytes(int64(len(chunk)))
			b.ResetTimer()
			go func() {
				defer unix.Close(p[1])
				for range b.N {
					unix.Write(p[1], chunk)
				}
			}()
			for {
				if n, err := fill(p[0]); n <= 0 || err != nil {
					return
				}
			}
		}
		b.Run(c.name+"/copy", func(b *testing.B) {
			buf := make([]byte, StageSize)
			run(b, func(rd int) (int, error) { return unix.Read(rd, buf) })
		})
		b.Run(c.name+"/ring", func(b *testing.B) {
			r, fd, err := Create("bench", Size, 1)
			if err != nil {
				b.Fatal(err)
			}
			defer unix.Close(fd)
			defer r.Close()
			run(b, r.Fill)
		})
	}
}
