package process

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/keeper"
	"hoopy/unit"
)

// A service may say that another process is its main one: with MAINPID=, or with
// a pid file. Only one in the run's cgroup is believed. The keeper is told, and
// from then on that process is the run's: it gets the stop signal, and its exit
// is the exit of the run, in every epoch.
//
// An orphan is the keeper's child. Of one with another parent the keeper hears
// nothing, so its pidfd is watched here, and when it has ended the keeper is told
// once more and closes the row.

// mainWatch is what is known of a main process that the keeper did not start.
type mainWatch struct {
	mainAsked int       // OpMain without an answer; until then an exit is another's
	mainKnown bool      // it has been named
	mainAt    time.Time // the keeper is asked whether it has ended; zero: not
	start     uint64    // when the main process began, clock ticks; 0: not told
	mainBad   int       // a pid that was not believed, and that this was said
	unknown   bool      // nobody knows how it ended
	file      pidFile
}

// reapWithin is how long an exit is awaited that the keeper tells by itself.
const reapWithin = time.Second

// exitUnknown is the note of an exit whose status is lost.
const exitUnknown = "how it ended is not known: another process than init waited for it"

// Main tells the keeper that pid is the main process of run; see keeper.OpMain.
// OnSpawned follows, and OnExit when it has ended. The descriptor may be closed
// when it returns.
func (k *Keeper) Main(run unit.Run, pid int, start uint64, pidfd int) {
	k.send(keeper.Packet{Op: keeper.OpMain, Token: uint64(run), A: uint64(pid), B: start}, pidfd)
}

// Sent says whether everything is in the keeper's socket, from where it is
// carried out even if this process ends now.
func (k *Keeper) Sent() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.queue) == 0 && !k.pumping
}

// setMain makes pid the main process of r. False: it is not to be believed, or
// the run is over.
func (a *Arm) setMain(r *run, pid int) bool {
	if pid == r.pid {
		r.mainKnown = true
		return !r.exited
	}
	if !r.row || r.pid == 0 || r.exitSeq != 0 || r.saidEnd {
		return false
	}
	fd, start, err := openMain(pid, r.group())
	if err != nil {
		if r.mainBad != pid {
			r.mainBad = pid
			a.cfg.Log(fmt.Sprintf("process: unit %s: main process %d is ignored: %v", r.name, pid, err))
		}
		return false
	}
	a.set.Del(r.pidfd)
	closeAll([]int{r.pidfd})
	r.pid, r.pidfd, r.start, r.mainKnown = pid, fd, start, true
	r.exited, r.saidExit, r.unknown = false, false, false
	r.mainAsked++
	a.cfg.Keeper.Main(r.id, pid, start, fd)
	a.noteMain(r)
	a.watchMain(r)
	if r.stopSignal != 0 {
		a.signal(r, r.stopSignal) // meant for the main process, whichever that is
	}
	return true
}

// knowMain takes over what an earlier epoch was told, for a run that was adopted.
func (a *Arm) knowMain(id unit.Run, pid int) {
	if r := a.runs[id]; r != nil && pid != 0 {
		a.setMain(r, pid)
	}
}

// openMain opens a process of the cgroup that ends in group. It is asked about
// between two looks that it lives, so what was read is not another's.
func openMain(pid int, group string) (fd int, start uint64, err error) {
	if fd, err = unix.PidfdOpen(pid, 0); err != nil {
		return -1, 0, err
	}
	mine := inGroup(pid, group)
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err == nil {
		err = unix.PidfdSendSignal(fd, 0, nil, 0)
	}
	if err == nil && !mine {
		err = fmt.Errorf("not in the cgroup of this run")
	}
	if err != nil {
		unix.Close(fd)
		return -1, 0, err
	}
	return fd, startTime(stat), nil
}

// startTime is when the process of a /proc/PID/stat began, in clock ticks; 0: it is
// no such line.
func startTime(stat []byte) uint64 {
	n, _ := number(statField(stat, 22), 1<<64-1)
	return n
}

// watchMain waits for the end of a process that may have another parent than
// the keeper.
func (a *Arm) watchMain(r *run) {
	if r.pidfd < 0 || r.exited {
		return
	}
	fd := r.pidfd
	err := a.set.Add(fd, pollIn, func() {
		a.set.Del(fd)
		r.mainAt = time.Now().Add(reapWithin)
	})
	if err != nil {
		a.cfg.Log(fmt.Sprintf("process: unit %s: watch pid %d: %v", r.name, r.pid, err))
	}
}

// askMain has the keeper look at a process that has ended without its hearing
// of it.
func (a *Arm) askMain(r *run, now time.Time) {
	if r.mainAt.IsZero() || now.Before(r.mainAt) {
		return
	}
	r.mainAt = time.Time{}
	if r.exited || !r.row || r.pidfd < 0 {
		return
	}
	r.mainAsked++
	a.cfg.Keeper.Main(r.id, r.pid, r.start, r.pidfd)
}

// mainAnswered takes the keeper's answer to OpMain, if r awaits one.
func (a *Arm) mainAnswered(r *run, pidfd int, err error) bool {
	if r.mainAsked == 0 {
		return false
	}
	r.mainAsked--
	if pidfd >= 0 {
		unix.Close(pidfd)
	}
	if err != nil {
		a.cfg.Log(fmt.Sprintf("process: unit %s: main process %d: %v", r.name, r.pid, err))
	}
	return true
}

// detached says whether the exit of r is that of the process that a forking
// daemon leaves behind: no end of anything, and nothing to acknowledge, for the
// keeper's row is still needed for the daemon itself.
func (r *run) detached() bool {
	if !r.exited || r.unit == nil || r.unit.ReadyBy != unit.ByPidFile || r.part != unit.Main || r.mainKnown {
		return false
	}
	code, ok := r.status.Exit()
	return ok && code == 0
}

// exitNote is what there is to say of the exit besides its status.
func (a *Arm) exitNote(r *run) string {
	if r.unknown {
		return exitUnknown
	}
	return a.ranOut(r)
}

// signalAll sends sig to every process of r: a daemon that has not said which
// of them is the main one.
func (a *Arm) signalAll(r *run, sig int) {
	for _, pid := range processes(a.leafPath(r.name, r.id) + "/cgroup.procs") {
		signalIn(r.group(), pid, unix.Signal(sig), unix.SIGCONT)
	}
}

// signalIn sends signals to a process, if it is in the cgroup that ends in group.
func signalIn(group string, pid int, sigs ...unix.Signal) {
	fd, _, err := openMain(pid, group)
	if err != nil {
		return // it has ended, or moved
	}
	defer unix.Close(fd)
	for _, s := range sigs {
		_ = unix.PidfdSendSignal(fd, s, nil, 0) // ESRCH: it has ended
	}
}
