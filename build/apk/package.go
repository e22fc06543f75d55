// Package apk reads and writes Alpine's package format, version 2, and chooses
// packages as apk 2.14 does.
//
// # Trust
//
// A repository is an index signed by a key that the caller named. Everything
// else hangs on that: the index gives the SHA-1 of a package's control segment
// (C:) and its size, the control segment gives the SHA-256 of the data segment
// (datahash). Both are checked whenever a package is read, be it from the
// network, from a folder or from the cache; the package's own signature is
// checked as well. What does not match is refused and, in the cache, moved to
// rejected/.
//
// Nobody vouches for how a signature is wrapped: the gzip header around it has
// fields, and its last byte bits, that nothing reads.
//
// What was verified is what is used: a file is read once, as a whole, and its
// contents are unpacked from the very bytes that were checked, so a change on the
// disk afterwards does not matter.
//
// # What it does not do
//
// Nothing is installed here (see package install), no file of the host but the
// cache is written, and apk v3 files (ADB) are recognised only to be refused.
package apk

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Sentinel errors, wrapped with the name of what they befell.
var (
	// ErrADB says that a file is of apk v3, which this package does not read.
	ErrADB = errors.New("is in the format of apk v3 (ADB); only v2 is read")
	// ErrSignature says that a signature is missing, by no known key, or wrong.
	ErrSignature = errors.New("bad signature")
	// ErrMismatch says that contents are not what the signed index names.
	ErrMismatch = errors.New("contents do not match the signed index")
	// ErrFormat says that a file is damaged or breaks the rules of its format.
	ErrFormat = errors.New("malformed")
	// ErrOffline says that something is not in the cache and may not be fetched.
	ErrOffline = errors.New("not in the cache, and the network is off")
)

// Checksum is the SHA-1 of a package's control segment as stored, which is what
// an index identifies a package by.
type Checksum [20]byte

// String gives the form of an index: "Q1" and base64.
func (c Checksum) String() string { return "Q1" + base64.StdEncoding.EncodeToString(c[:]) }

// ParseChecksum reads what String gives.
func ParseChecksum(s string) (Checksum, error) {
	var c Checksum
	b, ok := strings.CutPrefix(s, "Q1")
	raw, err := base64.StdEncoding.DecodeString(b)
	if !ok || err != nil || len(raw) != len(c) {
		return c, fmt.Errorf("checksum %q: %w: want Q1 and 20 bytes in base64", s, ErrFormat)
	}
	copy(c[:], raw)
	return c, nil
}

// Package is one entry of an index.
type Package struct {
	Name, Version, Arch, Origin       string
	License, Description, URL, Commit string
	Maintainer                        string
	Depends, Provides, InstallIf      []Dep
	ProviderPriority                  int
	Checksum                          Checksum // of the control segment
	Size                              int64    // of the file, bytes
	InstalledSize                     int64    // bytes, as its builder counted
	BuildTime                         int64    // seconds since 1970
	Repo                              *Repo    // where it comes from; nil in tests
}

// ID is the name as apk prints it: "openssh-9.6_p1-r0".
func (p *Package) ID() string { return p.Name + "-" + p.Version }

// File is the name of the package's file in its repository.
func (p *Package) File() string { return p.ID() + ".apk" }

// Info is what a package says of itself in .PKGINFO. For WriteArchive only
// Name, Version and Arch are required; DataHash is filled in.
type Info struct {
	Name, Version, Arch, Origin       string
	License, Description, URL, Commit string
	Maintainer                        string
	Depends, Provides, InstallIf      []Dep
	// Replaces names packages whose files this one may overwrite;
	// ReplacesPriority decides when both do.
	Replaces         []Dep
	ReplacesPriority int
	ProviderPriority int
	// Triggers are the patterns of directories whose change runs .trigger.
	Triggers  []string
	BuildTime int64 // seconds since 1970
	// InstalledSize is the sum of the file sizes in bytes; 0 in WriteArchive
	// means: count.
	InstalledSize int64
	// DataHash is the SHA-256, in hex, of the data segment as stored.
	DataHash string
}
