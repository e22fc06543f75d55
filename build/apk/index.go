package apk

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// IndexName is the file name of an index in its repository's folder for an
// architecture.
const IndexName = "APKINDEX.tar.gz"

// readIndex verifies and reads an index file.
func readIndex(data []byte, keys *Keys) (pkgs []*Package, description, key string, err error) {
	if isADB(data) {
		return nil, "", "", ErrADB
	}
	var s scratch
	sigs, at, err := s.readSignatures(data, maxIndexText)
	if err != nil {
		return nil, "", "", err
	}
	if key, err = keys.verify(sigs, data[at:]); err != nil {
		return nil, "", "", err
	}
	z, err := s.inflater(data[at:])
	if err != nil {
		return nil, "", "", err
	}
	found := false
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, "", "", fmt.Errorf("tar: %w: %w", ErrFormat, err)
		}
		switch h.Name {
		case "DESCRIPTION":
			text, err := io.ReadAll(io.LimitReader(r, 4096))
			if err != nil {
				return nil, "", "", fmt.Errorf("DESCRIPTION: %w: %w", ErrFormat, err)
			}
			description = strings.TrimSpace(string(text))
		case "APKINDEX":
			if found {
				return nil, "", "", fmt.Errorf("%w: APKINDEX is there twice", ErrFormat)
			}
			found = true
			if pkgs, err = parseIndex(r); err != nil {
				return nil, "", "", fmt.Errorf("APKINDEX: %w", err)
			}
		}
	}
	// the rest, for its checksum and for what may stand behind it
	if _, err := io.Copy(io.Discard, z); err != nil {
		return nil, "", "", fmt.Errorf("gzip: %w: %w", ErrFormat, err)
	}
	if !found {
		return nil, "", "", fmt.Errorf("%w: no APKINDEX in it", ErrFormat)
	}
	return pkgs, description, key, nil
}

// inflater unpacks all gzip members of data as they are read, within bounds.
func (s *scratch) inflater(data []byte) (io.Reader, error) {
	z, err := s.unzip(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return &bounded{z, min(maxIndexText, max(freeRatio, int64(len(data))*maxRatio))}, nil
}

// bounded fails where io.LimitReader would pretend an end.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errors.New("unpacks to more than an index may have")
	}
	return n, err
}

// parseIndex reads the text of an index: "K:value" lines, packages apart by an
// empty line. Unknown letters are passed over, as apk does.
func parseIndex(text io.Reader) ([]*Package, error) {
	var out []*Package
	p := &Package{}
	line, begun := 0, 0
	bad := func(format string, a ...any) error {
		return fmt.Errorf("line %d: %w: %s", line, ErrFormat, fmt.Sprintf(format, a...))
	}
	finish := func() error {
		if begun == 0 {
			return nil
		}
		if p.Name == "" || p.Version == "" {
			return bad("the package from line %d on lacks a name or version", begun)
		}
		if p.Checksum == (Checksum{}) {
			return bad("package %q has no checksum", p.ID())
		}
		if strings.ContainsAny(p.ID(), "/\x00") {
			return bad("package %q: a slash in its name", p.ID())
		}
		out = append(out, p)
		p, begun = &Package{}, 0
		return nil
	}
	lines := bufio.NewScanner(text)
	lines.Buffer(make([]byte, 64<<10), maxIndexLine)
	for lines.Scan() {
		// one string a line, cut into pieces that share it
		s := lines.Text()
		line++
		if s == "" {
			if err := finish(); err != nil {
				return nil, err
			}
			continue
		}
		if len(s) < 2 || s[1] != ':' {
			return nil, bad("%.40q is not a letter, a colon and a value", s)
		}
		if begun == 0 {
			begun = line
		}
		v := s[2:]
		var err error
		switch s[0] {
		case 'C':
			p.Checksum, err = ParseChecksum(v)
		case 'P':
			p.Name = v
		case 'V':
			p.Version = v
		case 'A':
			p.Arch = v
		case 'S':
			p.Size, err = strconv.ParseInt(v, 10, 64)
		case 'I':
			p.InstalledSize, err = strconv.ParseInt(v, 10, 64)
		case 'T':
			p.Description = v
		case 'U':
			p.URL = v
		case 'L':
			p.License = v
		case 'o':
			p.Origin = v
		case 'm':
			p.Maintainer = v
		case 't':
			p.BuildTime, err = strconv.ParseInt(v, 10, 64)
		case 'c':
			p.Commit = v
		case 'k':
			p.ProviderPriority, err = strconv.Atoi(v)
		case 'D':
			p.Depends, err = ParseDeps(v)
		case 'p':
			p.Provides, err = ParseDeps(v)
		case 'i':
			p.InstallIf, err = ParseDeps(v)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %c: %w", line, s[0], err)
		}
		if p.Size < 0 || p.InstalledSize < 0 {
			return nil, bad("%c: %s is no size that a package can have", s[0], v)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w: %w", line+1, ErrFormat, err)
	}
	if err := finish(); err != nil {
		return nil, err
	}
	return out, nil
}

// format writes a package as parseIndex reads it.
func (p *Package) format(b *bytes.Buffer) {
	put := func(key byte, v string) {
		if v != "" {
			fmt.Fprintf(b, "%c:%s\n", key, v)
		}
	}
	num := func(key byte, v int64) { put(key, strconv.FormatInt(v, 10)) }
	put('C', p.Checksum.String())
	put('P', p.Name)
	put('V', p.Version)
	put('A', p.Arch)
	num('S', p.Size)
	num('I', p.InstalledSize)
	put('T', p.Description)
	put('U', p.URL)
	put('L', p.License)
	put('o', p.Origin)
	put('m', p.Maintainer)
	if p.BuildTime != 0 {
		num('t', p.BuildTime)
	}
	put('c', p.Commit)
	if p.ProviderPriority != 0 {
		num('k', int64(p.ProviderPriority))
	}
	put('D', FormatDeps(p.Depends))
	put('p', FormatDeps(p.Provides))
	put('i', FormatDeps(p.InstallIf))
	b.WriteByte('\n')
}
