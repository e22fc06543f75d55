package keeper

import (
	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

// moveRoot gives the machine a root that pivot_root(2) accepts: the kernel's
// own rootfs has no parent and cannot be pivoted away from, which breaks
// containers. / is bound to a directory, that mount moved over /, and the
// process moved into it; nothing is copied. Done only where / is that rootfs,
// and before anything else is mounted; reports what it did to the log.
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
		{"bind /", func() error { return unix.Mount("/", dir, "", unix.MS_BIND, "") }},
		{"chdir", func() error { return unix.Chdir(dir) }},
		{"move", func() error { return unix.Mount(".", "/", "", unix.MS_MOVE, "") }},
		{"chroot", func() error { return unix.Chroot(".") }},
		{"chdir /", func() error { return unix.Chdir("/") }},
	} {
		if err := step.do(); err != nil {
			log.Say(kmsg.Error, "root: ", step.name, ": ", err.Error(), "; containers will not work")
			_ = unix.Chdir("/")
			return
		}
	}
}

// onRootfs asks a /proc that it mounts for the question alone, unless there is
// one.
func onRootfs() bool {
	_ = unix.Mkdir("/proc", 0o555) // mount says what matters
	mounted := unix.Mount("proc", "/proc", "proc", closed, "") == nil
	if mounted {
		defer unix.Unmount("/proc", unix.MNT_DETACH)
	}
	buf := make([]byte, 16384)
	is := false
	eachMount(readFile("/proc/self/mountinfo", buf), func(m mountPoint) {
		if m.target == "/" {
			is = m.fstype == "rootfs" && m.id == m.parent
		}
	})
	return is
}
