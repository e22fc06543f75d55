package apk

import (
	"archive/tar"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// WriteArchive writes a package in apk's v2 format; a.Checksum is not used. The
// same input gives the same bytes: entries are written in the order given, which
// must name a directory before what is in it and the first name of a hard link
// before the others; no time but theirs and a.Info's goes in.
//
// key signs the package (RSA with SHA-256) under keyName, the file name of the
// public key ("build-1234.rsa.pub"); nil leaves it unsigned.
func WriteArchive(w io.Writer, a *Archive, key *rsa.PrivateKey, keyName string) error {
	info := a.Info
	wrap := func(err error) error { return fmt.Errorf("package %s-%s: %w", info.Name, info.Version, err) }
	if info.Name == "" || info.Version == "" || info.Arch == "" {
		return wrap(fmt.Errorf("%w: name, version and architecture are needed", ErrFormat))
	}
	if !ValidVersion(info.Version) {
		return wrap(fmt.Errorf("%w: version %q", ErrFormat, info.Version))
	}
	if info.InstalledSize == 0 {
		for _, e := range a.Entries {
			info.InstalledSize += e.Size
		}
	}
	when := time.Unix(info.BuildTime, 0).UTC()
	data, err := segment(true, func(t *tar.Writer) error {
		for _, e := range a.Entries {
			if err := writeEntry(t, e); err != nil {
				return fmt.Errorf("%q: %w", e.Path, err)
			}
		}
		return nil
	})
	if err != nil {
		return wrap(err)
	}
	digest := sha256.Sum256(data)
	info.DataHash = hex.EncodeToString(digest[:])
	control, err := segment(false, func(t *tar.Writer) error {
		if err := writeFile(t, ".PKGINFO", 0o644, when, info.format()); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(a.Scripts)) {
			if err := writeFile(t, "."+name, 0o755, when, a.Scripts[name]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return wrap(err)
	}
	if err := writeSigned(w, when, control, key, keyName); err != nil {
		return wrap(err)
	}
	if _, err := w.Write(data); err != nil {
		return wrap(err)
	}
	return nil
}

// segment makes one gzip member of a tar archive; closed says whether it ends
// with tar's zero blocks.
func segment(closed bool, fill func(*tar.Writer) error) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	if err := fill(t); err != nil {
		return nil, err
	}
	if closed {
		err = t.Close()
	} else {
		err = t.Flush()
	}
	if err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func writeFile(t *tar.Writer, name string, mode int64, when time.Time, data []byte) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, ModTime: when,
		Uname: "root", Gname: "root", Size: int64(len(data))}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err := t.Write(data)
	return err
}

func writeEntry(t *tar.Writer, e *Entry) error {
	h := &tar.Header{Name: e.Path, Mode: bitsOf(e.Mode), Uid: e.UID, Gid: e.GID,
		Uname: e.User, Gname: e.Group, ModTime: time.Unix(e.MTime, 0).UTC()}
	switch {
	case e.Hard != "":
		h.Typeflag, h.Linkname = tar.TypeLink, e.Hard
	case e.Mode.IsDir():
		h.Typeflag = tar.TypeDir
		h.Name += "/"
	case e.Mode&fs.ModeSymlink != 0:
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.Link
	case e.Mode.IsRegular():
		h.Typeflag, h.Size = tar.TypeReg, e.Size
	default:
		return fmt.Errorf("%w: %v may not be in a package", ErrFormat, e.Mode.Type())
	}
	// apk keeps this sum of each file and link in its database, and complains
	// where it lacks
	sum := sha1.New()
	switch h.Typeflag {
	case tar.TypeReg:
		if err := e.copyTo(sum); err != nil {
			return err
		}
	case tar.TypeSymlink:
		io.WriteString(sum, e.Link)
	}
	h.PAXRecords = map[string]string{}
	for name, v := range e.Xattrs {
		h.PAXRecords[paxXattr+name] = v
	}
	if h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeSymlink {
		h.PAXRecords["APK-TOOLS.checksum.SHA1"] = hex.EncodeToString(sum.Sum(nil))
	}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	return e.copyTo(t)
}

// copyTo writes the content of a file.
func (e *Entry) copyTo(w io.Writer) error {
	if e.Open == nil {
		if e.Size != 0 {
			return fmt.Errorf("%w: no content for its %d bytes", ErrFormat, e.Size)
		}
		return nil
	}
	r, err := e.Open()
	if err != nil {
		return err
	}
	n, err := io.Copy(w, r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err == nil && n != e.Size {
		err = fmt.Errorf("%w: %d bytes, not the %d it was said to have", ErrFormat, n, e.Size)
	}
	return err
}

// writeSigned writes a signature segment for body, if there is a key, and body.
func writeSigned(w io.Writer, when time.Time, body []byte, key *rsa.PrivateKey, keyName string) error {
	if key != nil {
		digest := sha256.Sum256(body)
		sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		if err != nil {
			return fmt.Errorf("sign: %w", err)
		}
		head, err := segment(false, func(t *tar.Writer) error {
			return writeFile(t, ".SIGN.RSA256."+keyName, 0o644, when, sig)
		})
		if err != nil {
			return fmt.Errorf("sign: %w", err)
		}
		if _, err := w.Write(head); err != nil {
			return err
		}
	}
	_, err := w.Write(body)
	return err
}

// WriteIndex reads every package of dir (*.apk, one architecture's folder of a
// repository) and writes the index of them, sorted by file name and signed as
// in WriteArchive. Packages of an architecture other than arch and "noarch" are
// an error.
func WriteIndex(w io.Writer, dir, arch, description string, key *rsa.PrivateKey, keyName string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.apk"))
	if err != nil {
		return fmt.Errorf("index %q: %w", dir, err)
	}
	slices.Sort(names)
	list := make([]*Package, 0, len(names))
	for _, name := range names {
		p, err := packageOf(name, arch)
		if err != nil {
			return fmt.Errorf("index: %w", err)
		}
		list = append(list, p)
	}
	if err := writeIndex(w, list, description, key, keyName); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	return nil
}

// packageOf reads a package file and says what an index says of it.
func packageOf(name, arch string) (*Package, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	a, err := ReadArchive(data, nil)
	if err != nil {
		return nil, fmt.Errorf("package %q: %w", filepath.Base(name), err)
	}
	in := &a.Info
	p := &Package{
		Name: in.Name, Version: in.Version, Arch: in.Arch, Origin: in.Origin,
		License: in.License, Description: in.Description, URL: in.URL, Commit: in.Commit,
		Maintainer: in.Maintainer, Depends: in.Depends, Provides: in.Provides,
		InstallIf: in.InstallIf, ProviderPriority: in.ProviderPriority,
		Checksum: a.Checksum, Size: int64(len(data)), InstalledSize: in.InstalledSize,
		BuildTime: in.BuildTime,
	}
	if in.Arch == "noarch" {
		p.Arch = arch
	}
	if p.Arch != arch {
		return nil, fmt.Errorf("package %q is for %q, not %q", filepath.Base(name), in.Arch, arch)
	}
	if p.File() != filepath.Base(name) {
		return nil, fmt.Errorf("package %q says that it is %q", filepath.Base(name), p.File())
	}
	return p, nil
}

// writeIndex writes the index of a list of packages.
func writeIndex(w io.Writer, list []*Package, description string, key *rsa.PrivateKey, keyName string) error {
	var text bytes.Buffer
	latest := int64(0)
	for _, p := range list {
		latest = max(latest, p.BuildTime)
		p.format(&text)
	}
	when := time.Unix(latest, 0).UTC()
	body, err := segment(true, func(t *tar.Writer) error {
		if err := writeFile(t, "DESCRIPTION", 0o644, when, []byte(strings.TrimSpace(description)+"\n")); err != nil {
			return err
		}
		return writeFile(t, "APKINDEX", 0o644, when, text.Bytes())
	})
	if err != nil {
		return err
	}
	return writeSigned(w, when, body, key, keyName)
}
