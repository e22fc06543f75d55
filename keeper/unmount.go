package keeper

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// apiTypes are file systems with nothing to write anywhere; they stay.
var apiTypes = [...]string{"rootfs", "ramfs", "tmpfs", "proc", "sysfs", "devtmpfs", "devpts",
	"cgroup", "cgroup2", "mqueue", "securityfs", "efivarfs", "pstore", "tracefs", "debugfs",
	"bpf", "configfs", "hugetlbfs", "binfmt_misc", "fusectl", "nsfs", "autofs", "rpc_pipefs"}

// unmountPasses are made over what is still busy, with a tenth of a second
// between them; all of them together last no longer than unmountsWithin.
const (
	unmountPasses  = 10
	unmountsWithin = 30 * Second
)

// leaving is one mount on its way out.
type leaving struct {
	target string
	gone   bool
	hung   bool
}

// unmountAll unmounts real file systems, the last mounted first. What stays
// busy is made read-only, then detached, with a word about why; what hangs is only detached.
func (k *keeper) unmountAll() {
	all := toUnmount(readFile("/proc/self/mountinfo", make([]byte, 1<<20)))
	until := mono() + unmountsWithin
	for pass := range unmountPasses {
		left := false
		for i := range all {
			m := &all[i]
			if m.gone || m.hung || mono() >= until {
				continue
			}
			k.leave(m)
			left = left || !m.gone && !m.hung
		}
		if !left {
			return
		}
		if pass < unmountPasses-1 {
			again := mono() + 100*Millisecond
			for mono() < again {
				k.reap()
				k.rest(again)
			}
		}
	}
	for i := range all {
		m := &all[i]
		if m.gone || m.hung || mono() >= until {
			continue
		}
		k.blame(m)
		// Two steps: a disk that does not answer the first must not stay in place.
		k.step(m.target, unmountWithin, func() error {
			return unix.Mount("", m.target, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
		})
		k.detach(m)
	}
	for i := range all {
		if all[i].hung && mono() < until {
			k.detach(&all[i])
		}
	}
}

// detach takes a mount out of the tree, whoever still uses it.
func (k *keeper) detach(m *leaving) {
	k.step(m.target, unmountWithin, func() error {
		return unix.Unmount(m.target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	})
}

// leave tries one unmount(2); only the last pass speaks of EBUSY, by its line.
func (k *keeper) leave(m *leaving) {
	var err error
	if !k.step(m.target, unmountWithin, func() error {
		err = unix.Unmount(m.target, unix.UMOUNT_NOFOLLOW)
		if err == unix.EBUSY {
			return nil
		}
		return err
	}) {
		m.hung = true // an error is as final: it is not mounted, or not ours
		return
	}
	m.gone = err == nil
}

// toUnmount lists the real file systems of a mountinfo and what is mounted below
// them, the last mounted first.
func toUnmount(mountinfo []byte) (all []leaving) {
	eachMount(mountinfo, func(m mountPoint) {
		if m.target == "/" {
			return
		}
		for _, t := range apiTypes {
			if m.fstype == t && !inside(all, m.target) {
				return
			}
		}
		all = append(all, leaving{target: m.target})
	})
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return all
}

// inside says whether target lies below one of those that go.
func inside(all []leaving, target string) bool {
	for i := range all {
		n := len(all[i].target)
		if len(target) > n && target[:n] == all[i].target && target[n] == '/' {
			return true
		}
	}
	return false
}

// swapOff ends swapping to each area of /proc/swaps, see swapoff(2).
func swapOff() (first error) {
	for _, path := range swaps(readFile("/proc/swaps", make([]byte, 65536))) {
		p, err := unix.BytePtrFromString(path)
		if err != nil {
			continue // a name with NUL cannot be in the file
		}
		if _, _, e := unix.Syscall(unix.SYS_SWAPOFF, uintptr(unsafe.Pointer(p)), 0, 0); e != 0 && first == nil {
			first = e
		}
	}
	return first
}

// swaps are the first words of all lines of /proc/swaps but its heading.
func swaps(b []byte) (paths []string) {
	for heading := true; len(b) > 0; heading = false {
		end := 0
		for end < len(b) && b[end] != '\n' {
			end++
		}
		if !heading {
			words(b[:end], func(w string) bool {
				paths = append(paths, unescape(w))
				return false
			})
		}
		b = b[min(end+1, len(b)):]
	}
	return paths
}
