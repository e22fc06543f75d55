package keeper

import "golang.org/x/sys/unix"

// stray is an exit whose pid no row knows: an orphan's, or one that came before
// its own fork had returned.
type stray struct {
	pid    int
	status uint32
	at     Duration
}

// strays are kept while forks are under way; the oldest give way.
type strays struct {
	slot [512]stray
	n    int
}

func (s *strays) add(x stray) {
	s.slot[s.n%len(s.slot)] = x
	s.n++
}

// take finds and removes the newest exit of pid.
func (s *strays) take(pid int) (stray, bool) {
	for i := s.n - 1; i >= 0 && i >= s.n-len(s.slot); i-- {
		if x := &s.slot[i%len(s.slot)]; x.pid == pid {
			found := *x
			x.pid = 0
			return found, true
		}
	}
	return stray{}, false
}

func (s *strays) clear() { s.n = 0 }

// reap takes every exit there is and reports whether children are left.
func (k *keeper) reap() bool {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return err != unix.ECHILD
		}
		x := stray{pid, uint32(status), boottime()}
		switch r := k.rows.byPid(pid); {
		case r != nil:
			r.exit(x)
		case pid == k.sup.pid:
			k.sup.exit(x)
		case pid == k.shell.pid:
			k.shell.exit(x)
		case k.flying > 0 || k.sup.forking() || k.shell.forking:
			k.strays.add(x)
		}
	}
}

// exit writes the end of a run into its row.
func (r *row) exit(x stray) {
	r.phase, r.status, r.ended = exited, x.status, x.at
	closeFD(r.pidfd)
	r.pidfd = -1
}

// gone says whether the process behind a pidfd has ended.
func gone(pidfd int) bool {
	if pidfd < 0 {
		return false
	}
	fds := [1]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds[:], 0)
	return err == nil && n == 1
}
