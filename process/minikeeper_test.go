package process

import (
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"hoopy/keeper"
)

// bound is how long anything may take on a busy machine.
const bound = time.Minute

// miniKeeper is as much of a keeper as the arm needs: it forks, waits, stores,
// and tells the next epoch what it knows. The real one is tested in its own
// package; this one runs in the test's process.
type miniKeeper struct {
	t  testing.TB
	mu sync.Mutex

	sup    int // our end of the current pair
	rows   map[uint64]*miniRow
	stored map[string]int
	log    []keeper.Op
	errno  unix.Errno // what each spawn comes to; 0: a process
}

type miniRow struct {
	unit           string
	pid            int
	pidfd, errRead int
	exited         bool
	status         uint32
}

func newMiniKeeper(t testing.TB) *miniKeeper {
	k := &miniKeeper{t: t, rows: map[uint64]*miniRow{}, stored: map[string]int{}, sup: -1}
	t.Cleanup(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, r := range k.rows {
			if r.pidfd >= 0 && !r.exited {
				unix.PidfdSendSignal(r.pidfd, unix.SIGKILL, nil, 0)
			}
		}
	})
	return k
}

// connect begins an epoch and returns the supervisor's end.
func (k *miniKeeper) connect() int {
	k.t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		k.t.Fatal(err)
	}
	// What a dead supervisor had asked for is still carried out.
	for end := time.Now().Add(bound); ; time.Sleep(time.Millisecond) {
		k.mu.Lock()
		if k.sup < 0 || time.Now().After(end) {
			break
		}
		k.mu.Unlock()
	}
	if k.sup >= 0 {
		unix.Shutdown(k.sup, unix.SHUT_RDWR)
	}
	k.sup = pair[0]
	k.mu.Unlock()
	go k.serve(pair[0])
	return pair[1]
}

func (k *miniKeeper) serve(fd int) {
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.sup == fd {
			k.sup = -1
		}
		unix.Close(fd)
	}()
	b := make([]byte, keeper.PacketMax)
	oob := make([]byte, unix.CmsgSpace(4*keeper.FDMax))
	for {
		n, oobn, _, _, err := unix.Recvmsg(fd, b, oob, unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		var p keeper.Packet
		if !p.Decode(b[:n]) {
			k.t.Errorf("undecodable packet of %d bytes", n)
			return
		}
		k.take(fd, p, rights(oob[:oobn]))
	}
}

// send waits for room: the real one derives from its tables what it owes.
func (k *miniKeeper) send(fd int, p keeper.Packet, fds ...int) {
	for end := time.Now().Add(bound); sendmsg(fd, p.Append(nil), fds) == unix.EAGAIN; {
		if time.Now().After(end) {
			k.t.Error("the supervisor does not read")
			return
		}
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 100)
	}
}

func (k *miniKeeper) take(fd int, p keeper.Packet, fds []int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, p.Op)
	switch p.Op {
	case keeper.OpHello:
		for token, r := range k.rows {
			row := keeper.Packet{Op: keeper.OpRow, Token: token, A: uint64(r.pid), Payload: append([]byte{keeper.RowAlive}, r.unit...)}
			if r.exited {
				row.Payload[0] = keeper.RowExited
				k.send(fd, row, r.errRead)
			} else {
				k.send(fd, row, r.pidfd, r.errRead)
			}
		}
		for key, s := range k.stored {
			k.send(fd, keeper.Packet{Op: keeper.OpStored, Payload: []byte(key)}, s)
		}
		k.send(fd, keeper.Packet{Op: keeper.OpTable})
		for token, r := range k.rows {
			if r.exited {
				k.send(fd, keeper.Packet{Op: keeper.OpExit, Token: token, A: uint64(r.status)})
			}
		}
	case keeper.OpSpawn:
		if k.errno != 0 {
			closeAll(fds)
			k.send(fd, keeper.Packet{Op: keeper.OpSpawned, Token: p.Token, B: uint64(k.errno)})
			return
		}
		unitName := string(p.Payload)
		go k.spawn(p.Token, unitName, fds)
	case keeper.OpAck:
		if r := k.rows[p.Token]; r != nil && r.exited {
			closeAll([]int{r.errRead, r.pidfd})
			delete(k.rows, p.Token)
		}
	case keeper.OpMain:
		r := k.rows[p.Token]
		if r == nil {
			k.send(fd, keeper.Packet{Op: keeper.OpSpawned, Token: p.Token, B: uint64(unix.ESRCH)})
			return
		}
		r.pid, r.pidfd, r.exited = int(p.A), fds[0], false
		k.send(fd, keeper.Packet{Op: keeper.OpSpawned, Token: p.Token, A: p.A, B: p.B}, r.pidfd)
		go k.await(p.Token, r, r.pid, r.pidfd)
	case keeper.OpStore:
		if s, ok := k.stored[string(p.Payload)]; ok {
			unix.Close(s)
		}
		k.stored[string(p.Payload)] = fds[0]
	case keeper.OpDrop:
		if s, ok := k.stored[string(p.Payload)]; ok {
			unix.Close(s)
			delete(k.stored, string(p.Payload))
		}
	}
}

func (k *miniKeeper) spawn(token uint64, name string, fds []int) {
	r := &miniRow{unit: name, pidfd: -1, errRead: fds[keeper.SpawnErrRead]}
	files := []uintptr{uintptr(fds[keeper.SpawnStdin]), uintptr(fds[keeper.SpawnStdout]), uintptr(fds[keeper.SpawnStderr]),
		uintptr(fds[keeper.SpawnSpec]), uintptr(fds[keeper.SpawnErrWrite])}
	for _, fd := range fds[keeper.SpawnExtra:] {
		files = append(files, uintptr(fd))
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"/init", "exec", name}, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: files,
		Sys:   &syscall.SysProcAttr{Setsid: true, UseCgroupFD: true, CgroupFD: fds[keeper.SpawnCgroup], PidFD: &r.pidfd},
	})
	for i, fd := range fds {
		if i != keeper.SpawnErrRead {
			unix.Close(fd)
		}
	}
	k.mu.Lock()
	if err != nil {
		k.send(k.sup, keeper.Packet{Op: keeper.OpSpawned, Token: token, B: uint64(err.(syscall.Errno))})
		k.mu.Unlock()
		return
	}
	r.pid = pid
	k.rows[token] = r
	k.send(k.sup, keeper.Packet{Op: keeper.OpSpawned, Token: token, A: uint64(pid)}, r.pidfd)
	k.mu.Unlock()
	var st syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(pid, &st, 0, nil); err != syscall.EINTR {
			break
		}
	}
	k.exit(token, r, pid, uint32(st))
}

func (k *miniKeeper) exit(token uint64, r *miniRow, pid int, status uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.pid != pid {
		return
	}
	r.exited, r.status = true, status
	k.send(k.sup, keeper.Packet{Op: keeper.OpExit, Token: token, A: uint64(status), B: 1})
}

// await waits for a process that is not ours: we are not PID 1. The kernel knows
// how it ended (Linux 6.15), or nobody does.
func (k *miniKeeper) await(token uint64, r *miniRow, pid, pidfd int) {
	for unix.PidfdSendSignal(pidfd, 0, nil, 0) == nil {
		unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 10)
		syscall.Wait4(pid, nil, syscall.WNOHANG, nil) // under a subreaper it is ours after all
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	status := uint32(keeper.StatusUnknown)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(pidfd), unix.PIDFD_GET_INFO, uintptr(unsafe.Pointer(&info))); e == 0 && info.Mask&unix.PIDFD_INFO_EXIT != 0 {
		status = uint32(info.Exit_code)
	}
	k.exit(token, r, pid, status)
}

func (k *miniKeeper) held() (rows, stored int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.rows), len(k.stored)
}

// TestKeeperQueues: a keeper that does not read costs nobody a wait, and gets
// everything in order when it reads again.
func TestKeeperQueues(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKeeper(pair[1], 7)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	const n = 2000
	for i := range n {
		if i%10 == 0 {
			k.Store("key", null)
		} else {
			k.Pong(uint64(i))
		}
	}
	unix.Close(null) // what was queued has its own
	unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(bound / time.Second)})
	b := make([]byte, keeper.PacketMax)
	oob := make([]byte, unix.CmsgSpace(4*keeper.FDMax))
	for i := range n {
		m, oobn, _, _, err := unix.Recvmsg(pair[0], b, oob, 0)
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		var p keeper.Packet
		fds := rights(oob[:oobn])
		if !p.Decode(b[:m]) || p.Epoch != 7 || i%10 == 0 && (p.Op != keeper.OpStore || len(fds) != 1) || i%10 != 0 && p.A != uint64(i) {
			t.Fatalf("packet %d: %+v with %d descriptors", i, p, len(fds))
		}
		closeAll(fds)
	}
}

// TestKeeperCalls: what the keeper sends reaches the callbacks, nonsense does
// not, and its end is told.
func TestKeeperCalls(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKeeper(pair[1], 1)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	send := func(p keeper.Packet) { sendmsg(pair[0], p.Append(nil), nil) }
	send(keeper.Packet{Op: keeper.OpPing, A: 4})
	send(keeper.Packet{Op: keeper.OpRow, Token: 9, Payload: []byte("\x01sshd")})
	send(keeper.Packet{Op: keeper.OpTable, A: keeper.HowReboot, B: 1})
	table, err := k.Hello(bound)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Rows) != 1 || table.Rows[0].Unit != "sshd" || !table.Rows[0].Exited || table.Rows[0].Pidfd != -1 || !table.Safe || table.Ending.String() != "reboot" {
		t.Errorf("%+v", table)
	}
	said := make(chan string, 10)
	k.OnSignal = func(sig int) {
		if sig == 1 {
			panic("a panic ends the line, loudly")
		}
		said <- "signal"
	}
	k.OnPing = func(n uint64) { said <- "ping" }
	k.OnLost = func(err error) { said <- "lost: " + err.Error() }
	sendmsg(pair[0], []byte("nonsense"), nil)
	send(keeper.Packet{Op: keeper.OpSignal, A: 15})
	send(keeper.Packet{Op: keeper.OpPing})
	send(keeper.Packet{Op: keeper.OpSignal, A: 1})
	go k.Serve()
	for _, want := range []string{"signal", "ping", "lost: keeper: panic: a panic ends the line, loudly"} {
		select {
		case got := <-said:
			if got != want {
				t.Errorf("%q, not %q", got, want)
			}
		case <-time.After(bound):
			t.Fatalf("no %q", want)
		}
	}
}

func TestHelloIsBounded(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	k, err := NewKeeper(pair[1], 1)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if _, err := k.Hello(10 * time.Millisecond); err == nil {
		t.Error("no error")
	}
}
