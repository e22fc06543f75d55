package image

import (
	"bytes"
	"strings"
	"testing"

	"hoopy/build/cpio"
	"hoopy/build/tree"
)

// packed is an initramfs of four compressions after an early part.
func packed(t testing.TB) []byte {
	t.Helper()
	tr := tree.New()
	text := []byte(strings.Repeat("content ", 1000))
	for _, name := range []string{"a", "b", completeFile} {
		if err := tr.MkdirAll(".hoopy", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := tr.Add(&tree.Entry{Path: name, Mode: 0o644, Size: int64(len(text)), Open: tree.Bytes(text)}); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	for _, kind := range []string{"none", "zstd", "lz4", "gzip", "lz4", "none"} {
		l := newLayer(tr, 1)
		if err := (&packing{kind: kind}).writeFrame(&out, tr, l.split(nil)[framePackages], map[string]string{}); err != nil {
			t.Fatal(err)
		}
	}
	var last bytes.Buffer
	w := cpio.NewWriter(&last)
	for _, h := range []cpio.Header{{Name: ".hoopy", Mode: cpio.TypeDir}, {Name: completeFile, Mode: cpio.TypeRegular}} {
		if err := w.Add(h, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), last.Bytes()...)
}

func TestSegments(t *testing.T) {
	data := packed(t)
	c, err := inspect(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	at := int64(0)
	for _, s := range c.Segments {
		kinds = append(kinds, s.Kind)
		if s.Offset < at || s.Offset%4 != 0 || s.Size <= 0 || s.Unpacked < 2*8000 && s.Entries > 2 {
			t.Errorf("%+v", s)
		}
		at = s.Offset + s.Size
	}
	if got := strings.Join(kinds, " "); got != "none zstd lz4 gzip lz4 none none" || !c.Complete {
		t.Errorf("%s, complete %v", got, c.Complete)
	}
	// a cut is told, or leaves the end out
	for n := 0; n < len(data); n += 101 {
		c, err := inspect(bytes.NewReader(data[:n]), int64(n))
		if err == nil && c.Complete && n < len(data)-200 {
			t.Fatalf("%d of %d bytes are complete", n, len(data))
		}
	}
}

func FuzzInspect(f *testing.F) {
	f.Add(packed(f))
	f.Add([]byte("\x02\x21\x4c\x18\x04\x00\x00\x00abcd"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := inspect(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for _, s := range c.Segments {
			if s.Offset < 0 || s.Size < 0 || s.Offset+s.Size > int64(len(data)) {
				t.Fatalf("%+v of %d bytes", s, len(data))
			}
		}
	})
}

// A file whose names fall into two segments stands in both, whole: the kernel
// forgets inode numbers at each end of an archive.
func TestHardLinksStayInTheirSegment(t *testing.T) {
	for _, early := range []string{"bin/busybox", "bin/other"} {
		tr := treeOf(t, "bin/busybox", "bin/other = bin/busybox", "bin/third = bin/busybox")
		l := newLayer(tr, 1)
		var out bytes.Buffer
		entries := l.split([]string{early})
		for _, frame := range []int{frameEarly, framePackages} {
			if err := (&packing{kind: "none"}).writeFrame(&out, tr, entries[frame], map[string]string{}); err != nil {
				t.Fatal(err)
			}
		}
		c, err := inspect(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		for name, links := range map[string]uint32{"bin/busybox": 2, "bin/other": 2, "bin/third": 2} {
			if name == early {
				links = 1
			}
			it := c.Entries[name]
			if it.Nlink != links || it.Sum != hexSum([]byte("content of bin/busybox")) {
				t.Errorf("%s early: %s has %d names, sum %s", early, name, it.Nlink, it.Sum)
			}
		}
	}
}
