//go:build priv

package keeper

import (
	"fmt"
	"os"
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

// TestPanics: one panic costs a turn; after many, PID 1 reaps and can be ended.
