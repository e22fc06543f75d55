package keeper

import (
	"bytes"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestPacketRoundTrip(t *testing.T) {
	for op := OpHello; op <= OpPing; op++ {
		want := Packet{Op: op, Epoch: 0xfffefdfc, Token: 1<<63 | 7, A: 1<<64 - 1, B: 42, Payload: []byte("sshd")}
		b := want.Append(nil)
		if len(b) != HeaderSize+4 {
			t.Fatalf("op %d: %d bytes", op, len(b))
		}
		var got Packet
		if !got.Decode(b) {
			t.Fatalf("op %d: not decoded", op)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("op %d: %s", op, d)
		}
	}
}

func TestPacketRefused(t *testing.T) {
	good := (&Packet{Op: OpHello}).Append(nil)
	edit := func(i int, v byte) []byte { b := bytes.Clone(good); b[i] = v; return b }
	for name, b := range map[string][]byte{
		"empty":        nil,
		"short":        good[:HeaderSize-1],
		"long":         append(bytes.Clone(good), make([]byte, PayloadMax+1)...),
		"version":      edit(0, Version+1),
		"no op":        edit(2, 0),
		"op past last": edit(2, byte(OpPing)+1),
	} {
		if new(Packet).Decode(b) {
			t.Errorf("%s: decoded", name)
		}
	}
	if b := (&Packet{Op: OpStore, Payload: make([]byte, 999)}).Append(nil); len(b) != PacketMax {
		t.Errorf("a payload that is too long makes %d bytes", len(b))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add((&Packet{Op: OpSpawn, Epoch: 1, Token: 1<<32 | 1, Payload: []byte("sshd")}).Append(nil))
	f.Add((&Packet{Op: OpPing, A: 9}).Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		if p.Decode(b) && !bytes.Equal(p.Append(nil), b) {
			t.Errorf("%x decodes to %+v, which is something else", b, p)
		}
	})
}

func TestDeaths(t *testing.T) {
	at := func(s ...int) []Duration {
		var d []Duration
		for _, x := range s {
			d = append(d, Duration(x)*Second)
		}
		return d
	}
	for _, c := range []struct {
		name string
		at   []Duration
		want []mode
	}{
		{"two are nothing", at(1, 2), []mode{normal, normal}},
		{"three in a minute", at(1, 30, 61), []mode{normal, normal, safe}},
		{"three in more than a minute", at(1, 30, 62), []mode{normal, normal, normal}},
		{"a slow first, then three", at(0, 100, 110, 120), []mode{normal, normal, normal, safe}},
		{"three more", at(1, 2, 3, 4, 5, 6, 7), []mode{normal, normal, safe, safe, safe, rescue, rescue}},
		{"three more, later", at(1, 2, 3, 1000, 2000, 2001, 2002), []mode{normal, normal, safe, safe, safe, safe, rescue}},
	} {
		d := deaths{window: Minute}
		var got []mode
		for _, now := range c.at {
			before := d.mode
			if d.died(now) != (d.mode != before) {
				t.Errorf("%s: at %d a change is not reported", c.name, now)
			}
			got = append(got, d.mode)
		}
		if x := cmp.Diff(c.want, got); x != "" {
			t.Errorf("%s: %s", c.name, x)
		}
	}
}

func TestDeathsEnd(t *testing.T) {
	d := deaths{window: Minute, mode: rescue}
	if !d.lived() || d.mode != safe {
		t.Errorf("after rescue: mode %d", d.mode)
	}
	if d.lived() || d.mode != safe {
		t.Errorf("a long life alone ends safe mode")
	}
	if d.fresh(Second/2) || d.mode != safe {
		t.Errorf("a fresh start is granted to one that lived half a second")
	}
	if !d.fresh(Second) || d.mode != normal {
		t.Errorf("no fresh start")
	}
}

func TestWishes(t *testing.T) {
	want := map[syscall.Signal]uint64{
		unix.SIGTERM: HowReboot, unix.SIGINT: HowReboot, unix.SIGUSR1: HowHalt,
		unix.SIGUSR2: HowPowerOff, unix.SIGPWR: HowPowerOff,
	}
	for n := syscall.Signal(1); n <= 64; n++ {
		w := wishOf(n)
		if w.how() != want[n] {
			t.Errorf("signal %d ends as %d, want %d", n, w.how(), want[n])
		}
		if (w == wishReload) != (n == unix.SIGHUP) {
			t.Errorf("signal %d: reload", n)
		}
	}
}

func TestPresses(t *testing.T) {
	var p presses
	for i := range 20 { // slower than seven in two seconds
		if p.press(Duration(i) * 400 * Millisecond) {
			t.Fatalf("press %d of a slow row is taken for the seventh", i)
		}
	}
	p = presses{}
	for i := range 7 {
		if got := p.press(5*Second + Duration(i)*300*Millisecond); got != (i == 6) {
			t.Errorf("press %d: %v", i, got)
		}
	}
}

func TestStartTime(t *testing.T) {
	tail := "S 1 2 3 0 -1 4194560 5 6 7 8 9 10 11 12 20 0 1 0 987654 1 2 3"
	for _, c := range []struct {
		stat string
		want uint64
	}{
		{"12 (init) " + tail, 987654},
		{"12 (a (b) c) d) " + tail, 987654},
		{"", 0},
		{"12 (x) S 1", 0},
		{"12 (x) S 1 2 3 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 9x 1", 0},
	} {
		if got := startTime([]byte(c.stat)); got != c.want {
			t.Errorf("%q: %d, want %d", c.stat, got, c.want)
		}
	}
	self, err := os.ReadFile("/proc/self/stat")
	if err != nil || startTime(self) == 0 {
		t.Errorf("own start time: %d, %v", startTime(self), err)
	}
}

func TestCmdline(t *testing.T) {
	for text, want := range map[string]cmdline{
		"": {},
		"console=ttyS0 quiet hoopy.rescue hoopy.log=debug\n":     {rescue: true, debug: true, quiet: true},
		"quiet=1 nohoopy.rescue hoopy.rescue=1 hoopy.log=debugx": {},
		"x=quiet hoopy.log=info":                                 {},
		"panic=10 -- quiet":                                      {},
	} {
		if got := parseCmdline([]byte(text)); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

const mountinfo = `1 1 0:2 / / rw - rootfs rootfs rw
22 1 0:20 / /proc rw,nosuid shared:5 master:1 - proc proc rw
23 1 8:1 / /persist\040disk rw - ext4 /dev/sda1 rw
24 23 8:2 / /persist\040disk/b rw - xfs /dev/sdb1 rw
25 1 0:40 / /tmp rw - tmpfs tmpfs rw
26 1 0:50 / /tank rw - zfs tank rw
not a line
27 1 0:51 / relative rw - zfs tank rw
28 1 0:52 / /cut rw -
`

func TestToUnmount(t *testing.T) {
	var got []string
	for _, m := range toUnmount([]byte(mountinfo)) {
		got = append(got, m.target)
	}
	if d := cmp.Diff([]string{"/tank", "/persist disk/b", "/persist disk"}, got); d != "" {
		t.Error(d)
	}
}

func FuzzMountinfo(f *testing.F) {
	f.Add([]byte(mountinfo))
	f.Add([]byte(`1 2 3:4 / /\777\1 - a b`))
	f.Fuzz(func(t *testing.T, b []byte) {
		eachMount(b, func(m mountPoint) {
			if m.target == "" || m.target[0] != '/' || m.fstype == "" {
				t.Errorf("%q gives %+v", b, m)
			}
		})
	})
}

func TestSwaps(t *testing.T) {
	got := swaps([]byte("Filename\tType\tSize\n/dev/sda2 partition 8\n/swap\\040file file 9\n"))
	if d := cmp.Diff([]string{"/dev/sda2", "/swap file"}, got); d != "" {
		t.Error(d)
	}
	if got := swaps([]byte("Filename Type\n")); len(got) != 0 {
		t.Errorf("no swap: %q", got)
	}
}

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

func TestMountTable(t *testing.T) {
	seen := map[string]int{}
	for i, r := range mountTable {
		if _, twice := seen[r.target]; twice {
			t.Errorf("%s stands twice", r.target)
		}
		seen[r.target] = i
		if r.flags&unix.MS_NOSUID == 0 {
			t.Errorf("%s lets programs be setuid", r.target)
		}
		for dir := r.target; len(dir) > 1; dir = dir[:bytes.LastIndexByte([]byte(dir), '/')] {
			if at, ok := seen[dir]; ok && at > i {
				t.Errorf("%s is mounted before %s", r.target, dir)
			}
		}
	}
	for _, first := range []string{"/proc", "/sys", "/dev", "/sys/fs/cgroup"} {
		if seen[first] >= firstMounts {
			t.Errorf("%s must stand before the supervisor starts", first)
		}
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
