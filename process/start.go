package process

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"hoopy/process/launch"
	"hoopy/process/poll"
	"hoopy/unit"
)

const (
	pollIn  = poll.In
	pollPri = poll.Pri
)

// start begins a run: everything that it needs is made and stored, then the
// keeper is asked.
func (a *Arm) start(u *unit.Unit, id unit.Run) {
	if a.runs[id] != nil {
		return
	}
	r := newRun(id, u.Name)
	r.unit = u
	if what := absent(u.TTY); what != "" {
		a.emit(r, unit.Event{Op: unit.Absent, Text: what})
		return
	}
	a.runs[id] = r
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
	r.saidExit, r.saidEnd, r.exited, r.row = true, true, true, false
	a.emit(r, unit.Event{Op: unit.StartFailed, Text: err.Error()})
}

func (a *Arm) spawn(r *run) error {
	u := r.unit
	log, err := a.logFor(u)
	if err != nil {
		return err
	}
	if r.leaf, err = newLeaf(a.cfg.CgroupRoot, u, r.id); err != nil {
		return err
	}
	spec := launch.Spec{Command: u.Command, Directory: u.Directory, User: u.User, Group: u.Group,
		Umask: u.Umask, Env: u.Env, TTY: u.TTY, Cgroup: r.group()}
	if u.ReadyBy == unit.ByNotify {
		r.notifyPath = notifyPath(a.cfg.RunDir, u.Name, r.id)
		if r.notify, err = newNotifySocket(r.notifyPath); err != nil {
			return err
		}
		a.cfg.Keeper.Store(notifyKey(r.id), r.notify)
		spec.Notify = r.notifyPath
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
	a.cfg.Keeper.Spawn(r.id, u.Name, []int{specFD, r.leaf.dir, pair[0], pair[1], a.null, log.write, log.write})
	return nil
}

// adopt takes over a run that an earlier epoch began.
func (a *Arm) adopt(u *unit.Unit, id unit.Run) {
	r := a.runs[id]
	if r != nil && r.unit != nil {
		return
	}
	if r == nil {
		// The keeper knows it no more: it has exited and that was committed.
		r = newRun(id, u.Name)
		r.exited, r.saidSpawned, r.saidExit = true, true, true
		if l := a.left[a.leafPath(u.Name, id)]; l != nil {
			r.leaf = a.retake(l)
		}
		a.runs[id] = r
	}
	r.unit = u
	if _, err := a.logFor(u); err != nil {
		a.cfg.Log(fmt.Sprintf("process: unit %s: %v", u.Name, err))
	}
	if err := a.watch(r); err != nil {
		a.cfg.Log(fmt.Sprintf("process: unit %s: %v", u.Name, err))
	}
	a.readError(r)
	a.settle(r)
}

// takeRows makes runs of the keeper's rows. They are watched when they are
// adopted; until then only their exit is told.
func (a *Arm) takeRows() {
	for _, row := range a.cfg.Table.Rows {
		r := newRun(row.Run, row.Unit)
		r.row, r.pid, r.pidfd, r.errRead = true, row.Pid, row.Pidfd, row.ErrRead
		if leaf, err := openLeaf(a.leafPath(row.Unit, row.Run)); err == nil {
			r.leaf = leaf
		} else if !errors.Is(err, os.ErrNotExist) {
			a.cfg.Log("process: " + err.Error())
		}
		a.runs[r.id] = r
	}
	for key, fd := range a.cfg.Table.Stored {
		hex, ok := strings.CutPrefix(key, "notify:")
		if !ok {
			continue
		}
		delete(a.cfg.Table.Stored, key)
		id, _ := parseRun(hex)
		if r := a.runs[id]; r != nil {
			r.notify, r.notifyPath = fd, notifyPath(a.cfg.RunDir, r.name, id)
			continue
		}
		unix.Close(fd)
		a.cfg.Keeper.Drop(key)
	}
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
