package process

import (
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/keeper"
	"hoopy/process/launch"
	"hoopy/unit"
)

// run is one start of a unit, from Start or the keeper's row until it is both
// released and forgotten by the keeper.
type run struct {
	id   unit.Run
	name string
	part unit.Part  // unit.Parts: a probe
	argv []string   // what it executes, if this epoch began it
	unit *unit.Unit // nil: a row that nobody has adopted

	asking  bool // its conditions are; there is nothing else of it yet
	row     bool // the keeper has it
	pid     int
	pidfd   int
	leaf    *leaf
	errRead int             // error pipe; -1: all is read
	execed  bool            // execve(2) succeeded
	failure *launch.Failure // it did not
	exited  bool
	status  unit.Status
	drained drainState
	// oomKills is what oomKills said when the run began; -1: nothing.
	oomKills int64

	// What was said.
	saidSpawned, saidReady, saidExit, saidEnd bool
	exitSeq                                   uint64 // of Exited or StartFailed; 0: nothing to commit

	released   bool
	stopSignal int  // it was asked to end with; 0: it was not
	killWanted bool // it was killed

	speech
	readyLine
	dog
	mainWatch

	pollAt    time.Time // next look for the port or socket; zero: none
	pollEvery time.Duration

	wasReady bool      // the epoch before knew
	care     *care     // asks how it is; nil: nobody does
	answer   *question // what this run, a probe, is the answer to
	tool     *tool     // what it is else
}

type drainState uint8

const (
	notDrained drainState = iota
	draining
	drained
)

func newRun(id unit.Run, name string, part unit.Part) *run {
	r := &run{id: id, name: name, part: part, pidfd: -1, errRead: -1, oomKills: -1}
	r.notify, r.line, r.file.watch = -1, -1, -1
	return r
}

func (r *run) close() {
	for _, fd := range []int{r.pidfd, r.errRead, r.notify, r.line, r.file.watch} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	r.pidfd, r.errRead, r.notify, r.line, r.file.watch = -1, -1, -1, -1, -1
	if r.leaf != nil {
		r.leaf.close()
		r.leaf = nil
	}
}

// spares says whether the run ends with its main process, and the sessions that
// came of it live on.
func (r *run) spares() bool {
	return r.unit != nil && r.unit.StopMain && r.part == unit.Main && !r.detached()
}

func (r *run) group() string { return "/" + groupOf(r.name) + "/" + runName(r.id) }

func (a *Arm) emit(r *run, ev unit.Event) {
	ev.Unit, ev.Run = r.name, r.id
	a.cfg.Emit(ev)
	if ev.Op == unit.IsReady && r.care == nil {
		a.watchHealth(r)
	}
}

// settle says what follows from what is known of the run: Spawned and IsReady
// after execve, Exited, and when nothing is left Empty or StartFailed. It may be
// called at any time.
func (a *Arm) settle(r *run) {
	if r.exited {
		a.readError(r) // the process is gone: whatever it had to say is there
		r.execed = r.failure == nil
	}
	if r.part == unit.Parts {
		a.settleProbe(r)
		return
	}
	if r.execed && r.unit != nil && r.pid != 0 && !r.saidSpawned {
		r.saidSpawned = true
		a.emit(r, unit.Event{Op: unit.Spawned, Pid: r.pid})
		if r.part == unit.Main {
			a.awaitReady(r)
		}
	}
	if r.exited && !r.saidExit && !a.heard(r) {
		return // its exit comes after what it has said
	}
	if !r.exited {
		return
	}
	r.pollAt = time.Time{}
	a.stopCare(r)
	if r.failure == nil && !r.saidExit {
		r.saidExit = true
		if !r.detached() {
			r.exitSeq = a.nextSeq()
			a.partWithSessions(r)
		}
		a.emit(r, unit.Event{Op: unit.Exited, Status: r.status, Pid: r.pid, Text: a.exitNote(r), Seq: r.exitSeq})
	}
	if r.saidEnd || r.unit == nil && r.failure == nil {
		return
	}
	if r.leaf != nil && !r.spares() && r.leaf.populated() {
		return
	}
	switch r.drained {
	case notDrained:
		r.drained = draining
		a.logs.Drain(r.name, func() {
			a.post(func() {
				r.drained = drained
				a.settle(r)
			})
		})
		return
	case draining:
		return
	}
	r.saidEnd = true
	if l := a.unitLog(r.name); l != nil && a.alone(r) {
		l.ring.End()
	}
	end := unit.Event{Op: unit.Empty}
	if r.failure != nil {
		end = unit.Event{Op: unit.StartFailed, Text: r.failure.Text}
	}
	if r.row && r.exitSeq == 0 {
		r.exitSeq = a.nextSeq() // no Exited has asked for the commit
		end.Seq = r.exitSeq
	}
	a.emit(r, end)
}

func (a *Arm) ready(r *run) {
	if !r.saidReady {
		a.beReady(r)
		a.emit(r, unit.Event{Op: unit.IsReady})
	}
}

// readError reads the error pipe. It is a stream socket, so that reading can be
// a look: an epoch that comes later finds the same.
func (a *Arm) readError(r *run) {
	if r.errRead < 0 {
		return
	}
	var b [launch.FailureMax]byte
	n, _, err := unix.Recvfrom(r.errRead, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if err == unix.EAGAIN || err == unix.EINTR {
		return
	}
	if n > 0 {
		f, ok := launch.ParseFailure(b[:n])
		if !ok {
			f = &launch.Failure{Step: "launch", Text: fmt.Sprintf("launch: the launcher said %q", b[:min(n, 64)])}
		}
		r.failure = f
	}
	r.execed = r.failure == nil
	a.set.Del(r.errRead)
	unix.Close(r.errRead)
	r.errRead = -1
}

// watch registers what the run has open.
func (a *Arm) watch(r *run) error {
	if r.errRead >= 0 {
		if err := a.set.Add(r.errRead, pollIn, func() { a.readError(r); a.settle(r) }); err != nil {
			return fmt.Errorf("watch error pipe: %w", err)
		}
	}
	if r.leaf != nil {
		// Reading cgroup.events is what quiets the event.
		if err := a.set.Add(r.leaf.events, pollPri, func() { r.leaf.populated(); a.settle(r) }); err != nil {
			return fmt.Errorf("watch cgroup: %w", err)
		}
	}
	return nil
}

// unwatch forgets and closes what the run has open, and the leaf goes its own
// way.
func (a *Arm) unwatch(r *run) {
	for _, fd := range []int{r.pidfd, r.errRead, r.notify, r.line, r.file.watch} {
		a.set.Del(fd)
	}
	if r.leaf != nil {
		a.set.Del(r.leaf.events)
		a.leave(r.leaf)
		r.leaf = nil
	}
	r.close()
}

// spawned: the keeper has forked the launcher, or could not.
func (a *Arm) spawned(id unit.Run, pid, pidfd int, err error) {
	r := a.runs[id]
	if r == nil {
		if pidfd >= 0 {
			unix.Close(pidfd)
		}
		return
	}
	if a.mainAnswered(r, pidfd, err) {
		return
	}
	if err != nil {
		r.row, r.exited = false, true
		r.failure = &launch.Failure{Step: "spawn", Text: "spawn: " + err.Error()}
		a.settle(r)
		a.forget(r)
		return
	}
	r.pid, r.pidfd = pid, pidfd
	a.noteMain(r)
	if r.stopSignal != 0 {
		a.signal(r, r.stopSignal)
	}
	if r.killWanted {
		a.killNow(r)
	}
	a.settle(r)
}

// exit: the keeper has reaped the main process.
func (a *Arm) exit(id unit.Run, status unit.Status) {
	r := a.runs[id]
	if r == nil {
		a.cfg.Keeper.Ack(id) // nobody ever will
		return
	}
	if r.mainAsked > 0 {
		return // of a process that is the main one no more
	}
	r.exited, r.status, r.unknown = true, status, status == keeper.StatusUnknown
	if r.unknown {
		r.status = 0
	}
	if r.part == unit.Main {
		a.fate[r.name] = r.status
	}
	a.noteMain(r)
	a.settle(r)
}

// commit: a snapshot holds everything up to seq.
func (a *Arm) commit(id unit.Run, seq uint64) {
	r := a.runs[id]
	if r == nil {
		return
	}
	a.noticeCommitted(r, seq)
	a.lineCommitted(r, seq)
	if r.exitSeq != 0 && seq >= r.exitSeq && r.row {
		a.cfg.Keeper.Ack(id)
		r.row = false
		if r.unit == nil {
			r.released = true // nobody has adopted it, nobody will release it
		}
		a.forget(r)
	}
}

// release: nobody waits for the run any more.
func (a *Arm) release(id unit.Run) {
	r := a.runs[id]
	if r == nil {
		return
	}
	r.released = true
	a.forget(r)
}

// forget drops the run when it is released and the keeper has forgotten it.
func (a *Arm) forget(r *run) {
	if !r.released || r.row {
		return
	}
	delete(a.runs, r.id)
	a.dropSpeech(r)
	a.dropLine(r)
	a.dropDog(r)
	a.unwatch(r)
}

func (a *Arm) leafPath(name string, id unit.Run) string {
	return filepath.Join(a.cfg.CgroupRoot, groupOf(name), runName(id))
}
