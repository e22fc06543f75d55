//go:build priv

package keeper

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestEverySignal(t *testing.T) {
	m := boot(t, Config{SignalWithin: Minute})
	s := m.supervisor()
	s.hello()
	wanted := map[uint64]bool{}
	for n := syscall.Signal(1); n <= 64; n++ {
		if n == unix.SIGKILL || n == unix.SIGSTOP || n == 32 || n == 33 {
			// From a parent namespace the first two do act (pid_namespaces(7));
			// from within, as here for a machine, the kernel drops them. 32 and
			// 33 are glibc's.
			continue
		}
		if err := m.cmd.Process.Signal(n); err != nil {
			t.Fatalf("signal %d: %v", n, err)
		}
		if wishOf(n) != wishNothing {
			wanted[uint64(n)] = true
		}
		s.spawn(uint64(n), "exit:0", leaf, -1) // the loop turns after each
		for spawned, ended := false, false; !spawned || !ended; {
			p, _, ok := s.take(bound)
			if !ok {
				t.Fatalf("after signal %d the keeper is dead", n)
			}
			switch p.Op {
			case OpSignal:
				delete(wanted, p.A)
			case OpSpawned:
				spawned = true
			case OpExit:
				ended = true
				s.send(Packet{Op: OpAck, Token: p.Token})
			}
		}
		m.alive()
	}
	if len(wanted) != 0 {
		t.Errorf("signals not told: %v", wanted)
	}
}

func TestSignalsFromWithin(t *testing.T) {
	m := boot(t, Config{SignalWithin: Minute})
	s := m.supervisor()
	s.hello()
	for n := range 64 {
		s.spawn(uint64(n), fmt.Sprintf("signal1:%d", n+1), leaf, -1)
		for ended := false; !ended; {
			p, _, ok := s.take(bound)
			if !ok {
				t.Fatalf("after signal %d from within the keeper is dead", n+1)
			}
			ended = p.Op == OpExit
		}
		m.alive()
	}
}

func TestSpawnExitAck(t *testing.T) {
	m := boot(t, Config{})
	s := m.supervisor()
	if s.epoch != 1 {
		t.Errorf("the first epoch is %d", s.epoch)
	}
	rows, stored, table := s.hello()
	if len(rows) != 0 || len(stored) != 0 || table.A != 0 || table.B != 0 {
		t.Errorf("a fresh machine holds %v %v %+v", rows, stored, table)
	}
	s.spawn(7, "exit:42", leaf, -1)
	p, _ := s.want(OpSpawned)
	if p.Token != 7 || p.A == 0 {
		t.Fatalf("spawned: %+v", p)
	}
	p, _ = s.want(OpExit)
	if p.Token != 7 || p.A != 42<<8 || p.B == 0 {
		t.Fatalf("exit: %+v", p)
	}
	s.spawn(8, "kill:9", leaf, -1)
	s.want(OpSpawned)
	if p, _ = s.want(OpExit); p.Token != 8 || p.A != 9 {
		t.Fatalf("killed: %+v", p)
	}

	s.spawn(9, "wait", leaf, -1)
	p, fds := s.want(OpSpawned)
	if len(fds) != 1 || p.B == 0 {
		t.Fatalf("alive: %+v with %d descriptors", p, len(fds))
	}
	pid, start := p.A, p.B

	s.spawn(9, "wait", leaf, -1) // the same token
	if p, _ = s.want(OpSpawned); p.A != 0 || p.B != uint64(unix.EEXIST) {
		t.Errorf("a token is used twice: %+v", p)
	}
	s.spawn(10, "orphans:20", leaf, -1)
	s.want(OpSpawned)
	if p, _ = s.want(OpExit); p.Token != 10 {
		t.Fatalf("orphans: %+v", p)
	}
	if p, _, ok := s.take(300 * time.Millisecond); ok {
		t.Errorf("the end of an orphan is told: %+v", p)
	}

	a, inoA := memfd(t, "a")
	b, _ := memfd(t, "b")
	c, inoC := memfd(t, "c")
	s.send(Packet{Op: OpStore, Payload: []byte("ring/a")}, a)
	s.send(Packet{Op: OpStore, Payload: []byte("ring/b")}, b)
	s.send(Packet{Op: OpStore, Payload: []byte("snapshot")}, b)
	s.send(Packet{Op: OpStore, Payload: []byte("snapshot")}, c)
	s.send(Packet{Op: OpDrop, Payload: []byte("ring/b")})
	s.send(Packet{Op: OpAck, Token: 8})
	s.send(Packet{Op: OpAck, Token: 9})   // alive: not forgotten
	s.send(Packet{Op: OpAck, Token: 999}) // unknown
	s.send(Packet{Op: OpHello, Epoch: 77})
	s.kill(unix.SIGKILL)

	n := m.supervisor()
	if n.epoch != 2 {
		t.Errorf("the second epoch is %d", n.epoch)
	}
	rows, stored, _ = n.hello()
	row := func(token uint64, state string, name string, nfds uint64, a, b uint64) Packet {
		return Packet{Op: OpRow, Epoch: 2, Token: token, A: a, B: nfds<<56 | b, Payload: []byte(state + name)}
	}
	byToken := map[uint64]Packet{}
	for _, r := range rows {
		byToken[r.Token] = r
	}
	exited := byToken[7]
	if d := cmp.Diff(map[uint64]Packet{
		7:  row(7, "\x01", "exit:42", 1, exited.A, exited.B&^(0xff<<56)),
		9:  row(9, "\x00", "wait", 2, pid, start),
		10: row(10, "\x01", "orphans:20", 1, byToken[10].A, byToken[10].B&^(0xff<<56)),
	}, byToken); d != "" {
		t.Error(d)
	}
	inos := map[string]uint64{}
	for _, p := range stored {
		inos[string(p.Payload)] = p.A
	}
	if d := cmp.Diff(map[string]uint64{"ring/a": inoA, "snapshot": inoC}, inos); d != "" {
		t.Error(d)
	}
	exits := map[uint64]uint64{}
	for range 2 {
		p, _ := n.want(OpExit)
		exits[p.Token] = p.A
	}
	if d := cmp.Diff(map[uint64]uint64{7: 42 << 8, 10: 0}, exits); d != "" {
		t.Error(d)
	}
	n.send(Packet{Op: OpAck, Token: 7})
	n.send(Packet{Op: OpAck, Token: 10})
	rows, _, _ = n.hello()
	if len(rows) != 1 || rows[0].Token != 9 {
		t.Errorf("after the acknowledgements: %+v", rows)
	}
	if p, _, ok := n.take(300 * time.Millisecond); ok {
		t.Errorf("told again: %+v", p)
	}
	if !m.says("supervisor: epoch 1 speaks") {
		t.Error("what the supervisor writes is not on the console")
	}
}

// TestShortLives races exits against the return of their own forks.
func TestShortLives(t *testing.T) {
	m := boot(t, Config{})
	s := m.supervisor()
	s.hello()
	const all = 500
	sent, spawned, exits := 0, map[uint64]bool{}, map[uint64]bool{}
	for len(exits) < all {
		for sent < all && sent-len(exits) < 40 {
			sent++
			s.spawn(uint64(sent), "exit:3", leaf, -1)
		}
		p, _, ok := s.take(bound)
		if !ok {
			t.Fatalf("%d of %d exits", len(exits), all)
		}
		switch p.Op {
		case OpSpawned:
			if p.A == 0 || spawned[p.Token] {
				t.Fatalf("%+v", p)
			}
			spawned[p.Token] = true
		case OpExit:
			if !spawned[p.Token] || exits[p.Token] || p.A != 3<<8 {
				t.Fatalf("%+v (spawned %v, exited %v)", p, spawned[p.Token], exits[p.Token])
			}
			exits[p.Token] = true
			s.send(Packet{Op: OpAck, Token: p.Token})
		}
	}
	if rows, _, _ := s.hello(); len(rows) != 0 {
		t.Errorf("%d rows are left", len(rows))
	}
}

func TestLauncherGetsItsFilesOnly(t *testing.T) {
	m := boot(t, Config{})
	s := m.supervisor()
	s.hello()
	extra, _ := memfd(t, "listen")
	s.send(Packet{Op: OpStore, Payload: []byte("kept")}, extra)
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	s.spawn(1, "fds", leaf, p[1], extra, extra)
	_ = unix.Close(p[1])
	s.want(OpSpawned)
	s.want(OpExit)
	out := make([]byte, 256)
	n, _ := unix.Read(p[0], out)
	_ = unix.Close(p[0])
	if got := strings.TrimSpace(string(out[:n])); got != "0 1 2 3 4 5 6" {
		t.Errorf("the launcher has descriptors %s", got)
	}
}

func TestSpawnErrors(t *testing.T) {
	m := boot(t, Config{})
	s := m.supervisor()
	s.hello()
	null, _ := memfd(t, "")
	s.send(Packet{Op: OpSpawn, Token: 1, Payload: []byte("x")}, null) // too few
	if p, _ := s.want(OpSpawned); p.A != 0 || p.B != uint64(unix.EINVAL) {
		t.Errorf("too few descriptors: %+v", p)
	}
	fds := []int{null, null, null, null, null, null, null} // no cgroup among them
	s.send(Packet{Op: OpSpawn, Token: 2, Payload: []byte("x")}, fds...)
	if p, _ := s.want(OpSpawned); p.Token != 2 || p.A != 0 || p.B != uint64(unix.EBADF) {
		t.Errorf("no cgroup: %+v", p)
	}
	if err := unix.Sendto(s.sock, []byte("rubbish"), 0, nil); err != nil {
		t.Fatal(err)
	}
	if rows, _, _ := s.hello(); len(rows) != 0 {
		t.Errorf("rows of what never was: %+v", rows)
	}
}

// TestFrozenCgroup: forks that hang stop neither the loop nor other forks.
func TestFrozenCgroup(t *testing.T) {
	m := boot(t, Config{})
	s := m.supervisor()
	s.hello()
	const frozen = "/sys/fs/cgroup/svc/frozen"
	if err := os.MkdirAll(m.path(frozen), 0o755); err != nil {
		t.Fatal(err)
	}
	freeze := func(v string) {
		t.Helper()
		if err := os.WriteFile(m.path(frozen+"/cgroup.freeze"), []byte(v), 0); err != nil {
			t.Fatal(err)
		}
	}
	freeze("1")
	for token := range uint64(spawnsMost - 1) {
		s.spawn(100+token, "exit:1", frozen, -1)
	}
	for token := range uint64(20) {
		s.spawn(200+token, "exit:2", leaf, -1)
	}
	for exits := 0; exits < 20; {
		p, _, ok := s.take(bound)
		if !ok || p.Token < 200 {
			t.Fatalf("with %d forks frozen, after %d exits: %+v %v", spawnsMost-1, exits, p, ok)
		}
		if p.Op == OpExit {
			exits++
		}
	}
	s.spawn(300, "exit:1", frozen, -1) // now none is left
	s.spawn(301, "exit:1", leaf, -1)
	s.kill(unix.SIGKILL) // the next supervisor starts all the same
	n := m.supervisor()
	rows, _, _ := n.hello()
	under := 0
	for _, r := range rows {
		if r.Payload[0] == RowAlive && r.A == 0 {
			under++
		}
	}
	if under != spawnsMost+1 {
		t.Errorf("%d rows are under way, want %d", under, spawnsMost+1)
	}
	freeze("0")
	for exits := 0; exits < 20+spawnsMost+1; {
		p, _, ok := n.take(bound)
		if !ok {
			t.Fatalf("after the thaw: %d exits", exits)
		}
		if p.Op == OpExit {
			exits++
		}
	}
}

func TestSilentSupervisorIsReplaced(t *testing.T) {
	m := boot(t, Config{PingEvery: 50 * Millisecond, PongWithin: 300 * Millisecond})
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
	if !m.says("has not answered for 0.3 s") {
		t.Error("nothing is said of it")
	}
}

func TestLastWordsAreKept(t *testing.T) {
	m := boot(t, Config{PingEvery: 50 * Millisecond, PongWithin: 100 * Millisecond})
	s := m.supervisor()
	s.hello()
	s.mute = true
	for _, _, ok := s.take(300 * time.Millisecond); ok; {
	}
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
	m := boot(t, Config{RetryEvery: 300 * Millisecond, DeathWindow: 3 * Second})
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

// TestPanics: one panic costs a turn; after many, PID 1 reaps and can be ended.
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

func TestEarlyMounts(t *testing.T) {
	m := boot(t, Config{})
	_, _, _ = m.supervisor().hello() // answered when all stand
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", m.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	type point struct{ fstype, options, super string }
	got := map[string]point{}
	for line := range strings.Lines(string(text)) {
		left, right, _ := strings.Cut(strings.TrimSpace(line), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		got[l[4]] = point{r[0], l[5], r[2]}
	}
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		t.Fatal(err)
	}
	// Written from mount(8) of a running systemd 252 and Alpine 3.19, not from
	// the table.
	for _, want := range []struct {
		target, fstype string
		has, not       string // options of the mount
		super          string // options of the file system
		mode           uint32
		maybe          bool
	}{
		{"/proc", "proc", "nosuid nodev noexec", "ro", "", 0o555, false},
		{"/sys", "sysfs", "nosuid nodev noexec", "ro", "", 0o555, false},
		{"/dev", "devtmpfs", "nosuid", "nodev noexec ro", "", 0o755, false},
		{"/dev/pts", "devpts", "nosuid noexec", "nodev", "gid=5 mode=620 ptmxmode=666", 0o755, false},
		{"/dev/shm", "tmpfs", "nosuid nodev", "noexec", "", 0o1777, false},
		{"/dev/mqueue", "mqueue", "nosuid nodev noexec", "", "", 0o1777, true},
		{"/run", "tmpfs", "nosuid nodev", "noexec ro", "mode=755", 0o755, false},
		{"/tmp", "tmpfs", "nosuid nodev", "noexec ro", "", 0o1777, false},
		{"/sys/fs/cgroup", "cgroup2", "nosuid nodev noexec", "ro", "", 0, false},
		{"/sys/kernel/security", "securityfs", "nosuid nodev noexec", "", "", 0, true},
		{"/sys/firmware/efi/efivars", "efivarfs", "nosuid nodev noexec", "", "", 0, true},
		{"/sys/fs/pstore", "pstore", "nosuid nodev noexec", "", "", 0, true},
		{"/sys/kernel/tracing", "tracefs", "nosuid nodev noexec", "", "", 0, true},
		{"/sys/fs/bpf", "bpf", "nosuid nodev noexec", "", "mode=700", 0, true},
		{"/sys/kernel/config", "configfs", "nosuid nodev noexec", "", "", 0, true},
	} {
		t.Run(want.target, func(t *testing.T) {
			p, ok := got[want.target]
			if !ok {
				_, err := os.Stat(m.path(want.target))
				if want.maybe && (!hasWord(known, want.fstype) || err != nil) {
					t.Skip("this kernel has no " + want.fstype + " or no place for it")
				}
				t.Fatal("not mounted")
			}
			if p.fstype != want.fstype {
				t.Errorf("type %s", p.fstype)
			}
			options := "," + p.options + ","
			for _, o := range strings.Fields(want.has) {
				if !strings.Contains(options, ","+o+",") {
					t.Errorf("%s lacks %s", p.options, o)
				}
			}
			for _, o := range strings.Fields(want.not) {
				if strings.Contains(options, ","+o+",") {
					t.Errorf("%s has %s", p.options, o)
				}
			}
			for _, o := range strings.Fields(want.super) {
				if !strings.Contains(","+p.super+",", ","+o+",") {
					t.Errorf("%s lacks %s", p.super, o)
				}
			}
			var st unix.Stat_t
			if err := unix.Stat(m.path(want.target), &st); err != nil {
				t.Fatal(err)
			}
			if mode := st.Mode & 0o7777; want.mode != 0 && mode != want.mode {
				t.Errorf("mode %#o, want %#o", mode, want.mode)
			}
		})
	}
	for _, l := range []string{"fd", "stdin", "stdout", "stderr", "ptmx"} {
		if _, err := os.Lstat(m.path("/dev/" + l)); err != nil {
			t.Error(err)
		}
	}
	for _, dir := range []string{"keeper", "supervisor", "svc"} {
		procs, err := os.ReadFile(m.path("/sys/fs/cgroup/" + dir + "/cgroup.procs"))
		if err != nil {
			t.Error(err)
		}
		if alone := strings.Count(string(procs), "\n") == 1; alone != (dir != "svc") {
			t.Errorf("cgroup %s holds %q", dir, procs)
		}
	}
}
