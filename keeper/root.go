package keeper

import (
	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

// moveRoot gives the machine a root that pivot_root(2) accepts: the kernel's
// own rootfs has no parent and cannot be pivoted away from, which breaks
// containers. / is bound to a directory, that mount moved over /, and the
// process moved into it; nothing is copied. It comes before anything else is
// mounted; what somebody has mounted already comes along.
func moveRoot(log *kmsg.Log) {
	if !onRootfs() {
		return
	}
	const dir = "/.hoopy/root" // below our own folder; /mnt may be anything
	_ = unix.Mkdir("/.hoopy", 0o755)
	_ = unix.Mkdir(dir, 0o755) // what goes wrong, mount says
	for _, step := range [...]struct {
		name string
		do   func() error
	}{
		{"bind /", func() error { return unix.Mount("/", dir, "", unix.MS_BIND|unix.MS_REC, "") }},
		{"chdir", func() error { return unix.Chdir(dir) }},
		{"move", func() error { return unix.Mount(".", "/", "", unix.MS_MOVE, "") }},
		{"chroot", func() error { return unix.Chroot(".") }},
		{"chdir /", func() error { return unix.Chdir("/") }},
		// What is mounted later comes into the mount namespaces of services, and
		// what is unmounted goes from them: else each would hold a disk for ever.
		{"share", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "") }},
	} {
		if err := step.do(); err != nil {
			log.Say(kmsg.Error, "root: ", step.name, ": ", err.Error(), "; containers will not work")
			_ = unix.Chdir("/")
			return
		}
	}
}

// onRootfs says whether / is held in memory. Were it another tmpfs than the
// kernel's first, moveRoot would be needless and no harm; asking /proc, which
// is not mounted yet, would cost two grace periods.
func onRootfs() bool {
	var st unix.Statfs_t
	return unix.Statfs("/", &st) == nil && (st.Type == unix.TMPFS_MAGIC || st.Type == unix.RAMFS_MAGIC)
}
