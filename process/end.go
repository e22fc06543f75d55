package process

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// ending is the run that is to end; nil: there is nothing to end, and that is said.
func (a *Arm) ending(u *unit.Unit, id unit.Run) *run {
	r := a.runs[id]
	if r == nil {
		a.cfg.Emit(unit.Event{Op: unit.Empty, Unit: u.Name, Run: id})
		return nil
	}
	if r.asking {
		a.startFailed(r, errStopped)
		return nil
	}
	a.stopCare(r)
	return r
}

// stop asks the main process to end. A process that is stopped would not hear
// it, hence SIGCONT.
func (a *Arm) stop(u *unit.Unit, id unit.Run, sig int) {
	r := a.ending(u, id)
	if r == nil {
		return
	}
	if sig == 0 {
		sig = u.StopSignal
	}
	if sig == 0 {
		sig = int(unix.SIGTERM)
	}
	r.stopSignal = sig // for a process that is not there yet, too
	if r.detached() {
		a.signalAll(r, sig)
		return
	}
	a.signal(r, sig)
}

func (a *Arm) signal(r *run, sig int) {
	if r.exited || r.pidfd < 0 {
		return
	}
	a.send(r, sig)
	a.send(r, int(unix.SIGCONT))
}

// send sends one signal to the main process; that it has ended is no mistake.
func (a *Arm) send(r *run, sig int) {
	if err := unix.PidfdSendSignal(r.pidfd, unix.Signal(sig), nil, 0); err != nil && err != unix.ESRCH {
		a.cfg.Log(fmt.Sprintf("process: unit %s: signal %d to pid %d: %v", r.name, sig, r.pid, err))
	}
}

// signalOnce sends one signal to the main process of a run that is under way.
// The launcher gets none: it is not who is meant.
func (a *Arm) signalOnce(id unit.Run, sig int) {
	r := a.runs[id]
	if r == nil || r.exited || r.pidfd < 0 || !r.execed {
		return
	}
	a.send(r, sig)
}

// kill ends every process of the run; of one that stops by its main process
// alone, that.
func (a *Arm) kill(u *unit.Unit, id unit.Run) {
	r := a.ending(u, id)
	if r == nil {
		return
	}
	r.killWanted = true
	a.killNow(r)
	a.settle(r)
}

var errStopped = errors.New("stopped before it began")

func (a *Arm) killNow(r *run) {
	if r.leaf != nil && !r.spares() {
		if err := r.leaf.kill(); err != nil {
			a.cfg.Log(fmt.Sprintf("process: unit %s: %v", r.name, err))
		}
	}
	if r.pidfd >= 0 && !r.exited {
		if err := unix.PidfdSendSignal(r.pidfd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
			a.cfg.Log(fmt.Sprintf("process: unit %s: kill pid %d: %v", r.name, r.pid, err))
		}
	}
}
