package apk

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Bounds. Real ones stay far below: the largest package of Alpine unpacks to
// about 700 MB, its largest control segment to 60 KB, its indexes to 8 MB.
const (
	maxIndexFile   = 64 << 20
	maxIndexText   = 256 << 20
	maxIndexLine   = 4 << 20
	maxPackageFile = 1 << 30
	maxControl     = 4 << 20
	maxData        = 2 << 30
	maxEntries     = 500_000
	maxName        = 4096
	// maxRatio bounds how far gzip may have shrunk what is larger than
	// freeRatio; deflate's own limit is 1032, real packages reach 60.
	maxRatio  = 200
	freeRatio = 64 << 20
)

// isADB recognises the files of apk v3, compressed or not.
func isADB(head []byte) bool {
	return len(head) >= 4 && head[0] == 'A' && head[1] == 'D' && head[2] == 'B' &&
		(head[3] == '.' || head[3] == 'd' || head[3] == 'c')
}

// scratch is what reading one package needs and the next can use again.
type scratch struct {
	file []byte // the package as stored
	gz   *gzip.Reader
}

// unzip begins to unpack src.
func (s *scratch) unzip(src io.Reader) (*gzip.Reader, error) {
	if s.gz == nil {
		s.gz = new(gzip.Reader)
	}
	if err := s.gz.Reset(src); err != nil {
		return nil, fmt.Errorf("gzip: %w: %w", ErrFormat, err)
	}
	return s.gz, nil
}

// inflate unpacks the first gzip member of data, or all of them. used is how
// many bytes of data that took. What would exceed limit or the bounds of
// compression is an error before it is held.
func (s *scratch) inflate(data []byte, all bool, limit int64) (out []byte, used int, err error) {
	src := bytes.NewReader(data)
	z, err := s.unzip(src)
	if err != nil {
		return nil, 0, err
	}
	z.Multistream(all)
	if most := max(freeRatio, int64(len(data))*maxRatio); limit > most {
		limit = most
	}
	// The last four bytes give the size if there is one member only: a hint
	// that saves copying, kept within reason.
	hint := int64(4096)
	if n := len(data); all && n >= 4 {
		isize := int64(data[n-4]) | int64(data[n-3])<<8 | int64(data[n-2])<<16 | int64(data[n-1])<<24
		if isize <= limit && isize <= int64(n)*20 {
			hint = isize
		}
	}
	buf := bytes.NewBuffer(make([]byte, 0, hint+bytes.MinRead))
	n, err := buf.ReadFrom(io.LimitReader(z, limit+1))
	if err != nil {
		return nil, 0, fmt.Errorf("gzip: %w: %w", ErrFormat, err)
	}
	if n > limit {
		return nil, 0, fmt.Errorf("gzip: %w: unpacks to more than %d bytes", ErrFormat, limit)
	}
	if err := z.Close(); err != nil {
		return nil, 0, fmt.Errorf("gzip: %w: %w", ErrFormat, err)
	}
	return buf.Bytes(), len(data) - src.Len(), nil
}

// tarEntries calls each for every entry of a tar archive held in memory, with a
// slice of the archive for content. Segments without the closing zero blocks
// are fine, that is how v2 files are chained.
func tarEntries(data []byte, each func(h *tar.Header, content []byte) error) error {
	src := bytes.NewReader(data)
	r := tar.NewReader(src)
	for n := 0; ; n++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("tar: %w: %w", ErrFormat, err)
		}
		if n >= maxEntries {
			return fmt.Errorf("tar: %w: more than %d entries", ErrFormat, maxEntries)
		}
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") {
				return fmt.Errorf("tar: %q: %w: a sparse file", h.Name, ErrFormat)
			}
		}
		if h.Typeflag == tar.TypeGNUSparse {
			return fmt.Errorf("tar: %q: %w: a sparse file", h.Name, ErrFormat)
		}
		var content []byte
		if h.Typeflag == tar.TypeReg {
			at := len(data) - src.Len()
			if h.Size < 0 || h.Size > int64(src.Len()) {
				return fmt.Errorf("tar: %q: %w: its %d bytes are not all there", h.Name, ErrFormat, h.Size)
			}
			content = data[at : at+int(h.Size) : at+int(h.Size)]
		}
		if err := each(h, content); err != nil {
			return err
		}
	}
}

// cleanName accepts names as packages have them: relative, at most one slash at
// the end (of directories), no empty, "." or ".." component.
func cleanName(name string) (string, error) {
	n := strings.TrimSuffix(name, "/")
	if n == "" || n == "." || len(n) > maxName || path.Clean(n) != n || n[0] == '/' ||
		n == ".." || strings.HasPrefix(n, "../") || strings.IndexByte(n, 0) >= 0 {
		return "", fmt.Errorf("name %q: %w: not a plain path below the root", name, ErrFormat)
	}
	return n, nil
}

// leavesTree says whether a relative link at name climbs above the root.
func leavesTree(name, target string) bool {
	if strings.HasPrefix(target, "/") {
		// absolute targets are read inside the target's own root, where ".."
		// cannot climb
		return false
	}
	depth := strings.Count(name, "/")
	for _, p := range strings.Split(target, "/") {
		switch p {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// readSignatures takes the signature segment off a file, if there is one; limit
// bounds what its first segment, whatever that is, may unpack to.
func (s *scratch) readSignatures(data []byte, limit int64) (sigs []signature, used int, err error) {
	out, n, err := s.inflate(data, false, limit)
	if err != nil {
		return nil, 0, err
	}
	first := true
	is := false
	err = tarEntries(out, func(h *tar.Header, content []byte) error {
		if first {
			first = false
			is = strings.HasPrefix(h.Name, ".SIGN.")
		}
		if !is {
			return nil
		}
		if !strings.HasPrefix(h.Name, ".SIGN.") || h.Typeflag != tar.TypeReg {
			return fmt.Errorf("signature segment: %q: %w: not a signature", h.Name, ErrFormat)
		}
		if sig, ok := signatureOf(h.Name, content); ok {
			sigs = append(sigs, sig)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	if !is {
		return nil, 0, nil
	}
	return sigs, n, nil
}
