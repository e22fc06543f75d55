//go:build priv

package keeper

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ended waits for reboot(2) and returns its command.
func (m *machine) endedWith() int {
	m.t.Helper()
	var text []byte
	m.until("reboot(2)", func() bool {
		text, _ = os.ReadFile(filepath.Join(m.dir, "reboot"))
		return len(text) > 0
	})
	n, err := strconv.Atoi(string(text))
	if err != nil {
		m.t.Fatal(err)
	}
	return n
}

func TestLastAct(t *testing.T) {
	m := boot(t, Config{})
	s := m.supervisor()
	s.hello()
	s.spawn(1, "wait", leaf, -1)
	p, fds := s.want(OpSpawned)
	s.spawn(2, "stubborn", leaf, -1)
	_, stubborn := s.want(OpSpawned)
	if p.A == 0 || len(fds) != 1 || len(stubborn) != 1 {
		t.Fatal("nothing runs")
	}
	s.send(Packet{Op: OpEnd, A: HowPowerOff, B: EndBegins, Payload: []byte("root (svc poweroff)")})
	s.spawn(3, "exit:0", leaf, -1) // an end may need processes yet
	s.want(OpSpawned)
	s.want(OpExit)
	began := time.Now()
	s.send(Packet{Op: OpEnd, A: HowPowerOff, B: EndNow})
	if got := m.endedWith(); got != unix.LINUX_REBOOT_CMD_POWER_OFF {
		t.Errorf("reboot(%#x)", got)
	}
	t.Logf("last act with a stubborn service: %v", time.Since(began))
	for _, fd := range []int{fds[0], stubborn[0], s.pidfd} {
		if !gone(fd) {
			t.Error("a process lives on")
		}
	}
	if !m.says("power-off: asked by root (svc poweroff)") || !m.says("power-off after") {
		t.Error("the console does not tell of it")
	}
	m.until("the words after a reboot(2) that returned", func() bool { return m.says("the machine is still here") })
	m.alive()
}

func TestEndBySignal(t *testing.T) {
	for _, c := range []struct {
		name string
		sig  unix.Signal
		want int
	}{
		{"TERM", unix.SIGTERM, unix.LINUX_REBOOT_CMD_RESTART},
		{"INT", unix.SIGINT, unix.LINUX_REBOOT_CMD_RESTART},
		{"USR1", unix.SIGUSR1, unix.LINUX_REBOOT_CMD_HALT},
		{"USR2", unix.SIGUSR2, unix.LINUX_REBOOT_CMD_POWER_OFF},
		{"PWR", unix.SIGPWR, unix.LINUX_REBOOT_CMD_POWER_OFF},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := boot(t, Config{SignalWithin: Second})
			s := m.supervisor()
			s.hello()
			if err := m.cmd.Process.Signal(c.sig); err != nil {
				t.Fatal(err)
			}
			if p, _ := s.want(OpSignal); p.A != uint64(c.sig) {
				t.Errorf("told of signal %d", p.A)
			}
			if got := m.endedWith(); got != c.want { // nobody takes it up
				t.Errorf("reboot(%#x), want %#x", got, c.want)
			}
		})
	}
}

func TestEndDeadline(t *testing.T) {
	m := boot(t, Config{EndWithin: Second, SignalWithin: Minute})
	s := m.supervisor()
	s.hello()
	s.send(Packet{Op: OpEnd, A: HowReboot, B: EndBegins, Payload: []byte("test")})
	if got := m.endedWith(); got != unix.LINUX_REBOOT_CMD_RESTART {
		t.Errorf("reboot(%#x)", got)
	}
	if !m.says("the end took too long") {
		t.Error("the console does not say why")
	}
}

func TestEndOutlivesTheSupervisor(t *testing.T) {
	m := boot(t, Config{SignalWithin: Minute})
	s := m.supervisor()
	s.hello()
	if err := m.cmd.Process.Signal(unix.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	s.want(OpSignal)
	s.kill(unix.SIGKILL) // before it could begin
	n := m.supervisor()
	n.hello()
	if p, _ := n.want(OpSignal); p.A != uint64(unix.SIGUSR2) {
		t.Fatalf("the next is told of signal %d", p.A)
	}
	n.send(Packet{Op: OpEnd, A: HowPowerOff, B: EndBegins, Payload: []byte("signal")})
	n.kill(unix.SIGKILL)
	if _, _, table := m.supervisor().hello(); table.A != HowPowerOff {
		t.Errorf("the third is told: %+v", table)
	}
}

func TestSevenPresses(t *testing.T) {
	m := boot(t, Config{SignalWithin: Minute})
	s := m.supervisor()
	s.hello()
	for i := range 7 {
		if err := m.cmd.Process.Signal(unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		if i < 6 { // one signal pending hides the next: wait for a turn
			s.spawn(uint64(i), "exit:0", leaf, -1)
			for ended := false; !ended; {
				p, _, ok := s.take(bound)
				if !ok {
					t.Fatal("no turn")
				}
				ended = p.Op == OpExit
			}
		}
	}
	if got := m.endedWith(); got != unix.LINUX_REBOOT_CMD_RESTART {
		t.Errorf("reboot(%#x)", got)
	}
}

// withDisk starts a supervisor and has a file system mounted on /tmp/merged: an
// overlay over tmpfs stands for a disk, which is no type of the kernel's own.
func (m *machine) withDisk() *side {
	m.t.Helper()
	s := m.supervisor()
	s.hello()
	s.spawn(1, "overlay", leaf, -1)
	s.want(OpSpawned)
	if p, _ := s.want(OpExit); p.A != 0 {
		m.t.Skipf("no overlay on this kernel (status %#x)", p.A)
	}
	return s
}

func TestUnmountsRealFileSystems(t *testing.T) {
	m := boot(t, Config{})
	s := m.withDisk()
	mounted := func() bool {
		_, err := os.Stat(m.path("/tmp/merged/hello"))
		return err == nil
	}
	if !mounted() {
		t.Fatal("the overlay does not stand")
	}
	s.send(Packet{Op: OpEnd, A: HowHalt, B: EndNow, Payload: []byte("test")})
	if got := m.endedWith(); got != unix.LINUX_REBOOT_CMD_HALT {
		t.Errorf("reboot(%#x)", got)
	}
	if mounted() {
		t.Error("the overlay is still mounted")
	}
}

// TestSaysWhoHoldsAMount: when a mount does not go, all that may be said of it is
// said: here that nobody in the machine has it open, for the test is not of it.
func TestSaysWhoHoldsAMount(t *testing.T) {
	m := boot(t, Config{})
	s := m.withDisk()
	f, err := os.Open(m.path("/tmp/merged/hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s.send(Packet{Op: OpEnd, A: HowHalt, B: EndNow, Payload: []byte("test")})
	m.endedWith()
	if !m.says("/tmp/merged is held by nobody alive") {
		t.Error("the console does not say that nobody holds it")
	}
	if _, err := os.Stat(m.path("/tmp/merged/hello")); err == nil {
		t.Error("the overlay is still in its place")
	}
}
