package keeper

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

func TestStrays(t *testing.T) {
	var s strays
	for pid := 1; pid <= len(s.slot)+10; pid++ {
		s.add(stray{pid: pid, status: uint32(pid)})
	}
	if _, ok := s.take(10); ok {
		t.Error("the oldest do not give way")
	}
	x, ok := s.take(11)
	if !ok || x.status != 11 {
		t.Errorf("pid 11: %+v, %v", x, ok)
	}
	if _, ok := s.take(11); ok {
		t.Error("an exit is taken twice")
	}
	s.clear()
	if _, ok := s.take(12); ok {
		t.Error("something is left after clear")
	}
}

func TestStore(t *testing.T) {
	open := func() int {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	isOpen := func(fd int) bool { _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); return err == nil }
	s := store{slot: make([]kept, 2)}
	a, b, c, d := open(), open(), open(), open()
	if !s.put([]byte("a"), a) || !s.put([]byte("b"), b) {
		t.Fatal("no room for two in two")
	}
	if s.put([]byte("c"), c) {
		t.Error("room for three in two")
	}
	if !s.put([]byte("a"), d) || isOpen(a) || !isOpen(d) {
		t.Error("replacing does not close what was there")
	}
	s.drop([]byte("b"))
	s.drop([]byte("unknown"))
	if isOpen(b) || s.find([]byte("b")) != nil {
		t.Error("dropped and still there")
	}
	if !s.put([]byte("c"), c) {
		t.Error("no room after a drop")
	}
	s.drop([]byte("a"))
	s.drop([]byte("c"))
}

// A store that is full says which key it refused.
func TestFullStore(t *testing.T) {
	dir := t.TempDir()
	opt := kmsg.Options{Console: dir + "/console", Kmsg: dir + "/kmsg", Printk: dir + "/printk"}
	for _, f := range []string{opt.Console, opt.Kmsg} {
		if err := os.WriteFile(f, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	k := &keeper{log: kmsg.Open(opt), store: store{slot: make([]kept, 1)}}
	p := Packet{Op: OpStore, Payload: []byte("fd:a:1:x")}
	if left := k.serve(&p, []int{1 << 20}); left != nil {
		t.Errorf("kept, and %v given back", left)
	}
	p.Payload = []byte("fd:b:1:y")
	if left := k.serve(&p, []int{1<<20 + 1}); len(left) != 1 {
		t.Error("two in one")
	}
	said, err := os.ReadFile(opt.Kmsg)
	if err != nil || !strings.Contains(string(said), "store of fd:b:1:y refused") {
		t.Errorf("it said %q, %v", said, err)
	}
}

func TestSpawnQueueOrder(t *testing.T) {
	table := rows{slot: make([]row, 3)}
	for range 3 {
		r := table.add()
		r.phase, r.pidfd, r.errRead = queued, -1, -1
	}
	if table.add() != nil {
		t.Error("four rows in three slots")
	}
	table.drop(&table.slot[1])
	if r := table.add(); r != &table.slot[1] {
		t.Error("a free slot is not used again")
	}
}
