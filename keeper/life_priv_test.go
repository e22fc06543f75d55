//go:build priv

package keeper

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSilentSupervisorIsReplaced(t *testing.T) {
	m := boot(t, Config{PingEvery: 50 * Millisecond, PongWithin: 5 * Second}) // ours may come late
	s := m.supervisor()
	s.hello()
	s.spawn(1, "wait", leaf, -1)
	p, _ := s.want(OpSpawned)
	if _, _, ok := s.take(time.Second); ok {
		t.Fatal("something comes where only pings should")
	}
	s.kill(unix.SIGSTOP) // and the test goes silent with it
	s.mute = true
	n := m.supervisor()
	if n.epoch != 2 {
		t.Fatalf("epoch %d", n.epoch)
	}
	rows, _, _ := n.hello()
	if len(rows) != 1 || rows[0].A != p.A {
		t.Errorf("rows: %+v", rows)
	}
	if !m.says("has not answered for 5.0 s") {
		t.Error("nothing is said of it")
	}
}

func TestLastWordsAreKept(t *testing.T) {
	m := boot(t, Config{PingEvery: 50 * Millisecond, PongWithin: 100 * Millisecond})
	s := m.supervisor()
	s.hello()
	s.mute = true
	m.supervisor()
	m.until("the stacks of the silent supervisor", func() bool { return m.says("supervisor: SIGQUIT: quit") })
}

func TestHangUp(t *testing.T) {
	m := boot(t, Config{})
	s := m.supervisor()
	s.hello()
	s.kill(unix.SIGSTOP) // it cannot end by itself
	if err := unix.Shutdown(s.sock, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	if n := m.supervisor(); n.epoch != 2 {
		t.Errorf("epoch %d", n.epoch)
	}
}

func TestNoHello(t *testing.T) {
	m := boot(t, Config{HelloWithin: 200 * Millisecond})
	m.supervisor()
	if n := m.supervisor(); n.epoch != 2 {
		t.Errorf("epoch %d", n.epoch)
	}
}

func TestSafeModeAndRescue(t *testing.T) {
	m := boot(t, Config{RetryEvery: 300 * Millisecond, DeathWindow: 10 * Second})
	for range 3 {
		m.supervisor().kill(unix.SIGKILL)
	}
	s := m.supervisor()
	if _, _, table := s.hello(); table.B != 1 {
		t.Fatalf("after three deaths: %+v", table)
	}
	crash := filepath.Join(m.dir, "crash")
	if err := os.WriteFile(crash, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s.kill(unix.SIGKILL)
	rescued := func() bool { _, err := os.Stat(filepath.Join(m.dir, "rescue")); return err == nil }
	m.until("the rescue shell", rescued)
	if err := os.Remove(crash); err != nil {
		t.Fatal(err)
	}
	s = m.supervisor() // the retry
	if _, _, table := s.hello(); table.B != 1 {
		t.Errorf("in rescue: %+v", table)
	}
	end := time.Now().Add(bound)
	for !m.says("a supervisor lives again") {
		s.take(50 * time.Millisecond)
		if time.Now().After(end) {
			t.Fatal("rescue does not end")
		}
	}
	s.exit(0)
	if _, _, table := m.supervisor().hello(); table.B != 0 {
		t.Errorf("after exit 0: %+v", table)
	}
}

func TestPanics(t *testing.T) {
	m := boot(t, Config{})
	s := m.supervisor()
	s.hello()
	panics := filepath.Join(m.dir, "panic")
	panicOnce := func() {
		t.Helper()
		if err := os.WriteFile(panics, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		s.send(Packet{Op: OpPong}) // something to turn for
		m.until("a panic", func() bool { _, err := os.Stat(panics); return err != nil })
	}
	for n := range panicsMost {
		s.spawn(uint64(n), "exit:0", leaf, -1)
		s.want(OpSpawned)
		s.want(OpExit)
		panicOnce()
	}
	m.until("the last panic", func() bool { return m.says("too many panics") })
	if n := strings.Count(m.console(), "the keeper panicked: asked for by a test"); n != panicsMost {
		t.Errorf("%d panics are told", n)
	}
	s.kill(unix.SIGKILL)
	m.until("the supervisor to be reaped", func() bool {
		return unix.PidfdSendSignal(s.pidfd, 0, nil, 0) == unix.ESRCH
	})
	if err := m.cmd.Process.Signal(unix.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	if got := m.endedWith(); got != unix.LINUX_REBOOT_CMD_POWER_OFF {
		t.Errorf("reboot(%#x)", got)
	}
}
