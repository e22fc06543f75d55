package keeper

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

// main takes an OpMain: another process is the run's from now on. When that has
// ended already, or is nobody's news, its row ends here. Returned are the
// descriptors that were not kept.
func (k *keeper) main(p *Packet, fds []int) []int {
	r := k.rows.byToken(p.Token)
	if r == nil || r.phase != alive && r.phase != exited || len(fds) != 1 || p.A == 0 {
		k.log.Say(kmsg.Warning, "main process ", kmsg.Num(int64(p.A)), " refused")
		k.refuse(p.Token, unix.ESRCH)
		return fds
	}
	if r.phase == exited && r.pid == int(p.A) && r.start == p.B {
		r.owed, r.told = true, 0 // asked after once more, and known
		return fds
	}
	closeFD(r.pidfd)
	r.phase, r.pid, r.start, r.pidfd = alive, int(p.A), p.B, fds[0]
	r.status, r.ended, r.told, r.owed = 0, 0, 0, true
	k.reap()
	if r.phase == alive && gone(r.pidfd) {
		r.exit(stray{r.pid, exitStatus(r.pidfd), boottime()})
	}
	return nil
}

// exitStatus is how the process behind a pidfd ended, whoever waited for it:
// since Linux 6.15 the kernel remembers as long as the pidfd is open.
func exitStatus(pidfd int) uint32 {
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(pidfd), unix.PIDFD_GET_INFO, uintptr(unsafe.Pointer(&info)))
	if e != 0 || info.Mask&unix.PIDFD_INFO_EXIT == 0 {
		return StatusUnknown
	}
	return uint32(info.Exit_code)
}
