package probe

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"testing"
)

// sparse is a device whose head and tail are given and the rest is zero.
type sparse struct {
	head, tail []byte
	size       int64
}

func (s sparse) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	if off < int64(len(s.head)) {
		copy(b, s.head[off:])
	}
	if start := s.size - int64(len(s.tail)); off+int64(len(b)) > start {
		if off < start {
			copy(b[start-off:], s.tail)
		} else {
			copy(b, s.tail[off-start:])
		}
	}
	if off+int64(len(b)) > s.size {
		return int(max(s.size-off, 0)), io.EOF
	}
	return len(b), nil
}

// FuzzProbe gives arbitrary devices: no panic, bounded reads, and the same
// answer twice. The seeds are real: the images of which the tools are here.
func FuzzProbe(f *testing.F) {
	seeds := 0
	for _, m := range images {
		if m.command != "" && m.size > 128 { // too slow for each run
			continue
		}
		if m.command != "" {
			missing := false
			for _, tool := range []string{"mkfs.ext4", "mkfs.btrfs", "mkfs.f2fs", "mkfs.vfat", "mkfs.exfat", "mkfs.ntfs", "genisoimage", "mksquashfs", "mkfs.erofs", "mkswap", "cryptsetup"} {
				_, err := exec.LookPath(tool)
				missing = missing || err != nil
			}
			if missing {
				continue
			}
		}
		b, err := os.ReadFile(m.make(f))
		if err != nil {
			f.Fatal(err)
		}
		head, tail := b[:min(len(b), 128<<10)], b[max(0, len(b)-256<<10):]
		f.Add(bytes.TrimRight(head, "\x00"), bytes.TrimRight(tail, "\x00"), int64(len(b)))
		seeds++
	}
	if seeds < 10 {
		f.Fatalf("only %d seeds", seeds)
	}
	f.Fuzz(func(t *testing.T, head, tail []byte, size int64) {
		if size < 0 || size > 1<<45 {
			size &= 1<<45 - 1
		}
		if int64(len(tail)) > size {
			tail = tail[:size]
		}
		m := &meter{r: sparse{head, tail, size}}
		info, err := Probe(m, size)
		if err != nil {
			t.Fatal(err)
		}
		if m.reads > mostReads || m.bytes > mostBytes {
			t.Fatalf("%d reads of %d bytes", m.reads, m.bytes)
		}
		again, _ := Probe(m.r, size)
		if info.Type != again.Type || info.UUID != again.UUID || info.Label != again.Label {
			t.Fatalf("%+v, then %+v", info, again)
		}
		EncodeString(info.Label)
		SafeString(info.Label)
		for _, sector := range []int{512, 4096} {
			m = &meter{r: m.r}
			table, err := ReadTable(m, size, sector)
			if err != nil {
				t.Fatal(err)
			}
			if m.reads > mostReads || m.bytes > mostBytes || len(table.Partitions) > 4096 {
				t.Fatalf("%d reads, %d partitions", m.reads, len(table.Partitions))
			}
		}
	})
}

// BenchmarkProbe stands beside blkid, which is a process each time.
func BenchmarkProbe(b *testing.B) {
	for _, name := range []string{"zero", "ext4", "btrfs", "fat32", "zfs", "swap"} {
		file := imageNamed(b, name).make(b)
		b.Run(name+"/probe", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				probeFile(b, file)
			}
		})
		b.Run(name+"/blkid", func(b *testing.B) {
			for b.Loop() {
				exec.Command("blkid", "-p", "-o", "udev", file).Run()
			}
		})
	}
}
