package seedrng

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// system is every call into the kernel that the seed makes, so that a test can
// stop between any two.
type system interface {
	mkdir(path string) error // mode 0700
	// open is openat(2), with O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK and O_NOCTTY.
	open(dirfd int, name string, flags int, mode uint32) (int, error)
	stat(fd int) (kind, error)
	lock(fd int) error // at once, or not at all
	read(fd int, b []byte) (int, error)
	write(fd int, b []byte) (int, error)
	sync(fd int) error
	unlink(dirfd int, name string) error
	rename(dirfd int, from, to string) error // in one folder
	close(fd int)
	addEntropy(fd int, p *poolInfo) error
	random(b []byte, flags int) (int, error)
	clock(id int32) unix.Timespec
}

// kind is what stat tells of a file.
type kind struct {
	mode uint32 // st_mode
	size int64  // bytes
	// shared: it is not ours alone: owned or to be written by others, on a file
	// system that knows owners.
	shared bool
}

// poolInfo is struct rand_pool_info of linux/random.h. The kernel reads two
// ints; with wider ones it credits what it does not mix in.
type poolInfo struct {
	entropy int32 // bits to credit
	size    int32 // bytes of buf
	buf     [seedMost]byte
}

const rndAddEntropy = 0x40085203 // RNDADDENTROPY: _IOW('R', 3, int[2])

// linux is the system that there is.
type linux struct{}

func (linux) mkdir(path string) error { return unix.Mkdir(path, 0o700) }

func (linux) open(dirfd int, name string, flags int, mode uint32) (int, error) {
	return unix.Openat(dirfd, name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, mode)
}

func (linux) stat(fd int) (kind, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return kind{}, err
	}
	k := kind{mode: st.Mode, size: st.Size}
	if st.Uid == uint32(unix.Geteuid()) && st.Mode&0o022 == 0 {
		return k, nil
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return kind{}, err
	}
	switch uint32(fs.Type) {
	case unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC:
		return k, nil // owners and modes are what the mount options say
	}
	k.shared = true
	return k, nil
}

func (linux) lock(fd int) error                       { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }
func (linux) read(fd int, b []byte) (int, error)      { return unix.Read(fd, b) }
func (linux) write(fd int, b []byte) (int, error)     { return unix.Write(fd, b) }
func (linux) sync(fd int) error                       { return unix.Fsync(fd) }
func (linux) unlink(dirfd int, name string) error     { return unix.Unlinkat(dirfd, name, 0) }
func (linux) rename(dirfd int, from, to string) error { return unix.Renameat(dirfd, from, dirfd, to) }
func (linux) close(fd int)                            { _ = unix.Close(fd) } // what matters was synced before
func (linux) random(b []byte, flags int) (int, error) { return unix.Getrandom(b, flags) }

func (linux) addEntropy(fd int, p *poolInfo) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), rndAddEntropy, uintptr(unsafe.Pointer(p))); errno != 0 {
		return errno
	}
	return nil
}

func (linux) clock(id int32) unix.Timespec {
	var ts unix.Timespec
	_ = unix.ClockGettime(id, &ts) // it cannot fail, and is only salt
	return ts
}
