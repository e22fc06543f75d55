package process

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"hoopy/process/poll"
	"hoopy/unit"
)

const (
	pollIn  = poll.In
	pollOut = poll.Out
	pollPri = poll.Pri
)

// start begins a run: everything that it needs is made and stored, then the
// keeper is asked.
func (a *Arm) start(u *unit.Unit, id unit.Run, part unit.Part) {
	if a.runs[id] != nil {
		return
	}
	r := newRun(id, u.Name, part)
	r.unit, r.argv = u, u.Argv(part)
	if part == unit.Main {
		delete(a.fate, u.Name)
	}
	if part != unit.StartPre && (part != unit.Main || u.Hooks[unit.StartPre] != nil) {
		a.runs[id] = r
		a.begin(r)
		return
	}
	// The first step of a start: can the unit be on this machine?
	if what := absent(u.TTY); what != "" {
		a.emit(r, unit.Event{Op: unit.Absent, Text: what})
		return
	}
	a.runs[id] = r
	if len(u.Conditions) == 0 {
		a.begin(r)
		return
	}
	r.asking = true
	here := place{safe: a.cfg.Safe, builtIn: a.cfg.BuiltIn}
	ok := a.aside("conditions:"+u.Name, func() string { return here.unmet(u.Conditions) }, func(unmet string) {
		switch {
		case !r.asking: // it was stopped meanwhile
		case unmet == "":
			r.asking = false
			a.begin(r)
		default:
			delete(a.runs, id)
			a.emit(r, unit.Event{Op: unit.Absent, Text: unmet})
		}
	})
	if !ok {
		a.startFailed(r, errors.New("conditions: the disk that was asked at the last start has not answered yet"))
	}
}

// begin spawns the run, or says why not.
func (a *Arm) begin(r *run) {
	defer func() {
		if v := recover(); v != nil {
			a.startFailed(r, fmt.Errorf("panic: %v", v))
		}
	}()
	if err := a.spawn(r); err != nil {
		a.startFailed(r, err)
	}
}

func (a *Arm) startFailed(r *run, err error) {
	r.saidExit, r.saidEnd, r.exited, r.row, r.asking = true, true, true, false, false
	a.emit(r, unit.Event{Op: unit.StartFailed, Text: err.Error()})
}

func (a *Arm) spawn(r *run) error {
	u := r.unit
	in, out, errs, err := a.streams(r)
	if err != nil {
		return err
	}
	if r.leaf, err = a.newLeaf(u, r.id); err != nil {
		return err
	}
	r.oomKills = a.oomKills(u.Name)
	if r.part != unit.Main {
		a.isGuest(r.leaf.path, true)
	}
	spec := a.spec(r)
	if spec.Notify, err = a.openSpeech(r); err != nil {
		return err
	}
	extra, line, err := a.extras(r, &spec)
	if err != nil {
		return err
	}
	if line >= 0 {
		defer unix.Close(line)
	}
	specFD, err := spec.Memfd()
	if err != nil {
		return err
	}
	defer unix.Close(specFD)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("error pipe: %w", err)
	}
	defer unix.Close(pair[1])
	r.errRead = pair[0]
	if err := a.watch(r); err != nil {
		return err
	}
	r.row = true
	fds := append([]int{specFD, r.leaf.dir, pair[0], pair[1], in, out, errs}, extra...)
	a.cfg.Keeper.Spawn(r.id, label(u.Name, r.part), fds)
	return nil
}

// streams are the descriptors 0, 1 and 2 of r.
func (a *Arm) streams(r *run) (in, out, errs int, err error) {
	if t := r.tool; t != nil {
		return t.in, t.out, t.out, nil
	}
	log, err := a.logFor(r.unit)
	if err != nil {
		return 0, 0, 0, err
	}
	if r.part == unit.Parts {
		return a.null, a.null, log.write, nil
	}
	return a.null, log.write, log.write, nil
}

// adopt takes over a run that an earlier epoch began, and that was ready then or
// was not.
func (a *Arm) adopt(u *unit.Unit, id unit.Run, part unit.Part, ready bool) {
	r := a.runs[id]
	if r != nil && r.unit != nil {
		return
	}
	if r == nil {
		// The keeper knows it no more: it has exited and that was committed.
		r = newRun(id, u.Name, part)
		r.exited, r.saidSpawned, r.saidExit = true, true, true
		if l := a.left[a.leafPath(u.Name, id)]; l != nil {
			r.leaf = a.retake(l)
		}
		a.runs[id] = r
	}
	r.unit, r.wasReady = u, ready
	if _, err := a.logFor(u); err != nil {
		a.cfg.Log(fmt.Sprintf("process: unit %s: %v", u.Name, err))
	}
	if err := a.watch(r); err != nil {
		a.cfg.Log(fmt.Sprintf("process: unit %s: %v", u.Name, err))
	}
	a.watchMain(r)
	a.readError(r)
	a.settle(r)
	if r.exited {
		a.partWithSessions(r)
	}
}

// takeRows makes runs of the keeper's rows. They are watched when they are
// adopted; until then only their exit is told.
func (a *Arm) takeRows() {
	for _, row := range a.cfg.Table.Rows {
		r := newRun(row.Run, row.Unit, row.Part)
		r.row, r.pid, r.pidfd, r.errRead, r.start = true, row.Pid, row.Pidfd, row.ErrRead, row.Start
		if leaf, err := openLeaf(a.leafPath(row.Unit, row.Run)); err == nil {
			r.leaf = leaf
		} else if !errors.Is(err, os.ErrNotExist) {
			a.cfg.Log("process: " + err.Error())
		}
		if !row.Exited {
			r.oomKills = a.oomKills(r.name)
			a.noteMain(r)
		}
		if r.part != unit.Main {
			a.isGuest(a.leafPath(r.name, r.id), true)
		}
		a.runs[r.id] = r
	}
	a.endProbes()
	a.takeKept()
}

// absent says what is missing for a terminal; empty: nothing. Linux lists serial
// ports that are not there, with type 0.
func absent(tty string) string {
	if tty == "" {
		return ""
	}
	if !strings.Contains(tty, "/") {
		class := "/sys/class/tty/" + tty
		if _, err := os.Stat(class); err != nil {
			return fmt.Sprintf("no terminal %s on this machine", tty)
		}
		if b, err := os.ReadFile(class + "/type"); err == nil && strings.TrimSpace(string(b)) == "0" {
			return fmt.Sprintf("no hardware behind terminal %s", tty)
		}
	}
	if _, err := os.Stat("/dev/" + tty); err != nil {
		return fmt.Sprintf("no /dev/%s", tty)
	}
	return ""
}
