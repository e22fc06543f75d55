// Package tree holds the file tree of an image in memory, from the first
// package to the last byte of the archive.
//
// A tree is what would lie on disk if apk had installed the packages as root:
// types, permission bits with setuid and sticky, owners, links, hard links and
// device nodes. Nothing of it ever touches the host's file system, so no
// privilege is needed and the host's umask, owners and links cannot leak in.
// Contents are opened lazily: an entry knows where its bytes are.
package tree

import (
	"io"
	"io/fs"
)

// Entry is one name in the tree. Its zero value is not valid: Path and the
// type bits of Mode must be set.
type Entry struct {
	// Path is relative to the root, slash-separated, cleaned, without a leading
	// slash: "etc/passwd". The root itself is ".".
	Path string
	// Mode holds type, permission, setuid, setgid and sticky bits.
	Mode fs.FileMode
	// UID and GID are the numeric ids in the target's own databases.
	UID, GID int
	// MTime is in seconds since 1970.
	MTime int64
	// Link is the target of a symbolic link, as stored.
	Link string
	// Hard is the Path of the first name of a hard link; empty otherwise. An
	// entry with Hard set has no Content of its own.
	Hard string
	// Major and Minor are the numbers of a device node.
	Major, Minor uint32
	// Size is the length of Content in bytes.
	Size int64
	// Open yields the content of a regular file; nil means empty.
	Open func() (io.ReadCloser, error)
	// Source names what laid the entry: a package ("openssh-9.6_p1-r0"), or a
	// part of the build ("root/", "build").
	Source string
}
