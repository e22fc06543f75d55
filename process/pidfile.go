package process

import (
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// Readiness by pid file: the daemon has put itself into the background and
// written which process it is. The file is looked for when inotify(7) tells of
// its folder, and besides after 20 ms, 40 ms, 80 ms …, for the folder may not be
// there yet: a look that comes too late is late by as much as it had waited. The
// supervisor's start time-out bounds it all. What the file said in an earlier run
// is not in this run's cgroup.

// pidFile is what waits for it.
type pidFile struct {
	watch   int       // inotify; -1: none
	lookAt  time.Time // next look; zero: none
	waited  time.Duration
	looking bool
	again   bool // something was told of while looking
}

const (
	pidFileFirst = 20 * time.Millisecond
	pidFileBytes = 32 // that are read of it
)

func (a *Arm) watchPidFile(r *run) {
	if r.unit.ReadyBy != unit.ByPidFile || r.saidReady {
		return
	}
	if r.wasReady {
		r.mainKnown = true // the keeper's row has it
		return
	}
	r.file.waited, r.file.lookAt = pidFileFirst, time.Now()
}

// pollPidFile looks when it is time to.
func (a *Arm) pollPidFile(r *run, now time.Time) {
	f := &r.file
	if f.lookAt.IsZero() || now.Before(f.lookAt) {
		return
	}
	f.lookAt = now.Add(f.waited)
	f.waited *= 2
	a.lookPidFile(r)
}

// lookPidFile looks at the file, aside: its disk may hang.
func (a *Arm) lookPidFile(r *run) {
	f := &r.file
	if f.looking {
		f.again = true
		return
	}
	if f.watch < 0 {
		if fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err == nil {
			f.watch = fd
			a.set.Add(fd, pollIn, func() {
				var b [4096]byte
				unix.Read(fd, b[:])
				a.lookPidFile(r)
			}) // without it there are the looks
		}
	}
	watch, path := -1, r.unit.ReadyPath
	if f.watch >= 0 {
		watch, _ = unix.FcntlInt(uintptr(f.watch), unix.F_DUPFD_CLOEXEC, 0)
	}
	f.looking = a.aside("pid_file:"+r.name, func() string {
		if watch >= 0 {
			// First listen, then look. A folder that is watched already stays so.
			unix.InotifyAddWatch(watch, filepath.Dir(path), unix.IN_CLOSE_WRITE|unix.IN_MODIFY|unix.IN_MOVED_TO|unix.IN_CREATE)
			unix.Close(watch)
		}
		return readPidFile(path)
	}, func(said string) {
		f.looking = false
		a.pidFileSaid(r, said)
		if f.again && f.watch >= 0 {
			f.again = false
			a.lookPidFile(r)
		}
	})
	if !f.looking && watch >= 0 {
		unix.Close(watch)
	}
}

// readPidFile is the beginning of a file; empty: it is none that can be read.
func readPidFile(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return ""
	}
	var b [pidFileBytes]byte
	n, _ := unix.Read(fd, b[:])
	return string(b[:max(n, 0)])
}

// parsePid reads the content of a pid file: a number, with white space around
// it. 0: it is none.
func parsePid(s string) int {
	n, ok := number(strings.TrimSpace(s), pidMax)
	if !ok || n == 1 || len(s) == pidFileBytes {
		return 0
	}
	return int(n)
}

func (a *Arm) pidFileSaid(r *run, said string) {
	if a.runs[r.id] != r || r.saidReady || r.saidEnd {
		a.closePidFile(r)
		return
	}
	pid := parsePid(said)
	if pid == 0 || !a.setMain(r, pid) {
		return
	}
	a.closePidFile(r)
	a.emit(r, unit.Event{Op: unit.MainPid, Pid: pid})
	a.ready(r)
}

func (a *Arm) closePidFile(r *run) {
	r.file.lookAt = time.Time{}
	if r.file.watch >= 0 {
		a.set.Del(r.file.watch)
		unix.Close(r.file.watch)
		r.file.watch = -1
	}
}
