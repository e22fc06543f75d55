package keeper

import (
	"syscall"

	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

// spawnsMost forks of runs are under way at once, queueMost wait. A fork hangs
// where its cgroup is frozen or its binary cannot be read.
//
// The next fork begins when the last one has returned, or has proved by
// hungAfter that it hangs: a child that hangs before execve(2) keeps a copy of
// every descriptor that was open when it was forked, and with it the pipe on
// which another ForkExec, begun before, waits for its own child.
const (
	spawnsMost = 6
	queueMost  = 512
	hungAfter  = 100 * Millisecond
)

// result is what a fork came to.
type result struct {
	what  fork
	seq   uint64 // of all forks
	token uint64 // of a run
	epoch uint32 // of a supervisor
	pid   int
	pidfd int
	start uint64
	err   error
}

// fork says whose fork it was.
type fork uint8

const (
	forkRun fork = iota
	forkSupervisor
	forkShell
)

// fork starts Self with args in a goroutine of its own and sends the result;
// execve(2) may hang, and the loop must not. All children begin in a session of
// their own, in /, with the keeper's environment.
func (k *keeper) fork(r result, args []string, files []uintptr, cgroup int, done func()) {
	attr := &syscall.ProcAttr{
		Env:   k.cfg.Env,
		Files: files,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	}
	k.forks++
	r.seq, k.forkAt = k.forks, mono()
	r.pidfd = -1
	attr.Sys.PidFD = &r.pidfd
	if cgroup >= 0 {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, cgroup
	}
	self := k.cfg.Self
	results, wake := k.results, k.wake
	// Ends when the fork returns, which is as late as the kernel likes; there
	// is room for its result.
	go func() {
		defer func() {
			if v := recover(); v != nil {
				r.err = unix.EFAULT
			}
			results <- r
			wake.ring()
		}()
		r.pid, r.err = syscall.ForkExec(self, args, attr)
		done()
		if r.err == nil {
			var buf [1024]byte
			r.start = startTime(readFile("/proc/"+kmsg.Num(int64(r.pid))+"/stat", buf[:]))
		}
	}()
}

// spawn takes an OpSpawn; the answer is owed by the row, or sent at once when
// there is no place for one.
func (k *keeper) spawn(p *Packet, fds []int) {
	errno := unix.Errno(0)
	var r *row
	switch {
	case len(fds) < SpawnExtra || len(p.Payload) == 0 || len(p.Payload) >= PayloadMax:
		errno = unix.EINVAL
	case k.rows.byToken(p.Token) != nil:
		errno = unix.EEXIST
	case k.final:
		errno = unix.ESHUTDOWN
	case k.waiting >= queueMost:
		errno = unix.EAGAIN
	default:
		if r = k.rows.add(); r == nil {
			errno = unix.EAGAIN
		}
	}
	if errno != 0 {
		closeAll(fds)
		k.log.Say(kmsg.Warning, "spawn refused: ", errno.Error())
		k.refuse(p.Token, errno)
		return
	}
	k.lastSeq++
	*r = row{phase: queued, token: p.Token, born: k.sup.epoch, seq: k.lastSeq, pidfd: -1, errRead: fds[SpawnErrRead]}
	r.nname = copy(r.name[1:], p.Payload)
	for i, fd := range fds {
		if i != SpawnErrRead {
			r.fds[r.nfds] = int32(fd)
			r.nfds++
		}
	}
	k.waiting++
	k.launch()
}

// launchAt is when a fork that does not return no longer holds up the next; 0:
// nothing waits for that.
func (k *keeper) launchAt() Duration {
	if k.waiting == 0 || k.flying >= spawnsMost || k.forkAt == 0 {
		return 0
	}
	return k.forkAt + hungAfter
}

// launch starts what waits, oldest first, as far as there are places.
func (k *keeper) launch() {
	for k.waiting > 0 && k.flying < spawnsMost && (k.forkAt == 0 || mono()-k.forkAt >= hungAfter) {
		var first *row
		for i := range k.rows.used() {
			if r := &k.rows.slot[i]; r.phase == queued && (first == nil || r.seq < first.seq) {
				first = r
			}
		}
		if first == nil {
			k.waiting = 0
			return
		}
		k.waiting--
		k.fly(first)
	}
}

// fly forks the launcher of r. r.fds is OpSpawn's order without SpawnErrRead:
// spec, cgroup, error pipe, stdin, stdout, stderr, extra…
func (k *keeper) fly(r *row) {
	r.phase = flying
	k.flying++
	const spec, cgroup, errWrite, stdin = 0, 1, 2, 3
	files := []uintptr{uintptr(r.fds[stdin]), uintptr(r.fds[stdin+1]), uintptr(r.fds[stdin+2]),
		uintptr(r.fds[spec]), uintptr(r.fds[errWrite])}
	for _, fd := range r.fds[stdin+3 : r.nfds] {
		files = append(files, uintptr(fd))
	}
	args := []string{k.cfg.Self, "exec", string(r.name[1 : 1+r.nname])}
	// The goroutine owns the descriptors from here: a row may go while its fork
	// hangs, and a number must not be closed under it.
	own, n := r.fds, r.nfds
	r.nfds = 0
	k.fork(result{what: forkRun, token: r.token}, args, files, int(own[cgroup]), func() {
		for _, fd := range own[:n] {
			closeFD(int(fd))
		}
	})
}

// landed takes the result of a fork.
func (k *keeper) landed(res result) {
	if res.seq == k.forks {
		k.forkAt = 0
	}
	switch res.what {
	case forkSupervisor:
		k.supervisorForked(res)
	case forkShell:
		k.shellForked(res)
	default:
		k.flying--
		if r := k.rows.byToken(res.token); r != nil && r.phase == flying {
			k.runForked(r, res)
		}
	}
	k.launch()
	if k.flying == 0 && !k.sup.forking() && !k.shell.forking {
		k.strays.clear()
	}
}

func (k *keeper) runForked(r *row, res result) {
	r.owed = true
	if res.err != nil {
		r.phase, r.errno = failed, errnoOf(res.err)
		return
	}
	r.phase, r.pid, r.pidfd, r.start = alive, res.pid, res.pidfd, res.start
	if x, ok := k.early(res); ok {
		r.exit(x)
	}
}

// early finds the exit of a process that ended before its fork had returned.
// Should so many others have ended meanwhile that it was forgotten, it is told
// as killed.
func (k *keeper) early(res result) (stray, bool) {
	if res.pidfd >= 0 && !gone(res.pidfd) {
		return stray{}, false
	}
	if x, ok := k.strays.take(res.pid); ok {
		return x, true
	}
	if res.pidfd >= 0 && unix.PidfdSendSignal(res.pidfd, 0, nil, 0) == unix.ESRCH {
		return stray{res.pid, uint32(unix.SIGKILL), boottime()}, true
	}
	return stray{}, false
}

func errnoOf(err error) uint64 {
	if e, ok := err.(unix.Errno); ok && e != 0 {
		return uint64(e)
	}
	return uint64(unix.EINVAL)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		closeFD(fd)
	}
}
