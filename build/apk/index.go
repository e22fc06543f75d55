package apk

import (
	"archive/tar"
	"bytes"
	"fmt"
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
	sigs, at, err := readSignatures(data, maxIndexText)
	if err != nil {
		return nil, "", "", err
	}
	if key, err = keys.verify(sigs, data[at:]); err != nil {
		return nil, "", "", err
	}
	text, used, err := inflate(data[at:], true, maxIndexText)
	if err != nil {
		return nil, "", "", err
	}
	if used != len(data)-at {
		return nil, "", "", fmt.Errorf("%w: %d bytes behind its end", ErrFormat, len(data)-at-used)
	}
	found := false
	err = tarEntries(text, func(h *tar.Header, content []byte) error {
		switch h.Name {
		case "DESCRIPTION":
			description = strings.TrimSpace(string(content))
		case "APKINDEX":
			if found {
				return fmt.Errorf("%w: APKINDEX is there twice", ErrFormat)
			}
			found = true
			var err error
			if pkgs, err = parseIndex(content); err != nil {
				return fmt.Errorf("APKINDEX: %w", err)
			}
		}
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("%w: no APKINDEX in it", ErrFormat)
	}
	return pkgs, description, key, err
}

// parseIndex reads the text of an index: "K:value" lines, packages apart by an
// empty line. Unknown letters are passed over, as apk does.
func parseIndex(text []byte) ([]*Package, error) {
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
	// one string for all, cut into pieces that share it
	rest := string(text)
	for rest != "" {
		var s string
		s, rest, _ = strings.Cut(rest, "\n")
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
