package launch

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// spared are the trees that ReadOnly leaves alone. systemd's
// ProtectSystem=strict, the model, spares the first three: they are the kernel's,
// not files. Here /run is spared as well: it is gone at power-off in any case,
// and every second service has a pid file or a socket there, for which systemd
// has RuntimeDirectory=. Unlike with systemd, /home and /root are read-only and
// there is no second key for them.
var spared = [...]string{"/dev", "/proc", "/sys", "/run"}

// private gives this thread, and so the service, mounts of its own.
//
// It comes after stdout and the like are open: their paths are the machine's,
// the log of a read-only service need not be writable to it, and a mount with a
// file open for writing cannot become read-only (EBUSY).
func private(s *Spec) *Failure {
	if !s.PrivateTmp && !s.ReadOnly {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fail("mount namespace", "", err)
	}
	// What is mounted and unmounted outside shall be so inside, not the other way.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fail("mount namespace", "/", err)
	}
	if s.ReadOnly {
		if f := readOnly(s.Writable); f != nil {
			return f
		}
	}
	if s.PrivateTmp {
		return privateTmp()
	}
	return nil
}

// readOnly makes everything read-only but spared and writable. Copies of those
// are made first and laid over the places that they were copied from last: so
// each mount below them stays exactly as it was, read-only ones too.
func readOnly(writable []string) *Failure {
	type copied struct {
		path string
		fd   int
	}
	var copies []copied
	take := func(path string) error {
		fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		if err == nil {
			copies = append(copies, copied{path, fd})
		}
		return err
	}
	for _, path := range spared {
		if err := take(path); err != nil && err != unix.ENOENT {
			return fail("read_only", path, err)
		}
	}
	for _, name := range writable {
		path, optional := strings.CutPrefix(name, "-")
		var err error
		switch {
		case !strings.HasPrefix(path, "/"):
			err = errAbsolute
		case strings.Trim(path, "/.") == "":
			err = errors.New("is all that read_only is about")
		default:
			err = take(path)
		}
		if err != nil && !(optional && absent(err)) {
			return fail("writable", path, err)
		}
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fail("read_only", "/", err)
	}
	for _, c := range copies {
		if err := unix.MoveMount(c.fd, "", unix.AT_FDCWD, c.path, unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS); err != nil {
			return fail("writable", c.path, err)
		}
		unix.Close(c.fd)
	}
	return nil
}

// absent: there is nothing of that name.
func absent(err error) bool { return err == unix.ENOENT || err == unix.ENOTDIR }

// privateTmp lays an empty tmpfs over /tmp and /var/tmp. A /var/tmp that is a
// link needs none, and one that is missing is not made.
func privateTmp() *Failure {
	for _, path := range [...]string{"/tmp", "/var/tmp"} {
		var st unix.Stat_t
		err := unix.Lstat(path, &st)
		if path != "/tmp" && (absent(err) || err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR) {
			continue
		}
		if err == nil {
			err = unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777")
		}
		if err != nil {
			return fail("private_tmp", path, err)
		}
	}
	return nil
}
