// Package mounts is the arm for mounts and swap: it waits for the device that a
// [[mount]], [persist] or [[swap]] means, checks it, mounts it, and gives it back
// clean.
//
// # How it works
//
// One loop (Arm.Run) owns all state. It is told of actions, of disks and of
// changes in /proc/self/mountinfo; whatever happened, it looks at the kernel and
// does the next step, so that it needs no memory: an epoch adopts a mount by
// finding it there. What can hang on a dead disk (mount(2), umount(2), fsck,
// sync, statfs) runs in a goroutine of its own, one at a time for each mount.
//
// # What was chosen
//
//   - Two devices that answer to one name are not mounted, none of them, until
//     one is taken out.
//   - A file system that was not unmounted is checked, if the image has the
//     program (e2fsck -p, fsck.vfat -a …); xfs and btrfs mend themselves. With
//     errors left, the persistence device is mounted read-only, for the host
//     keys on it are the machine's name; any other is not mounted.
//   - A device that is pulled: the mount is lost, what needs it is stopped, and
//     when it is free, or after detachAfter, the mount is detached. Then the
//     device can come back.
//   - What is already mounted in the place is taken over if it is the same, and
//     never covered if it is something else. tmpfs is mounted anew with the
//     options given.
//   - Programs mount.TYPE are used where they exist, as mount(8) does.
//   - Stopping tries umount(2) again and again and names who holds the place;
//     being killed means read-only and MNT_DETACH.
//
// # What it does not do
//
// Loop devices, LUKS, LVM, network block devices. It does not unmount what others
// have mounted, nor /dev, /proc, /run, /sys and /tmp; the keeper does at the end.
//
// # What is true afterwards
//
// IsReady: it is mounted. Lost: it is not, or its device is gone. Empty: it is not
// mounted any more, or detached with what could be written written.
package mounts
