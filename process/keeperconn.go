package process

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/keeper"
	"hoopy/unit"
)

// Row is one run as the keeper knows it. The descriptors are the receiver's to
// close; -1: none.
type Row struct {
	Run     unit.Run
	Unit    string
	Part    unit.Part
	Pid     int    // 0: the spawn is still under way; OnSpawned follows
	Start   uint64 // clock ticks, /proc/PID/stat field 22
	Pidfd   int
	ErrRead int  // the supervisor's end of the error pipe
	Exited  bool // OnExit follows
}

// Table is the keeper's answer to Hello.
type Table struct {
	Rows   []Row
	Stored map[string]int // descriptors by key; the receiver's to close
	Ending unit.How       // 0: the machine is not ending
	Safe   bool           // safe mode

	probes []Row // the arm's own: nobody adopts them
}

// Keeper is the supervisor's end of the line to PID 1. All methods may be
// called from any goroutine and none blocks but Hello: what the socket does not
// take at once is queued.
//
// The callbacks are set before Serve and called from its goroutine, so they must
// only hand on. Descriptors that they get are theirs to close.
type Keeper struct {
	// OnSpawned: the launcher of run is pid, or (pid 0) err says why not.
	OnSpawned func(run unit.Run, pid int, start uint64, pidfd int, err error)
	// OnExit: the process of run ended with status at the moment at.
	OnExit func(run unit.Run, status unit.Status, at unit.Time)
	// OnSignal: PID 1 got the signal sig.
	OnSignal func(sig int)
	// OnPing must lead to Pong(n) from the supervisor's loop: a loop that is
	// stuck is meant to be noticed.
	OnPing func(n uint64)
	// OnLost: the keeper has closed the line, or nothing it sent made sense.
	// The supervisor is to exit.
	OnLost func(err error)

	epoch uint32
	file  *os.File
	conn  syscall.RawConn

	mu      sync.Mutex
	queue   []outgoing // what the socket did not take
	pumping bool
	dead    bool
}

type outgoing struct {
	b   []byte
	fds []int // duplicates
}

// queueMax bounds what waits for a keeper that does not read; a keeper that far
// behind is gone.
const queueMax = 8192

// NewKeeper takes over fd (keeper.SupervisorFD), a SOCK_SEQPACKET socket.
func NewKeeper(fd int, epoch uint32) (*Keeper, error) {
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("keeper: %w", err)
	}
	f := os.NewFile(uintptr(fd), "keeper")
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("keeper: %w", err)
	}
	return &Keeper{epoch: epoch, file: f, conn: conn}, nil
}

// Hello opens the epoch and reads the keeper's table, within d. It comes before
// Serve and is called once.
func (k *Keeper) Hello(d time.Duration) (t Table, err error) {
	if err := k.file.SetReadDeadline(time.Now().Add(d)); err != nil {
		return t, fmt.Errorf("keeper: hello: %w", err)
	}
	defer k.file.SetReadDeadline(time.Time{})
	k.send(keeper.Packet{Op: keeper.OpHello})
	t.Stored = make(map[string]int)
	for {
		p, fds, err := k.receive()
		if err != nil {
			return t, fmt.Errorf("keeper: hello: %w", err)
		}
		take := func() int {
			if len(fds) == 0 {
				return -1
			}
			fd := fds[0]
			fds = fds[1:]
			return fd
		}
		switch p.Op {
		case keeper.OpRow:
			r := Row{Run: unit.Run(p.Token), Pid: int(p.A), Start: p.B, Pidfd: -1}
			var label string
			if len(p.Payload) > 0 {
				r.Exited = p.Payload[0] == keeper.RowExited
				label = string(p.Payload[1:])
			}
			if !r.Exited && r.Pid != 0 {
				r.Pidfd = take()
			}
			r.ErrRead = take()
			if r.Unit, r.Part = parseLabel(label); r.Part == unit.Parts {
				t.probes = append(t.probes, r)
			} else {
				t.Rows = append(t.Rows, r)
			}
		case keeper.OpStored:
			if fd := take(); fd >= 0 {
				t.Stored[string(p.Payload)] = fd
			}
		case keeper.OpTable:
			t.Ending, t.Safe = unit.How(p.A), p.B == 1
			closeAll(fds)
			return t, nil
		case keeper.OpPing:
			k.Pong(p.A) // there is no loop yet that could be stuck
		}
		closeAll(fds)
	}
}

// Serve reads packets and makes the callbacks until the line ends; it ends with
// OnLost. It is a goroutine of its own.
func (k *Keeper) Serve() {
	var err error
	for err == nil {
		err = k.serve()
	}
	k.mu.Lock()
	k.dead = true
	k.mu.Unlock()
	k.OnLost(err)
}

func (k *Keeper) serve() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("keeper: panic: %v", v)
		}
	}()
	p, fds, err := k.receive()
	if err != nil {
		return fmt.Errorf("keeper: %w", err)
	}
	switch p.Op {
	case keeper.OpSpawned:
		pidfd := -1
		if len(fds) > 0 {
			pidfd, fds = fds[0], fds[1:]
		}
		if p.A == 0 {
			k.OnSpawned(unit.Run(p.Token), 0, 0, -1, unix.Errno(p.B))
		} else {
			k.OnSpawned(unit.Run(p.Token), int(p.A), p.B, pidfd, nil)
		}
	case keeper.OpExit:
		k.OnExit(unit.Run(p.Token), unit.Status(p.A), unit.Time(p.B))
	case keeper.OpSignal:
		k.OnSignal(int(p.A))
	case keeper.OpPing:
		k.OnPing(p.A)
	}
	closeAll(fds)
	return nil
}

// Spawn starts the launcher for run, labelled name, with fds in the order of keeper.SpawnSpec
// and so on. They may be closed when it returns.
func (k *Keeper) Spawn(run unit.Run, name string, fds []int) {
	k.send(keeper.Packet{Op: keeper.OpSpawn, Token: uint64(run), Payload: []byte(name)}, fds...)
}

// Ack lets the keeper forget that run has ended.
func (k *Keeper) Ack(run unit.Run) { k.send(keeper.Packet{Op: keeper.OpAck, Token: uint64(run)}) }

// Store gives the keeper a duplicate of fd to keep under key.
func (k *Keeper) Store(key string, fd int) {
	k.send(keeper.Packet{Op: keeper.OpStore, Payload: []byte(key)}, fd)
}

// Drop closes what the keeper holds under key.
func (k *Keeper) Drop(key string) { k.send(keeper.Packet{Op: keeper.OpDrop, Payload: []byte(key)}) }

// Pong answers the ping n.
func (k *Keeper) Pong(n uint64) { k.send(keeper.Packet{Op: keeper.OpPong, A: n}) }

// End announces, or with now orders, the end of the machine; who asked is shown
// on the console.
func (k *Keeper) End(how unit.How, now bool, who string) {
	p := keeper.Packet{Op: keeper.OpEnd, A: uint64(how), B: keeper.EndBegins, Payload: []byte(who)}
	if now {
		p.B = keeper.EndNow
	}
	k.send(p)
}

// Close ends the line; Serve returns.
func (k *Keeper) Close() error { return k.file.Close() }

// send sends at once if that is possible and nothing is queued before it.
func (k *Keeper) send(p keeper.Packet, fds ...int) {
	p.Epoch = k.epoch
	b := p.Append(nil)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead {
		return
	}
	if len(k.queue) == 0 && !k.pumping {
		full := false
		err := k.conn.Control(func(s uintptr) { full = sendmsg(int(s), b, fds) == unix.EAGAIN })
		if err != nil || !full {
			return // a line that is broken is told by the reader
		}
	}
	if len(k.queue) >= queueMax {
		k.dead = true
		k.file.Close() // the reader tells
		return
	}
	o := outgoing{b: b}
	for _, fd := range fds {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			k.dead = true
			k.file.Close()
			return
		}
		o.fds = append(o.fds, dup)
	}
	k.queue = append(k.queue, o)
	if !k.pumping {
		k.pumping = true
		go k.pump()
	}
}

// pump sends what is queued and ends when that is all. A panic ends the line.
func (k *Keeper) pump() {
	defer func() {
		if recover() != nil {
			k.file.Close()
		}
	}()
	for {
		k.mu.Lock()
		if len(k.queue) == 0 || k.dead {
			k.pumping = false
			k.mu.Unlock()
			return
		}
		o := k.queue[0]
		k.queue = k.queue[1:]
		k.mu.Unlock()
		k.conn.Write(func(s uintptr) bool { return sendmsg(int(s), o.b, o.fds) != unix.EAGAIN })
		closeAll(o.fds)
	}
}

func sendmsg(s int, b []byte, fds []int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	for {
		_, err := unix.SendmsgN(s, b, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return err
		}
	}
}

var errClosed = errors.New("the line is closed")

// receive returns the next packet that makes sense, with its descriptors.
func (k *Keeper) receive() (p keeper.Packet, fds []int, err error) {
	b := make([]byte, keeper.PacketMax+1)
	oob := make([]byte, unix.CmsgSpace(4*keeper.FDMax))
	for {
		var n, oobn, flags int
		var rerr error
		err = k.conn.Read(func(s uintptr) bool {
			n, oobn, flags, _, rerr = unix.Recvmsg(int(s), b, oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
			return rerr != unix.EAGAIN
		})
		if err == nil {
			err = rerr
		}
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return p, nil, err
		}
		fds = rights(oob[:oobn])
		if n == 0 && oobn == 0 {
			return p, nil, errClosed
		}
		if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) == 0 && p.Decode(b[:n]) {
			return p, fds, nil
		}
		closeAll(fds)
	}
}

// rights lists the descriptors in control messages.
func rights(oob []byte) (fds []int) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range msgs {
		if got, err := unix.ParseUnixRights(&msgs[i]); err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
