package image

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"hoopy/build/cpio"
)

// Contents is what an initramfs unpacks to.
type Contents struct {
	// File is where it was read from, Size its bytes.
	File string
	Size int64
	// Segments are in order.
	Segments []Segment
	// Entries are what stands in the end, by path: a later segment wins.
	Entries map[string]Item
	// Complete says that the sentinel is the very last entry.
	Complete bool
	// Manifest is what the image says of itself; nil when it is not one of ours.
	Manifest *Manifest
}

// Item is one entry.
type Item struct {
	cpio.Header
	// Sum is the SHA-256 of a regular file, Link the target of a link.
	Sum, Link string
}

// Inspect reads the initramfs in file, or that of the output folder file. Errors
// say in which segment they are.
func Inspect(file string) (*Contents, error) {
	if st, err := os.Stat(file); err == nil && st.IsDir() {
		file = filepath.Join(file, "initramfs")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	c, err := inspect(f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	c.File = file
	return c, nil
}

func inspect(r io.ReaderAt, size int64) (*Contents, error) {
	c := &Contents{Size: size, Entries: map[string]Item{}}
	for off := skipZeros(r, 0, size); off < size; {
		s := Segment{Offset: off}
		if err := c.segment(r, &s, size); err != nil {
			return nil, fmt.Errorf("segment %d at byte %d: %w", len(c.Segments)+1, off, err)
		}
		c.Segments = append(c.Segments, s)
		off = skipZeros(r, off+s.Size, size)
	}
	if len(c.Segments) == 0 {
		return nil, errors.New("is empty")
	}
	return c, nil
}

// skipZeros is the offset of the next byte that is not zero.
func skipZeros(r io.ReaderAt, off, size int64) int64 {
	in := bufio.NewReader(io.NewSectionReader(r, off, size-off))
	for ; off < size; off++ {
		if b, err := in.ReadByte(); err != nil || b != 0 {
			break
		}
	}
	return off
}

// segment reads one to its end.
func (c *Contents) segment(r io.ReaderAt, s *Segment, size int64) error {
	kind, length, content, err := openSegment(r, s.Offset, size)
	if err != nil {
		return err
	}
	s.Kind, s.Size = kind, length
	unpacked := &counter{w: io.Discard}
	in := bufio.NewReader(io.TeeReader(io.LimitReader(content, maxUnpacked+1), unpacked))
	for first := true; ; first = false {
		if !first && kind == "none" {
			break // what follows is a segment of its own
		}
		for { // archives in one stream may be padded
			b, err := in.Peek(1)
			if err != nil || b[0] != 0 {
				break
			}
			_, _ = in.Discard(1)
		}
		if _, err := in.Peek(1); errors.Is(err, io.EOF) && !first {
			break
		}
		if err := c.archive(cpio.NewReader(in), s); err != nil {
			return err
		}
	}
	s.Unpacked = unpacked.n
	if kind == "none" {
		s.Unpacked -= int64(in.Buffered())
		s.Size = s.Unpacked
	}
	if z, ok := content.(counted); ok {
		s.Size = z.in.n
	}
	if unpacked.n > maxUnpacked {
		return errors.New("unpacks to more than 16 GiB")
	}
	return nil
}

// archive reads one archive of a segment.
func (c *Contents) archive(r *cpio.Reader, s *Segment) error {
	hard := map[uint32][]string{} // names of a file whose content comes with the last
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		s.Entries++
		c.Complete = h.Name == completeFile
		it := Item{Header: h}
		switch h.Type() {
		case cpio.TypeSymlink:
			link, err := io.ReadAll(io.LimitReader(r, 4096))
			if err != nil {
				return err
			}
			it.Link = string(link)
		case cpio.TypeRegular:
			sum := sha256.New()
			var keep strings.Builder
			w := io.Writer(sum)
			if h.Name == manifestFile && h.Size < 1<<20 {
				w = io.MultiWriter(sum, &keep)
			}
			if _, err := io.Copy(w, r); err != nil {
				return err
			}
			it.Sum = hex.EncodeToString(sum.Sum(nil))
			if keep.Len() > 0 {
				m := new(Manifest)
				if json.Unmarshal([]byte(keep.String()), m) == nil {
					c.Manifest = m
				}
			}
			if h.Nlink > 1 {
				hard[h.Ino] = append(hard[h.Ino], h.Name)
				for _, name := range hard[h.Ino] {
					other := c.Entries[name]
					other.Sum = it.Sum
					c.Entries[name] = other
				}
			}
		}
		c.Entries[h.Name] = it
	}
}

// Unpacked is what the entries take in memory, in bytes; files counts the
// regular ones, bytes is their sum.
func (c *Contents) Unpacked() (bytes int64, files int, unpacked int64) {
	for _, it := range c.Entries {
		unpacked += perInode
		if it.Type() == cpio.TypeRegular {
			files++
			bytes += int64(it.Size)
			unpacked += pages(int64(it.Size))
		}
	}
	return bytes, files, unpacked
}

// folderSizes sums up the files by folder: the first level, and the second of
// those that hold most.
func folderSizes(files map[string]int64) map[string]int64 {
	out := map[string]int64{}
	for name, size := range files {
		parts := strings.SplitN(name, "/", 4)
		depth := 1
		if parts[0] == "usr" || parts[0] == "lib" || parts[0] == "var" {
			depth = 2
		}
		if len(parts) <= depth {
			depth = len(parts) - 1
		}
		out["/"+path.Join(parts[:depth]...)] += size
	}
	return out
}

// Text is the contents for a person.
func (c *Contents) Text() string {
	var t strings.Builder
	line := func(word, format string, args ...any) {
		fmt.Fprintf(&t, "%-10s "+format+"\n", append([]any{word}, args...)...)
	}
	line("file", "%s, %s MB", c.File, mb(c.Size))
	if m := c.Manifest; m != nil {
		kernel := ""
		if m.Kernel != "" {
			kernel = ", Linux " + m.Kernel
		}
		line("image", "%s for %s%s, %d packages from %s", m.Image, m.Arch, kernel, len(m.Packages), m.Distribution)
	} else {
		line("image", "not one of ours: no %s", manifestFile)
	}
	for i, s := range c.Segments {
		line(map[bool]string{true: "segments"}[i == 0], "%d  %-4s %10s of %10s bytes, %6s entries, at %d",
			i+1, s.Kind, grouped(int(s.Size)), grouped(int(s.Unpacked)), grouped(s.Entries), s.Offset)
	}
	bytes, files, unpacked := c.Unpacked()
	line("tree", "%s MB in %s files, %s entries", mb(bytes), grouped(files), grouped(len(c.Entries)))
	sizes := map[string]int64{}
	for name, it := range c.Entries {
		if it.Type() == cpio.TypeRegular {
			sizes[name] = int64(it.Size)
		}
	}
	line("folders", "%s", most(folderSizes(sizes), 8))
	line("files", "%s", most(sizes, 8))
	line("needs", "%d MB of RAM", leastRAM(unpacked, c.Size))
	if !c.Complete {
		line("end", "%s is not the last entry: cut off, or not one of ours", completeFile)
	}
	return t.String()
}

// most names the n largest, in MB.
func most(sizes map[string]int64, n int) string {
	names := slices.SortedFunc(maps.Keys(sizes), func(a, b string) int {
		if sizes[a] != sizes[b] {
			return int(min(max(sizes[b]-sizes[a], -1), 1))
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for _, name := range names[:min(n, len(names))] {
		parts = append(parts, name+" "+mb(sizes[name]))
	}
	return strings.Join(parts, ", ")
}
