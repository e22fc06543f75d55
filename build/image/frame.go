package image

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"hoopy/build/cpio"
	"hoopy/build/tree"
)

// packing is how a frame is compressed.
type packing struct {
	kind    string // zstd, lz4, gzip, none
	hardest bool
	// zstd is used for one frame after another: each has 20 MB.
	zstd *zstd.Encoder
}

// compressor wraps w. Its output depends on the input alone, not on the number
// of processors.
func (p *packing) compressor(w io.Writer) (io.WriteCloser, error) {
	switch p.kind {
	case "zstd":
		level := zstd.SpeedDefault
		if p.hardest {
			level = zstd.SpeedBestCompression
		}
		if p.zstd == nil {
			var err error
			if p.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(level)); err != nil {
				return nil, err
			}
		}
		p.zstd.Reset(w)
		return p.zstd, nil
	case "gzip":
		level := gzip.DefaultCompression
		if p.hardest {
			level = gzip.BestCompression
		}
		return gzip.NewWriterLevel(w, level)
	case "lz4": // the legacy frame: the kernel knows no other
		level := lz4.Fast
		if p.hardest {
			level = lz4.Level9
		}
		z := lz4.NewWriter(w)
		// not z itself: its ReadFrom ends the frame
		return struct {
			io.Writer
			io.Closer
		}{z, z}, z.Apply(lz4.LegacyOption(true), lz4.CompressionLevelOption(level), lz4.ConcurrencyOption(1))
	case "none":
		return nopCloser{w}, nil
	}
	return nil, fmt.Errorf("compression %q is not known", p.kind)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// split sorts the entries into the frames. Each frame can be unpacked by
// itself: it names the directories that it needs. The sentinel is last.
func (l *layer) split(early []string) [frames][]*tree.Entry {
	var out [frames][]*tree.Entry
	var have [frames]map[string]bool
	for i := range have {
		have[i] = map[string]bool{}
	}
	isEarly := map[string]bool{}
	for _, name := range early {
		isEarly[name] = true
	}
	all := map[string]*tree.Entry{}
	for e := range l.t.Walk() {
		all[e.Path] = e
	}
	var add func(frame int, e *tree.Entry)
	add = func(frame int, e *tree.Entry) {
		if have[frame][e.Path] {
			return
		}
		have[frame][e.Path] = true
		if e.Path != "." {
			add(frame, all[path.Dir(e.Path)])
		}
		out[frame] = append(out[frame], e)
	}
	var last *tree.Entry
	for e := range l.t.Walk() {
		frame, ours := l.laid[e.Path]
		switch {
		case e.Path == completeFile:
			last = e
			continue
		case ours:
		case isEarly[e.Path]:
			frame = frameEarly
		default:
			frame = framePackages
		}
		add(frame, e)
	}
	if last != nil {
		add(frameRoot, last)
	}
	return out
}

// writeFrame packs entries into one compressed archive, padded to 4 bytes with
// zeros: the kernel refuses what follows otherwise. A frame of lz4 has no end of
// its own; four more zeros are the block size that tells the kernel to stop
// (lib/decompress_unlz4.c). It notes the SHA-256 of each regular file in sums,
// by path.
func (p *packing) writeFrame(w io.Writer, t *tree.Tree, entries []*tree.Entry, sums map[string]string) error {
	out := &counter{w: w}
	z, err := p.compressor(out)
	if err != nil {
		return err
	}
	archive := cpio.NewWriter(z)
	groups := map[string]*group{}
	for _, e := range entries {
		if e.Mode.IsRegular() {
			g := groups[first(e)]
			if g == nil {
				g = &group{}
				groups[first(e)] = g
			}
			g.names++
		}
	}
	for i, e := range entries {
		if err := writeEntry(archive, t, e, uint32(i+1), groups[first(e)], sums); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	padding := -out.n & 3
	if p.kind == "lz4" {
		padding += 4
	}
	_, err = w.Write(make([]byte, padding))
	return err
}

// group is the names of one regular file within a frame.
type group struct {
	names uint32
	ino   uint32 // of the first name; 0: not written yet
	done  uint32
}

func first(e *tree.Entry) string {
	if e.Hard != "" {
		return e.Hard
	}
	return e.Path
}

func writeEntry(w *cpio.Writer, t *tree.Tree, e *tree.Entry, ino uint32, g *group, sums map[string]string) error {
	mode, err := unixMode(e.Mode)
	if err != nil {
		return fmt.Errorf("%s (%s): %w", e.Path, e.Source, err)
	}
	h := cpio.Header{
		Name: e.Path, Mode: mode, UID: uint32(e.UID), GID: uint32(e.GID),
		MTime: uint32(min(max(e.MTime, 0), math.MaxUint32)), Ino: ino, Major: e.Major, Minor: e.Minor,
	}
	switch {
	case e.Mode&fs.ModeSymlink != 0:
		h.Size = uint32(len(e.Link))
		return w.Add(h, strings.NewReader(e.Link))
	case !e.Mode.IsRegular():
		return w.Add(h, nil)
	}
	if g.done++; g.ino == 0 {
		g.ino = ino
	}
	h.Ino, h.Nlink = g.ino, g.names
	holder := e
	if e.Hard != "" {
		if holder, err = t.Lstat(e.Hard); err != nil {
			return err
		}
	}
	if g.done < g.names {
		return w.Add(h, nil) // the content goes with the last name
	}
	if holder.Size > math.MaxUint32 {
		return fmt.Errorf("%s (%s): %d bytes; the archive's format ends at 4 GiB", e.Path, e.Source, holder.Size)
	}
	h.Size = uint32(holder.Size)
	r, err := t.Content(holder)
	if err != nil {
		return fmt.Errorf("%s (%s): %w", e.Path, e.Source, err)
	}
	defer r.Close()
	sum := sha256.New()
	if err := w.Add(h, io.TeeReader(r, sum)); err != nil {
		return fmt.Errorf("%s: %w", e.Source, err)
	}
	sums[first(e)] = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// unixMode is st_mode.
func unixMode(m fs.FileMode) (uint32, error) {
	mode := uint32(m.Perm())
	for bit, unix := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&bit != 0 {
			mode |= unix
		}
	}
	switch m.Type() {
	case 0:
		return mode | cpio.TypeRegular, nil
	case fs.ModeDir:
		return mode | cpio.TypeDir, nil
	case fs.ModeSymlink:
		return mode | cpio.TypeSymlink, nil
	case fs.ModeDevice | fs.ModeCharDevice:
		return mode | cpio.TypeChar, nil
	case fs.ModeDevice:
		return mode | cpio.TypeBlock, nil
	case fs.ModeNamedPipe:
		return mode | cpio.TypeFifo, nil
	}
	return 0, fmt.Errorf("type %v does not belong in an image", m.Type())
}

// counter counts what passes.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
