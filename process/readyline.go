package process

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// Readiness as s6 has it: the service has the write end of a pipe as the
// descriptor that it was told, and writes a newline to it. The keeper holds the
// read end, so neither side loses the other with the supervisor. tee(2) looks at
// what was written without taking it: it is taken when a snapshot holds that the
// unit is ready.

// readyLine is that pipe.
type readyLine struct {
	line    int    // read end; -1: none
	lineSeq uint64 // of the newline that was seen; 0: none yet
}

// lineMost bytes are looked at once; what has no newline in it is thrown away.
const lineMost = 4096

func lineKey(id unit.Run) string { return "line:" + runName(id) }

// openLine makes the pipe of a run and returns its write end, which the caller
// closes; -1: it needs none.
func (a *Arm) openLine(r *run) (write int, err error) {
	if r.part != unit.Main || r.unit.ReadyBy != unit.ByFD {
		return -1, nil
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, fmt.Errorf("readiness pipe: %w", err)
	}
	r.line = p[0]
	a.cfg.Keeper.Store(lineKey(r.id), r.line)
	return p[1], nil
}

func (a *Arm) watchLine(r *run) {
	if r.line < 0 {
		return
	}
	if err := a.set.Add(r.line, pollIn, func() { a.readLine(r) }); err != nil {
		a.cfg.Log(fmt.Sprintf("process: unit %s: watch readiness pipe: %v", r.name, err))
	}
	a.readLine(r)
}

// readLine looks for a newline. An end of file without one says nothing.
func (a *Arm) readLine(r *run) {
	if r.line < 0 || r.lineSeq != 0 {
		return
	}
	b, err := lookAhead(r.line)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != nil || len(b) == 0:
		a.dropLine(r)
	case bytes.IndexByte(b, '\n') < 0:
		unix.Read(r.line, b)
	default:
		a.set.Del(r.line)
		r.lineSeq = a.nextSeq()
		a.emit(r, unit.Event{Op: unit.IsReady, Seq: r.lineSeq})
		a.beReady(r)
	}
}

// lookAhead is what the pipe holds, at most lineMost bytes; empty: its end.
func lookAhead(pipe int) ([]byte, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	defer closeAll(p[:])
	n, err := unix.Tee(pipe, p[1], lineMost, unix.SPLICE_F_NONBLOCK)
	if err != nil || n == 0 {
		return nil, err
	}
	b := make([]byte, n)
	k, err := unix.Read(p[0], b)
	return b[:max(k, 0)], err
}

// lineCommitted: a snapshot holds that the run is ready.
func (a *Arm) lineCommitted(r *run, seq uint64) {
	if r.lineSeq != 0 && seq >= r.lineSeq {
		a.dropLine(r)
	}
}

func (a *Arm) dropLine(r *run) {
	if r.line < 0 {
		return
	}
	a.set.Del(r.line)
	unix.Close(r.line)
	r.line = -1
	a.cfg.Keeper.Drop(lineKey(r.id))
}
