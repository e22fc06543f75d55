//go:build priv

package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bound is how long a test waits for anything; the machine may be slow.
const bound = time.Minute

// machine is a keeper that is PID 1 of its own namespaces.
type machine struct {
	t      *testing.T
	cmd    *exec.Cmd
	dir    string // shared with it as /test
	listen int
	ended  chan error
}

func boot(t *testing.T, cfg Config, files ...string) *machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: namespaces and mounts")
	}
	// On a tmpfs: the last act makes real file systems read-only, and this
	// directory is mounted inside.
	dir, err := os.MkdirTemp("/dev/shm", "keeper")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Type != unix.TMPFS_MAGIC {
		t.Skipf("/dev/shm is no tmpfs (%v)", err)
	}
	m := &machine{t: t, dir: dir, ended: make(chan error, 1)}
	for _, f := range append(files, "console", "kmsg") {
		if err := os.WriteFile(filepath.Join(m.dir, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m.listen, err = unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(m.listen, &unix.SockaddrUnix{Name: filepath.Join(m.dir, "sock")}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(m.listen, 16); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(struct {
		PingEvery, PongWithin, HelloWithin, DeathWindow, RetryEvery, SignalWithin, EndWithin, IdleEvery Duration
	}{cfg.PingEvery, cfg.PongWithin, cfg.HelloWithin, cfg.DeathWindow, cfg.RetryEvery, cfg.SignalWithin, cfg.EndWithin, cfg.IdleEvery})
	if err != nil {
		t.Fatal(err)
	}
	cgroup := fmt.Sprintf("hoopy-keeper-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	m.cmd = exec.Command("/proc/self/exe", "pid1", m.dir, cgroup, string(text))
	m.cmd.Stderr = os.Stderr
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { m.ended <- m.cmd.Wait() }()
	t.Cleanup(func() {
		_ = m.cmd.Process.Kill()
		<-m.ended
		_ = unix.Close(m.listen)
		if t.Failed() {
			console, _ := os.ReadFile(filepath.Join(m.dir, "console"))
			t.Logf("console:\n%s", console)
		}
		rm := exec.Command("/proc/self/exe", "rmcgroup", cgroup)
		rm.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
		if out, err := rm.CombinedOutput(); err != nil {
			t.Logf("cgroup %s stays: %v %s", cgroup, err, out)
		}
	})
	return m
}

// path is a path in the machine's root as seen from here.
func (m *machine) path(p string) string {
	return fmt.Sprintf("/proc/%d/root%s", m.cmd.Process.Pid, p)
}

func (m *machine) console() string {
	b, _ := os.ReadFile(filepath.Join(m.dir, "console"))
	return string(b)
}

func (m *machine) alive() {
	m.t.Helper()
	select {
	case err := <-m.ended:
		m.ended <- err
		m.t.Fatalf("PID 1 ended: %v", err)
	default:
	}
}

// until waits for something that no descriptor announces.
func (m *machine) until(what string, ok func() bool) {
	m.t.Helper()
	for end := time.Now().Add(bound); !ok(); {
		if time.Now().After(end) {
			m.t.Fatalf("waited in vain for %s", what)
		}
		m.alive()
		_, _ = unix.Poll(nil, 5)
	}
}

// side is the test as the supervisor of one epoch.
type side struct {
	m     *machine
	conn  int // to the process that was started
	sock  int // its end of the pair
	pidfd int
	epoch uint32
	mute  bool // answers no pings
}

// supervisor waits for the next one that the keeper starts.
func (m *machine) supervisor() *side {
	m.t.Helper()
	if !readable(m.listen, bound) {
		m.t.Fatal("no supervisor was started")
	}
	conn, _, err := unix.Accept4(m.listen, unix.SOCK_CLOEXEC)
	if err != nil {
		m.t.Fatal(err)
	}
	var b [16]byte
	oob := make([]byte, unix.CmsgSpace(8))
	if !readable(conn, bound) {
		m.t.Fatal("the supervisor says nothing")
	}
	n, oobn, _, _, err := unix.Recvmsg(conn, b[:], oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		m.t.Fatal(err)
	}
	fds := rights(oob[:oobn])
	epoch, err := strconv.ParseUint(string(b[:n]), 10, 32)
	if err != nil || len(fds) != 2 {
		m.t.Fatalf("the supervisor says %q, %v, %d descriptors", b[:n], err, len(fds))
	}
	s := &side{m: m, conn: conn, sock: fds[0], pidfd: fds[1], epoch: uint32(epoch)}
	m.t.Cleanup(s.close)
	return s
}

func (s *side) close() {
	closeAll([]int{s.conn, s.sock, s.pidfd})
	s.conn, s.sock, s.pidfd = -1, -1, -1
}

func readable(fd int, within time.Duration) bool {
	end := time.Now().Add(within)
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, max(0, int(time.Until(end).Milliseconds())))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return n > 0 && err == nil
	}
}

func (s *side) send(p Packet, fds ...int) {
	s.m.t.Helper()
	if p.Epoch == 0 {
		p.Epoch = s.epoch
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if err := unix.Sendmsg(s.sock, p.Append(nil), oob, nil, unix.MSG_NOSIGNAL); err != nil {
		s.m.t.Fatalf("send %+v: %v", p, err)
	}
}

// take is the next packet but pings, which it answers. False: none came within
// the time, or the keeper has closed the pair.
func (s *side) take(within time.Duration) (Packet, []int, bool) {
	s.m.t.Helper()
	end := time.Now().Add(within)
	for readable(s.sock, time.Until(end)) {
		b := make([]byte, PacketMax)
		oob := make([]byte, unix.CmsgSpace(4*FDMax))
		n, oobn, _, _, err := unix.Recvmsg(s.sock, b, oob, unix.MSG_CMSG_CLOEXEC)
		if n == 0 || err != nil {
			return Packet{}, nil, false
		}
		fds := rights(oob[:oobn])
		for _, fd := range fds {
			s.m.t.Cleanup(func() { _ = unix.Close(fd) })
		}
		var p Packet
		if !p.Decode(b[:n]) || p.Epoch != s.epoch {
			s.m.t.Fatalf("the keeper of epoch %d sends %x", s.epoch, b[:n])
		}
		if p.Op == OpPing {
			if !s.mute {
				s.send(Packet{Op: OpPong, A: p.A})
			}
			continue
		}
		return p, fds, true
	}
	return Packet{}, nil, false
}

// want is the next packet, which must be of that op.
func (s *side) want(op Op) (Packet, []int) {
	s.m.t.Helper()
	p, fds, ok := s.take(bound)
	if !ok || p.Op != op {
		s.m.t.Fatalf("got %+v (%v), want op %d", p, ok, op)
	}
	return p, fds
}

// hello opens the epoch and returns what the keeper holds.
func (s *side) hello() (rows, stored []Packet, table Packet) {
	s.m.t.Helper()
	s.send(Packet{Op: OpHello})
	for {
		p, fds, ok := s.take(bound)
		switch {
		case !ok:
			s.m.t.Fatal("no answer to hello")
		case p.Op == OpRow:
			p.B = uint64(len(fds))<<56 | p.B // for the tests
			rows = append(rows, p)
		case p.Op == OpStored:
			if len(fds) != 1 {
				s.m.t.Fatalf("%s comes with %d descriptors", p.Payload, len(fds))
			}
			var st unix.Stat_t
			if err := unix.Fstat(fds[0], &st); err != nil {
				s.m.t.Fatal(err)
			}
			p.A = st.Ino
			stored = append(stored, p)
		case p.Op == OpTable:
			return rows, stored, p
		default:
			s.m.t.Fatalf("%+v before OpTable", p)
		}
	}
}

// exit ends the supervisor's process with a status.
func (s *side) exit(status byte) {
	s.m.t.Helper()
	if _, err := unix.Write(s.conn, []byte{status}); err != nil {
		s.m.t.Fatal(err)
	}
}

func (s *side) kill(sig syscall.Signal) {
	s.m.t.Helper()
	if err := unix.PidfdSendSignal(s.pidfd, sig, nil, 0); err != nil {
		s.m.t.Fatal(err)
	}
}

// spawn asks for a run in the cgroup dir (inside the machine); out is its
// standard output.
func (s *side) spawn(token uint64, name, dir string, out int, extra ...int) {
	s.m.t.Helper()
	path := s.m.path(dir)
	if err := os.MkdirAll(path, 0o755); err != nil {
		s.m.t.Fatal(err)
	}
	cgroup, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		s.m.t.Fatal(err)
	}
	defer unix.Close(cgroup)
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		s.m.t.Fatal(err)
	}
	defer unix.Close(null)
	if out < 0 {
		out = null
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		s.m.t.Fatal(err)
	}
	defer closeAll(p[:])
	fds := append([]int{null, cgroup, p[0], p[1], null, out, null}, extra...)
	s.send(Packet{Op: OpSpawn, Token: token, Payload: []byte(name)}, fds...)
}

const leaf = "/sys/fs/cgroup/svc/test/1"

// memfd is a file with a number to know it by.
func memfd(t *testing.T, text string) (fd int, ino uint64) {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	return fd, st.Ino
}

// says reports whether the console shows the text.
func (m *machine) says(text string) bool { return strings.Contains(m.console(), text) }
