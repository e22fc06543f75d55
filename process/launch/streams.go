package launch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// session makes the process the leader of a session of its own and gives it
// the terminal /dev/tty, if one is named. Opening must not wait for a carrier,
// nor make it the controlling terminal too early.
func session(tty string) *Failure {
	if pid := unix.Getpid(); sid(0) != pid {
		if _, err := unix.Setsid(); err != nil {
			return fail("setsid", "", err)
		}
	}
	if tty == "" {
		return nil
	}
	name := "/dev/" + tty
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail("open terminal", name, err)
	}
	// 0: not from a session that has it. That is the rescue shell, or a person's:
	// two readers of one terminal get every other letter each.
	if err := unix.IoctlSetInt(fd, unix.TIOCSCTTY, 0); err == unix.EPERM {
		return fail("control terminal", name, fmt.Errorf("another session has it (%w)", err))
	} else if err != nil {
		return fail("control terminal", name, err)
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		return fail("control terminal", name, err)
	}
	for i := range 3 {
		if err := unix.Dup3(fd, i, 0); err != nil {
			return fail("dup terminal", name, err)
		}
	}
	return nil
}

func sid(pid int) int {
	n, err := unix.Getsid(pid)
	if err != nil {
		return -1
	}
	return n
}

// streams opens what 0, 1 and 2 are to be.
func streams(s *Spec, a *Account) *Failure {
	for i, name := range [...]string{s.Stdin, s.Stdout, s.Stderr} {
		if name == "" {
			continue
		}
		step := [...]string{"stdin", "stdout", "stderr"}[i]
		fd, err := openStream(name, i > 0, a)
		if err == nil {
			err = unix.Dup3(fd, i, 0)
			unix.Close(fd)
		}
		if err != nil {
			return fail(step, name, err)
		}
	}
	return nil
}

var errAbsolute = errors.New("no absolute path")

// openStream opens a file to read, or to append to, as root: a log stands where
// its service may not write, and a key where it may not read. But root must not
// be led astray by who may write to a directory on the way. So symbolic links
// are followed only where root made them (openFile), a regular file has one
// name alone, and one that is written to is root's or the service's own, or
// stands where root alone can have put it.
//
// Nothing here waits: O_NONBLOCK opens a FIFO, or a line without a carrier, at
// once, and is taken back.
func openStream(name string, write bool, a *Account) (int, error) {
	if name == "null" {
		name = os.DevNull
	}
	const common = unix.O_NOCTTY | unix.O_NONBLOCK | unix.O_CLOEXEC
	var fd int
	var err error
	if write {
		fd, err = openAppend(name, common, a)
	} else {
		fd, err = openFile(name, unix.O_RDONLY|common, 0)
	}
	if err == unix.ENXIO {
		return -1, fmt.Errorf("nobody at the other end (%w)", err)
	}
	if err != nil {
		return -1, err
	}
	if err = checkStream(fd, name, write, a); err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// openAppend makes the file if it is missing.
func openAppend(name string, common uint64, a *Account) (fd int, err error) {
	for range 3 {
		fd, err = openFile(name, unix.O_WRONLY|unix.O_APPEND|common, 0)
		if err != unix.ENOENT {
			return fd, err
		}
		fd, err = openFile(name, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_EXCL|common, 0o640)
		if err == unix.EEXIST {
			continue // somebody else has just made it
		}
		if err == nil {
			// vfat has neither owners nor modes; the descriptor serves all the same.
			_ = unix.Fchown(fd, int(a.UID), int(a.GID))
			_ = unix.Fchmod(fd, 0o640)
		}
		return fd, err
	}
	return -1, err
}

func checkStream(fd int, name string, write bool, a *Account) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	switch kind := st.Mode & unix.S_IFMT; {
	case kind == unix.S_IFDIR:
		return unix.EISDIR
	case kind != unix.S_IFREG:
		return nil
	case st.Nlink != 1:
		return fmt.Errorf("has %d names (hard links)", st.Nlink)
	case write && st.Uid != 0 && st.Uid != a.UID && !rootsAlone(name):
		return fmt.Errorf("belongs to uid %d and not to %s, in a directory that others than root write to", st.Uid, a.Name)
	}
	return nil
}

// rootsAlone says whether nobody but root can make a file where name is.
func rootsAlone(name string) bool {
	real, err := resolve(name)
	if err != nil {
		return false
	}
	var dir unix.Stat_t
	err = unix.Lstat(filepath.Dir(real), &dir)
	return err == nil && dir.Uid == 0 && dir.Mode&0o022 == 0
}

// openFile is open(2) of an absolute path that follows a symbolic link only if
// root owns both it and the directory that it stands in. Whoever owns another
// directory on the way can put nothing but his own files there.
func openFile(name string, flags uint64, mode uint64) (int, error) {
	if !strings.HasPrefix(name, "/") {
		return -1, errAbsolute
	}
	how := unix.OpenHow{Flags: flags, Mode: mode, Resolve: unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, name, &how)
	if err != unix.ELOOP && err != unix.EEXIST { // EEXIST: a link that leads nowhere yet
		return fd, err
	}
	// What resolve returns has no link in it, or not any more by the time it is
	// opened: then that fails again.
	real, err := resolve(name)
	if err != nil {
		return -1, err
	}
	return unix.Openat2(unix.AT_FDCWD, real, &how) // EEXIST again: it is no link
}

// resolve replaces the links of an absolute path by what they lead to.
func resolve(name string) (string, error) {
	done, rest := "", name
	for links := 0; rest != ""; {
		var word string
		word, rest, _ = strings.Cut(rest, "/")
		switch word {
		case "", ".":
			continue
		case "..":
			done = done[:max(strings.LastIndexByte(done, '/'), 0)]
			continue
		}
		next := done + "/" + word
		var st, dir unix.Stat_t
		if unix.Lstat(next, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
			done = next // what is wrong with it, open says
			continue
		}
		if err := unix.Lstat(done+"/", &dir); err != nil {
			return "", err
		}
		if st.Uid != 0 || dir.Uid != 0 {
			return "", fmt.Errorf("the symbolic link %s is not root's", next)
		}
		if links++; links > 40 {
			return "", unix.ELOOP
		}
		to, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(to, "/") {
			done = ""
		}
		rest = to + "/" + rest
	}
	if done == "" {
		return "/", nil
	}
	return done, nil
}
