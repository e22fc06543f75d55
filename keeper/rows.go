package keeper

import "golang.org/x/sys/unix"

// rowsMost is how many runs are kept at once, alive or not acknowledged.
const rowsMost = 4096

// phase of a row. Its exits: queued → flying → alive → exited → free, by
// OpAck; flying → failed → free, when the answer is sent.
type phase uint8

const (
	free   phase = iota
	queued       // waits for one of the spawnsMost places
	flying       // fork and execve are under way
	alive
	exited
	failed // nothing was started
)

// row is one run: from OpSpawn to OpAck.
type row struct {
	phase   phase
	token   uint64
	born    uint32 // epoch that asked for it
	owed    bool   // OpSpawned has not been sent
	told    uint32 // epoch to which OpExit was sent
	seq     uint64 // order in the queue
	pid     int
	start   uint64
	pidfd   int
	errRead int
	errno   uint64
	status  uint32
	ended   Duration // CLOCK_BOOTTIME
	fds     [FDMax]int32
	nfds    int
	name    [PayloadMax]byte // byte 0 is left for RowAlive or RowExited
	nname   int
}

// rows is the table; slots behind high have never been used, so that a machine
// with few units never touches their memory.
type rows struct {
	slot []row
	high int
}

func (t *rows) used() []row { return t.slot[:t.high] }

func (t *rows) byToken(token uint64) *row {
	for i := range t.used() {
		if r := &t.slot[i]; r.phase != free && r.token == token {
			return r
		}
	}
	return nil
}

// byPid finds the run that is alive with that pid.
func (t *rows) byPid(pid int) *row {
	for i := range t.used() {
		if r := &t.slot[i]; r.phase == alive && r.pid == pid {
			return r
		}
	}
	return nil
}

// add takes a free slot; nil when there is none.
func (t *rows) add() *row {
	for i := range t.used() {
		if t.slot[i].phase == free {
			return &t.slot[i]
		}
	}
	if t.high == len(t.slot) {
		return nil
	}
	t.high++
	return &t.slot[t.high-1]
}

// drop forgets r and closes what it holds.
func (t *rows) drop(r *row) {
	r.closeFiles()
	closeFD(r.pidfd)
	closeFD(r.errRead)
	*r = row{pidfd: -1, errRead: -1}
}

// closeFiles closes what the launcher has got or never will.
func (r *row) closeFiles() {
	for _, fd := range r.fds[:r.nfds] {
		closeFD(int(fd))
	}
	r.nfds = 0
}

func closeFD(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd) // the descriptor is gone whatever close(2) says
	}
}
