package keeper

import (
	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

// shell is the rescue shell, which is `Self rescue REASON`.
type shell struct {
	asked   bool // hoopy.rescue: the supervisor waits for the shell to end well
	forking bool
	pid     int
	pidfd   int
	due     Duration // when it is started (again); 0: it is not wanted or runs
}

// shellPause stands between two rescue shells.
const shellPause = 2 * Second

// exit: leaving the shell with status 0 asks for a supervisor now.
func (s *shell) exit(x stray) {
	s.pid = 0
	closeFD(s.pidfd)
	s.pidfd = -1
	s.due = mono() + shellPause
	if x.status == 0 {
		s.due = -s.due // told apart by watchShell
	}
}

func (s *shell) kill() {
	if s.pid != 0 && s.pidfd >= 0 {
		_ = unix.PidfdSendSignal(s.pidfd, unix.SIGKILL, nil, 0) // ESRCH: it has gone
	}
}

// watchShell keeps a shell open in rescue mode.
func (k *keeper) watchShell(now Duration) {
	s := &k.shell
	if s.due < 0 { // it was left with status 0
		s.due = -s.due
		if k.sup.stage == down {
			k.sup.at = now
		}
		if s.asked {
			s.asked = false
			k.deaths.mode = normal
		}
	}
	if k.final || k.deaths.mode != rescue {
		s.due = 0
		return
	}
	if s.pid != 0 || s.forking || now < s.due {
		return
	}
	s.forking, s.due = true, 0
	reason := "the supervisor died again and again"
	if s.asked {
		reason = "hoopy.rescue is on the kernel's command line"
	}
	cgroup := k.openCgroup(cgroupRescue)
	k.fork(result{what: forkShell}, []string{k.cfg.Self, "rescue", reason},
		[]uintptr{0, 1, 2}, cgroup, func() { closeFD(cgroup) })
}

func (k *keeper) shellForked(r result) {
	s := &k.shell
	s.forking = false
	if r.err != nil {
		k.cgroups = k.cgroups && !cgroupError(r.err)
		k.log.Say(kmsg.Error, "rescue shell: ", r.err.Error())
		s.due = mono() + shellPause
		return
	}
	s.pid, s.pidfd = r.pid, r.pidfd
	if x, ok := k.early(r); ok {
		s.exit(x)
	}
	if k.final {
		s.kill() // too late for a shell
	}
}
