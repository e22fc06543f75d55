//go:build priv

package keeper

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// daemonize starts a run whose child stays, and returns that child: its pid
// inside the machine, its start time and its pidfd.
func daemonize(t *testing.T, s *side, token uint64, name string) (pid int, start uint64, pidfd int) {
	t.Helper()
	dir := "/sys/fs/cgroup/svc/test/" + strconv.FormatUint(token, 10)
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(p[0]) })
	s.spawn(token, name, dir, p[1])
	_ = unix.Close(p[1])
	if !readable(p[0], bound) {
		t.Fatal("the child does not come up")
	}
	s.want(OpSpawned)
	procs, err := os.ReadFile(s.m.path(dir + "/cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, outside := range strings.Fields(string(procs)) {
		cmdline, _ := os.ReadFile("/proc/" + outside + "/cmdline")
		if !strings.Contains(string(cmdline), "later:") {
			continue
		}
		n, _ := strconv.Atoi(outside)
		if pidfd, err = unix.PidfdOpen(n, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(pidfd) })
		status, _ := os.ReadFile("/proc/" + outside + "/status")
		_, line, _ := strings.Cut(string(status), "\nNSpid:")
		line, _, _ = strings.Cut(line, "\n")
		pids := strings.Fields(line)
		pid, _ = strconv.Atoi(pids[len(pids)-1])
		stat, _ := os.ReadFile("/proc/" + outside + "/stat")
		return pid, startTime(stat), pidfd
	}
	t.Fatalf("no child among %q", procs)
	return 0, 0, -1
}

// TestMainProcess: the exit of a daemon is the exit of its run, in this epoch
// and the next.
func TestMainProcess(t *testing.T) {
	m := boot(t, Config{})
	s := m.supervisor()
	s.hello()
	pid, start, pidfd := daemonize(t, s, 1, "daemon:42")
	if p, _ := s.want(OpExit); p.A != 0 {
		t.Errorf("the first process: %+v", p)
	}
	s.send(Packet{Op: OpMain, Token: 1, A: uint64(pid), B: start}, pidfd)
	if p, fds := s.want(OpSpawned); p.A != uint64(pid) || p.B != start || len(fds) != 1 {
		t.Errorf("answer %+v with %d descriptors", p, len(fds))
	}
	s.send(Packet{Op: OpAck, Token: 1}) // late: it lives again
	s.kill(unix.SIGKILL)

	s = m.supervisor()
	rows, _, _ := s.hello()
	if len(rows) != 1 || rows[0].A != uint64(pid) || rows[0].Payload[0] != RowAlive || rows[0].B != 2<<56|start {
		t.Fatalf("rows %+v", rows)
	}
	if err := unix.PidfdSendSignal(pidfd, unix.SIGTERM, nil, 0); err != nil {
		t.Fatal(err)
	}
	if p, _ := s.want(OpExit); p.Token != 1 || p.A != 42<<8 {
		t.Errorf("its exit: %+v", p)
	}
	s.send(Packet{Op: OpAck, Token: 1})
	if rows, _, _ := s.hello(); len(rows) != 0 {
		t.Errorf("rows are left: %+v", rows)
	}
}

// TestMainProcessHasGone: told too late, and with another parent than PID 1; the
// row ends all the same.
func TestMainProcessHasGone(t *testing.T) {
	m := boot(t, Config{})
	s := m.supervisor()
	s.hello()
	for token, name := range map[uint64]string{1: "daemon:42", 2: "nanny:42"} {
		pid, start, pidfd := daemonize(t, s, token, name)
		if name == "daemon:42" {
			s.want(OpExit)
		} else { // known while it lives
			s.send(Packet{Op: OpMain, Token: token, A: uint64(pid), B: start}, pidfd)
			s.want(OpSpawned)
		}
		if err := unix.PidfdSendSignal(pidfd, unix.SIGTERM, nil, 0); err != nil {
			t.Fatal(err)
		}
		if !readable(pidfd, bound) {
			t.Fatal("it does not end")
		}
		m.until("somebody has waited for it", func() bool { return unix.PidfdSendSignal(pidfd, 0, nil, 0) == unix.ESRCH })
		s.send(Packet{Op: OpMain, Token: token, A: uint64(pid), B: start}, pidfd)
		if p, _ := s.want(OpSpawned); p.Token != token || p.A != uint64(pid) {
			t.Errorf("%s: %+v", name, p)
		}
		if p, _ := s.want(OpExit); p.Token != token || p.A != 42<<8 && p.A != StatusUnknown {
			t.Errorf("%s: %+v", name, p)
		} else if p.A == StatusUnknown && exitStatus(pidfd) != StatusUnknown {
			t.Errorf("%s: the kernel knows, the keeper does not", name)
		}
		s.send(Packet{Op: OpMain, Token: token, A: uint64(pid), B: start}, pidfd) // once more
		s.want(OpSpawned)
		s.want(OpExit)
		s.send(Packet{Op: OpAck, Token: token})
		s.send(Packet{Op: OpMain, Token: token, A: uint64(pid), B: start}, pidfd)
		if p, _ := s.want(OpSpawned); p.A != 0 || p.B != uint64(unix.ESRCH) {
			t.Errorf("%s: of an unknown run: %+v", name, p)
		}
	}
}
