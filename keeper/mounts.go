package keeper

import (
	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

// mountRow is one of the kernel's file systems.
type mountRow struct {
	target string
	fstype string
	flags  uintptr
	data   string
	mode   uint32 // of the directory that is made when the target is missing
	// optional: left out in silence when the kernel does not know the type, or
	// has no place for it.
	optional bool
}

const (
	nosuid = unix.MS_NOSUID
	nodev  = unix.MS_NODEV
	noexec = unix.MS_NOEXEC
	closed = nosuid | nodev | noexec
)

// mountTable in the order of mounting. Up to firstMounts they stand before the
// supervisor is started, the others while its runtime starts. Flags and modes
// are those of systemd (src/shared/mount-setup.c) and of Alpine's initramfs,
// the stricter where they differ; /dev (enclaves are mapped executable) and
// /dev/shm stay executable, as in systemd.
var mountTable = [...]mountRow{
	{"/proc", "proc", closed, "", 0o555, false},
	{"/sys", "sysfs", closed, "", 0o555, false},
	{"/dev", "devtmpfs", nosuid, "mode=0755", 0o755, false},
	{"/sys/fs/cgroup", "cgroup2", closed, "nsdelegate,memory_recursiveprot", 0o755, false},

	{"/dev/pts", "devpts", nosuid | noexec, "gid=5,mode=620,ptmxmode=666", 0o755, false},
	{"/dev/shm", "tmpfs", nosuid | nodev, "mode=1777", 0o1777, false},
	{"/dev/mqueue", "mqueue", closed, "", 0o1777, true},
	{"/run", "tmpfs", nosuid | nodev, "mode=0755,size=20%", 0o755, false},
	{"/tmp", "tmpfs", nosuid | nodev, "mode=1777", 0o1777, false},
	{"/sys/kernel/security", "securityfs", closed, "", 0, true},
	{"/sys/firmware/efi/efivars", "efivarfs", closed, "", 0, true},
	{"/sys/fs/pstore", "pstore", closed, "", 0, true},
	{"/sys/kernel/tracing", "tracefs", closed, "", 0, true},
	{"/sys/fs/bpf", "bpf", closed, "mode=0700", 0, true},
	{"/sys/kernel/config", "configfs", closed, "", 0, true},
}

const firstMounts = 4

// links in /dev that every program expects. devtmpfs has a node ptmx of its
// own, which is as good (it asks the devpts beside it, Linux 4.7).
var links = [...]struct{ path, to string }{
	{"/dev/fd", "/proc/self/fd"},
	{"/dev/stdin", "/proc/self/fd/0"},
	{"/dev/stdout", "/proc/self/fd/1"},
	{"/dev/stderr", "/proc/self/fd/2"},
	{"/dev/ptmx", "pts/ptmx"},
}

// mount carries out rows; what goes wrong is said, and the next one is tried.
// Where something is mounted already, that is as good: by whoever started this as
// the init of a container.
func mount(rows []mountRow, log *kmsg.Log) {
	var buf [8192]byte
	known := readFile("/proc/filesystems", buf[:])
	for i := range rows {
		r := &rows[i]
		// Asking first keeps the kernel from running modprobe for a type that
		// the machine does not need.
		if r.optional && !hasWord(known, r.fstype) {
			continue
		}
		var st unix.Statx_t
		if unix.Statx(unix.AT_FDCWD, r.target, unix.AT_NO_AUTOMOUNT, 0, &st) == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
			continue
		}
		if r.mode != 0 {
			_ = unix.Mkdir(r.target, r.mode) // mount(2) says what matters
		}
		err := unix.Mount(r.fstype, r.target, r.fstype, r.flags, r.data)
		if err == nil || r.optional && (err == unix.ENOENT || err == unix.ENODEV) {
			continue
		}
		log.Say(kmsg.Error, "mount ", r.fstype, " on ", r.target, ": ", err.Error())
	}
}

func makeLinks(log *kmsg.Log) {
	for _, l := range links {
		if err := unix.Symlink(l.to, l.path); err != nil && err != unix.EEXIST {
			log.Say(kmsg.Error, "link ", l.path, " to ", l.to, ": ", err.Error())
		}
	}
}

func hasWord(b []byte, word string) (found bool) {
	words(b, func(w string) bool {
		found = w == word
		return !found
	})
	return found
}
