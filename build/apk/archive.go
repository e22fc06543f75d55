package apk

import (
	"archive/tar"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"

	"hoopy/build/tree"
)

// Archive is a package, read whole and verified. Its contents live in memory
// and stay valid without the file that they came from.
type Archive struct {
	Info Info
	// Checksum identifies the control segment.
	Checksum Checksum
	// Scripts by name without the dot: "pre-install", "post-install",
	// "trigger"...
	Scripts map[string][]byte
	// Entries are in the order of the archive: a file after its directory and
	// a hard link after its first name, if those are in the package.
	Entries []*Entry
}

// Entry is one name in a package, with its owner as the archive names it: the
// numbers in UID and GID are those of the machine that built the package.
type Entry struct {
	tree.Entry
	User, Group string
	// Xattrs are the extended attributes by name ("security.capability", say);
	// a tree has none.
	Xattrs map[string]string
}

// paxXattr begins the names of PAX records that hold extended attributes.
const paxXattr = "SCHILY.xattr."

// scriptNames are the files of a control segment that are scripts.
var scriptNames = map[string]bool{
	".pre-install": true, ".post-install": true, ".pre-upgrade": true, ".post-upgrade": true,
	".pre-deinstall": true, ".post-deinstall": true, ".trigger": true,
}

// ReadArchive reads a package file that is not tied to an index: if it is
// signed, then by one of keys (nil: is not checked), and its data segment must
// be the one that its control segment names.
func ReadArchive(data []byte, keys *Keys) (*Archive, error) {
	var s scratch
	a, payload, err := s.openArchive(data, keys)
	if err != nil {
		return nil, err
	}
	return a, s.readData(a, payload)
}

// openArchive checks signature and digests and reads the control segment; the
// payload is the data segment as stored, which is not unpacked.
func (s *scratch) openArchive(data []byte, keys *Keys) (a *Archive, payload []byte, err error) {
	if isADB(data) {
		return nil, nil, ErrADB
	}
	sigs, at, err := s.readSignatures(data, maxControl)
	if err != nil {
		return nil, nil, err
	}
	text, n, err := s.inflate(data[at:], false, maxControl)
	if err != nil {
		return nil, nil, fmt.Errorf("control segment: %w", err)
	}
	control := data[at : at+n]
	if keys != nil && (at > 0 || len(sigs) > 0) {
		if _, err := keys.verify(sigs, control); err != nil {
			return nil, nil, err
		}
	}
	a = &Archive{Checksum: sha1.Sum(control), Scripts: map[string][]byte{}}
	if err := a.readControl(text); err != nil {
		return nil, nil, fmt.Errorf("control segment: %w", err)
	}
	payload = data[at+n:]
	if want := a.Info.DataHash; want == "" && len(payload) > 0 {
		return nil, nil, fmt.Errorf("%w: .PKGINFO names no datahash", ErrFormat)
	} else if want != "" {
		if have := sha256.Sum256(payload); hex.EncodeToString(have[:]) != want {
			return nil, nil, fmt.Errorf("%w (sha256 of data: want %.12s…, have %.12s…)",
				ErrMismatch, want, hex.EncodeToString(have[:]))
		}
	}
	return a, payload, nil
}

// verify holds the file of a package against the index, without unpacking its
// data segment.
func (s *scratch) verify(p *Package, data []byte, keys *Keys) (a *Archive, payload []byte, err error) {
	if isADB(data) {
		return nil, nil, ErrADB
	}
	if p.Size > 0 && int64(len(data)) != p.Size {
		return nil, nil, fmt.Errorf("%w (size: want %d, have %d)", ErrMismatch, p.Size, len(data))
	}
	a, payload, err = s.openArchive(data, keys)
	if err != nil {
		return nil, nil, err
	}
	if a.Checksum != p.Checksum {
		return nil, nil, fmt.Errorf("%w (sha1 of control: want %s, have %s)", ErrMismatch, p.Checksum, a.Checksum)
	}
	if a.Info.Name != p.Name || a.Info.Version != p.Version {
		return nil, nil, fmt.Errorf("%w (it is %s-%s)", ErrMismatch, a.Info.Name, a.Info.Version)
	}
	return a, payload, nil
}

// read holds the file of a package against the index and unpacks it.
func (s *scratch) read(p *Package, data []byte, keys *Keys) (*Archive, error) {
	a, payload, err := s.verify(p, data, keys)
	if err != nil {
		return nil, err
	}
	return a, s.readData(a, payload)
}

func (a *Archive) readControl(text []byte) error {
	seen := map[string]bool{}
	err := tarEntries(text, func(h *tar.Header, content []byte) error {
		if seen[h.Name] {
			return fmt.Errorf("%q: %w: there twice", h.Name, ErrFormat)
		}
		seen[h.Name] = true
		if h.Typeflag != tar.TypeReg {
			return fmt.Errorf("%q: %w: not a file", h.Name, ErrFormat)
		}
		switch {
		case h.Name == ".PKGINFO":
			info, err := parseInfo(content)
			if err != nil {
				return fmt.Errorf(".PKGINFO: %w", err)
			}
			a.Info = *info
		case scriptNames[h.Name]:
			a.Scripts[h.Name[1:]] = bytes.Clone(content)
		}
		return nil
	})
	if err == nil && !seen[".PKGINFO"] {
		err = fmt.Errorf("%w: no .PKGINFO", ErrFormat)
	}
	return err
}

// readData unpacks the data segment. The contents share one piece of memory,
// and none with data.
func (s *scratch) readData(a *Archive, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	text, used, err := s.inflate(data, true, maxData)
	if err != nil {
		return fmt.Errorf("data segment: %w", err)
	}
	if used != len(data) {
		return fmt.Errorf("data segment: %w: %d bytes behind its end", ErrFormat, len(data)-used)
	}
	types := map[string]byte{}
	err = tarEntries(text, func(h *tar.Header, content []byte) error {
		e, err := entryOf(h, content)
		if err != nil {
			return err
		}
		if e.Path[0] == '.' {
			// for apk these belong to the control segment; it never lays them
			return nil
		}
		if _, twice := types[e.Path]; twice {
			return fmt.Errorf("%q: %w: there twice", e.Path, ErrFormat)
		}
		if e.Hard != "" && types[e.Hard] != tar.TypeReg {
			return fmt.Errorf("%q: %w: hard link to %q, which is no file before it", e.Path, ErrFormat, e.Hard)
		}
		types[e.Path] = h.Typeflag
		a.Entries = append(a.Entries, e)
		return nil
	})
	if err != nil {
		return fmt.Errorf("data segment: %w", err)
	}
	return nil
}

// entryOf turns a tar header into an entry, or says why it may not be one.
func entryOf(h *tar.Header, content []byte) (*Entry, error) {
	name, err := cleanName(h.Name)
	if err != nil {
		return nil, err
	}
	e := &Entry{User: h.Uname, Group: h.Gname}
	e.Path, e.UID, e.GID, e.MTime = name, h.Uid, h.Gid, h.ModTime.Unix()
	e.Mode = modeOf(h.Mode)
	switch h.Typeflag {
	case tar.TypeReg:
		e.Size = h.Size
		if len(content) > 0 {
			e.Open = tree.Bytes(content)
		}
	case tar.TypeDir:
		e.Mode |= fs.ModeDir
	case tar.TypeSymlink:
		if h.Linkname == "" || len(h.Linkname) > maxName || strings.IndexByte(h.Linkname, 0) >= 0 {
			return nil, fmt.Errorf("%q: %w: link to %q", name, ErrFormat, h.Linkname)
		}
		if leavesTree(name, h.Linkname) {
			return nil, fmt.Errorf("%q: %w: link to %q leaves the tree", name, ErrFormat, h.Linkname)
		}
		e.Mode = fs.ModeSymlink | 0o777
		e.Link = h.Linkname
	case tar.TypeLink:
		if e.Hard, err = cleanName(h.Linkname); err != nil {
			return nil, fmt.Errorf("%q: hard link: %w", name, err)
		}
	case tar.TypeChar, tar.TypeBlock:
		return nil, fmt.Errorf("%q: %w: a device node (%d, %d); packages may not bring any", name, ErrFormat, h.Devmajor, h.Devminor)
	default:
		return nil, fmt.Errorf("%q: %w: type %q is neither file, directory nor link", name, ErrFormat, h.Typeflag)
	}
	for key, v := range h.PAXRecords {
		if x, ok := strings.CutPrefix(key, paxXattr); ok {
			if e.Xattrs == nil {
				e.Xattrs = map[string]string{}
			}
			e.Xattrs[x] = v
		}
	}
	return e, nil
}

// modeOf maps the permission bits of a tar header.
func modeOf(m int64) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	if m&0o4000 != 0 {
		mode |= fs.ModeSetuid
	}
	if m&0o2000 != 0 {
		mode |= fs.ModeSetgid
	}
	if m&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

// bitsOf is the reverse of modeOf.
func bitsOf(mode fs.FileMode) int64 {
	m := int64(mode.Perm())
	if mode&fs.ModeSetuid != 0 {
		m |= 0o4000
	}
	if mode&fs.ModeSetgid != 0 {
		m |= 0o2000
	}
	if mode&fs.ModeSticky != 0 {
		m |= 0o1000
	}
	return m
}
