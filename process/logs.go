package process

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/process/logfile"
	"hoopy/process/ring"
	"hoopy/unit"
)

// unitLog is the log of one unit, through all its runs: one pipe, one ring. The
// keeper holds both ends of the pipe, so neither a reader nor a writer that dies
// breaks it.
type unitLog struct {
	ring        *ring.Ring
	read, write int

	// Guarded by Arm.mu.
	position *logfile.Position // of the file; nil: there was none yet
	file     *logfile.File     // nil: none is written
	fileAs   unit.LogFile      // what file is
}

// fileEnd is how long the last write to a log file may take before it is left
// behind.
const fileEnd = time.Second

func (l *unitLog) close() {
	if l.file != nil {
		l.file.End(nil)
		if !l.file.Wait(time.After(fileEnd)) {
			l.position = nil // in use for ever
		}
	}
	l.free()
}

func (l *unitLog) free() {
	l.ring.Close()
	unix.Close(l.read)
	unix.Close(l.write)
	if l.position != nil {
		l.position.Close()
	}
}

func ringKey(name string) string      { return "ring:" + name }
func pipeKey(name, end string) string { return "pipe:" + name + ":" + end }
func fileKey(name string) string      { return "logfile:" + name }
func notifyKey(id unit.Run) string    { return "notify:" + runName(id) }

func (a *Arm) unitLog(name string) *unitLog {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.units[name]
}

// logFor is the log of u, made and stored with the keeper if there is none.
func (a *Arm) logFor(u *unit.Unit) (*unitLog, error) {
	l := a.unitLog(u.Name)
	if l == nil {
		size := ring.Size
		if u.Essential {
			size = ring.EssentialSize
		}
		var err error
		if l, err = a.newLog(u.Name, size, -1, -1); err != nil {
			return nil, err
		}
	}
	a.logTo(u, l)
	return l, nil
}

// LogTo has the log of u written to its log file as u says now, soon; if it has
// never run, its first start does so.
func (a *Arm) LogTo(u *unit.Unit) {
	a.post(func() {
		if l := a.unitLog(u.Name); l != nil {
			a.logTo(u, l)
		}
	})
}

// logTo begins, changes or ends the log file of u.
func (a *Arm) logTo(u *unit.Unit, l *unitLog) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case u.LogFile == nil:
		if l.file != nil {
			l.file.End(nil)
			l.fileAs = unit.LogFile{}
		}
		return
	case l.file != nil && l.fileAs == *u.LogFile:
		return
	}
	if l.position == nil {
		p, fd, err := logfile.NewPosition()
		if err != nil {
			a.cfg.Log(fmt.Sprintf("process: log of %s: %v", u.Name, err))
			return
		}
		a.cfg.Keeper.Store(fileKey(u.Name), fd)
		unix.Close(fd)
		l.position = p
	}
	l.fileAs = *u.LogFile
	l.file = logfile.Open(logfile.Config{LogFile: *u.LogFile, Unit: u.Name, Ring: l.ring, Position: l.position,
		Before: l.file, Say: a.cfg.Log, Fault: a.cfg.Fault})
}

// FlushLogs writes what the log files do not have yet, and ends them: the machine
// is ending. It waits for that, at most for d.
func (a *Arm) FlushLogs(d time.Duration) {
	deadline := time.After(d)
	a.mu.Lock()
	var files []*logfile.File
	for _, l := range a.units {
		if l.file != nil {
			l.file.End(nil)
			files = append(files, l.file)
		}
	}
	a.mu.Unlock()
	for _, f := range files {
		if !f.Wait(deadline) {
			a.cfg.Log("process: a log file cannot be written, its last lines are lost")
			return
		}
	}
}

// newLog makes a ring, and a pipe if read is -1.
func (a *Arm) newLog(name string, size, read, write int) (*unitLog, error) {
	r, fd, err := ring.Create(name, size, a.cfg.Epoch)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if read < 0 {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			r.Close()
			return nil, fmt.Errorf("log pipe: %w", err)
		}
		read, write = p[0], p[1]
		a.cfg.Keeper.Store(pipeKey(name, "r"), read)
		a.cfg.Keeper.Store(pipeKey(name, "w"), write)
	}
	a.cfg.Keeper.Store(ringKey(name), fd)
	return a.addLog(name, &unitLog{ring: r, read: read, write: write})
}

func (a *Arm) addLog(name string, l *unitLog) (*unitLog, error) {
	if err := a.logs.Add(name, l.ring, l.read); err != nil {
		l.close()
		return nil, err
	}
	a.mu.Lock()
	a.units[name] = l
	a.mu.Unlock()
	return l, nil
}

// takeLogs takes over the logs that the keeper holds.
func (a *Arm) takeLogs() {
	stored := a.cfg.Table.Stored
	for key, read := range stored {
		name, isPipe := strings.CutPrefix(key, "pipe:")
		name, isRead := strings.CutSuffix(name, ":r")
		if !isPipe || !isRead {
			continue
		}
		write, ok := stored[pipeKey(name, "w")]
		if !ok {
			continue // a store that was cut off: the pipe was never used
		}
		rfd, ok := stored[ringKey(name)]
		if !ok {
			rfd = -1
		}
		delete(stored, key)
		delete(stored, pipeKey(name, "w"))
		delete(stored, ringKey(name))
		if err := a.takeLog(name, rfd, read, write); err != nil {
			a.cfg.Log(fmt.Sprintf("process: log of %s: %v", name, err))
		}
	}
	for key, fd := range stored {
		name, ok := strings.CutPrefix(key, "logfile:")
		if l := a.units[name]; ok && l != nil {
			delete(stored, key)
			p, err := logfile.OpenPosition(fd)
			unix.Close(fd)
			if err != nil {
				a.cfg.Log(fmt.Sprintf("process: log of %s: %v", name, err))
			}
			l.position = p
		}
	}
	for key, fd := range stored {
		if strings.HasPrefix(key, "logfile:") || strings.HasPrefix(key, "pipe:") || strings.HasPrefix(key, "ring:") {
			delete(stored, key)
			unix.Close(fd)
			a.cfg.Keeper.Drop(key)
		}
	}
}

func (a *Arm) takeLog(name string, rfd, read, write int) error {
	if rfd < 0 {
		_, err := a.newLog(name, ring.Size, read, write)
		return err
	}
	defer unix.Close(rfd)
	r, err := ring.Open(rfd, a.cfg.Epoch)
	if errors.Is(err, ring.ErrCorrupt) {
		l, err := a.newLog(name, ring.Size, read, write)
		if err == nil {
			a.cfg.Log(fmt.Sprintf("process: log of %s was unreadable, begun anew", name))
			l.ring.Note("hoopy: the log up to here was unreadable")
		}
		return err
	}
	if err != nil {
		unix.Close(read)
		unix.Close(write)
		return err
	}
	_, err = a.addLog(name, &unitLog{ring: r, read: read, write: write})
	return err
}

// SystemLog makes a log that is no unit's, if there is none. It comes before the
// first Do.
func (a *Arm) SystemLog(name string) error {
	if a.unitLog(name) != nil {
		return nil
	}
	_, err := a.newLog(name, ring.Size, -1, -1)
	return err
}

// Forget drops the log of a unit that has left the configuration, and the
// descriptors that it has stored, soon; if it still has a run, nothing happens,
// and Forget is to be called when it has ended.
func (a *Arm) Forget(name string) {
	a.post(func() {
		for _, r := range a.runs {
			if r.name == name {
				return
			}
		}
		a.dropStored(name, everyStored)
		a.mu.Lock()
		l := a.units[name]
		delete(a.units, name)
		a.mu.Unlock()
		if l == nil {
			return
		}
		a.logs.Remove(name)
		if l.file != nil {
			l.file.End(l.free)
		} else {
			l.free()
		}
		for _, key := range []string{ringKey(name), pipeKey(name, "r"), pipeKey(name, "w"), fileKey(name)} {
			a.cfg.Keeper.Drop(key)
		}
	})
}

// UnitOf is the unit in whose cgroup the process is; empty: in none's, or it has
// exited.
func (a *Arm) UnitOf(pid int) string {
	group := unitGroup(groupOfProcess(pid))
	if group == "" {
		return ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.units[group] != nil {
		return group
	}
	for name := range a.units { // those whose names are no names of directories
		if groupName(name) == group {
			return name
		}
	}
	return ""
}

// groupOfProcess is the path of a process in the cgroup2 hierarchy; empty: it has
// exited.
func groupOfProcess(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if p, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSuffix(p, "\n")
		}
	}
	return ""
}

// unitGroup is NAME of a path with svc/NAME/… in it. A unit that has cgroups of
// its own making may call them svc, too: the first counts.
func unitGroup(path string) string {
	_, below, ok := strings.Cut(path, "/svc/")
	name, _, leaf := strings.Cut(below, "/")
	if !ok || !leaf {
		return ""
	}
	return name
}

// LogNames are all that have a log, in order.
func (a *Arm) LogNames() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	names := make([]string, 0, len(a.units))
	for name := range a.units {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Logs is the ring of a unit; nil while it has written nothing and none was
// made. It is closed by Forget, and with the arm.
func (a *Arm) Logs(name string) *ring.Ring {
	if l := a.unitLog(name); l != nil {
		return l.ring
	}
	return nil
}

// LastLines are the last n lines of a unit, oldest first.
func (a *Arm) LastLines(name string, n int) []string {
	r := a.Logs(name)
	if r == nil {
		return nil
	}
	lines := r.Lines(n)
	text := make([]string, len(lines))
	for i := range lines {
		text[i] = lines[i].Text
	}
	return text
}
