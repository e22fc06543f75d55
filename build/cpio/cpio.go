// Package cpio writes and reads the "newc" archives that Linux unpacks as its
// initramfs.
//
// The format is that of the kernel's Documentation/driver-api/early-userspace/
// buffer-format.rst: for each entry a header of 110 ASCII bytes, the name and
// its NUL padded to 4, the content padded to 4; at the end an entry named
// "TRAILER!!!". Nothing in it depends on the machine that writes.
//
// # What the writer holds its caller to
//
// The kernel goes on silently when it cannot make an entry, so mistakes are
// refused here: a name twice, a child before its parent's directory, a content
// that is shorter or longer than said, a file that 32 bits of size cannot hold.
//
// # Hard links
//
// Names of one file carry the same Ino and the same Nlink; the content stands
// with the last of them, as gen_init_cpio and GNU cpio do, and the others have
// Size 0. The kernel forgets inode numbers at each trailer, so numbers start
// again in each archive, and links cannot cross archives.
package cpio

import "fmt"

// The types of entry, as in stat(2).
const (
	TypeMask    = 0o170000
	TypeSocket  = 0o140000
	TypeSymlink = 0o120000
	TypeRegular = 0o100000
	TypeBlock   = 0o060000
	TypeDir     = 0o040000
	TypeChar    = 0o020000
	TypeFifo    = 0o010000
)

const (
	magic      = "070701"
	trailer    = "TRAILER!!!"
	headerSize = 110
	// nameMax is PATH_MAX: the kernel skips a longer name (init/initramfs.c).
	nameMax = 4096
)

// Header is one entry's metadata.
type Header struct {
	// Name is relative to the root, slash-separated and cleaned; the root
	// itself is ".".
	Name string
	// Mode is st_mode: type, setuid, setgid, sticky and permission bits.
	Mode     uint32
	UID, GID uint32
	// MTime is in seconds since 1970.
	MTime uint32
	// Size is the length of the content: of a symbolic link, its target's.
	Size uint32
	// Ino is the inode number. Zero makes the writer choose the next unused
	// one; names of one hard-linked file share a number above zero.
	Ino uint32
	// Nlink is the number of names; zero means 1 (2 for a directory).
	Nlink uint32
	// Major and Minor are a device node's numbers.
	Major, Minor uint32
	// Align, a power of two, makes the writer put the content at a multiple of
	// it, by further NULs after the name, as iucode_tool does: processors want
	// their microcode at multiples of 16. Zero means 4.
	Align uint32
}

// Type is the type bits of Mode.
func (h *Header) Type() uint32 { return h.Mode & TypeMask }

func pad4(n int64) int64 { return -n & 3 }

func entryError(name string, format string, args ...any) error {
	return fmt.Errorf("cpio %q: "+format, append([]any{name}, args...)...)
}
