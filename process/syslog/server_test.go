package syslog

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/process/ring"
)

const bound = time.Minute

// house is a server with two rings, and what the keeper would have.
type house struct {
	t      testing.TB
	path   string
	stored map[string]int
	rings  map[string]*ring.Ring
	memfds map[string]int
	unit   func(pid int) string
	epoch  uint32
	*Server
}

func newHouse(t testing.TB) *house {
	h := &house{t: t, path: filepath.Join(t.TempDir(), "log"), stored: map[string]int{}, rings: map[string]*ring.Ring{},
		memfds: map[string]int{}, epoch: 1}
	for _, name := range []string{Name, "unit"} {
		r, fd, err := ring.Create(name, 1<<20, 1)
		if err != nil {
			t.Fatal(err)
		}
		h.rings[name], h.memfds[name] = r, fd
		t.Cleanup(func() { r.Close(); unix.Close(fd) })
	}
	h.begin()
	t.Cleanup(func() { h.Close() })
	return h
}

func (h *house) config() Config {
	stored := map[string]int{}
	for k, fd := range h.stored {
		stored[k] = dup(h.t, fd)
	}
	return Config{Path: h.path, Host: "frood", Stored: stored, Store: func(key string, fd int) { h.stored[key] = dup(h.t, fd) },
		Unit: func(pid int) string {
			if h.unit != nil {
				return h.unit(pid)
			}
			return ""
		},
		Ring: func(name string) *ring.Ring { return h.rings[name] }, Say: func(s string) { h.t.Log(s) }}
}

func (h *house) begin() {
	h.t.Helper()
	var err error
	if h.Server, err = New(h.config()); err != nil {
		h.t.Fatal(err)
	}
}

func dup(t testing.TB, fd int) int {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// wait is the next line of the cursor.
func wait(t testing.TB, r *ring.Ring, c *ring.Cursor) ring.Line {
	t.Helper()
	more := make(chan struct{}, 1)
	defer r.Follow(more)()
	for end := time.After(bound); ; {
		if l, ok := c.Next(); ok {
			return l
		}
		select {
		case <-more:
		case <-end:
			t.Fatal("no line came")
		}
	}
}

func (h *house) dial() *net.UnixConn {
	h.t.Helper()
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: h.path, Net: "unixgram"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	if err := c.SetWriteBuffer(8 << 20); err != nil {
		h.t.Fatal(err)
	}
	return c
}

func TestServer(t *testing.T) {
	h := newHouse(t)
	if st, err := os.Stat(h.path); err != nil || st.Mode().Perm() != 0o666 {
		t.Errorf("%v, %v", st, err)
	}
	c := h.dial()
	say := func(s string) {
		t.Helper()
		if _, err := c.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	cur := h.rings[Name].Oldest()
	say("<38>Oct 11 22:14:15 sshd[42]: Accepted\n")
	l := wait(t, h.rings[Name], cur)
	if l.Text != "sshd[42]: Accepted" || l.Severity != 7 || l.Facility != 4 {
		t.Errorf("%+v", l)
	}
	// What it cannot be hurt by.
	for _, bad := range []string{"", "\x00", "<", strings.Repeat("\n", 4000), strings.Repeat("\x00", 1<<20), "<13>"} {
		say(bad)
	}
	if l = wait(t, h.rings[Name], cur); l.Text != "<" {
		t.Errorf("%+v", l)
	}
	big := "<13>" + strings.Repeat("x", 200<<10)
	say(big)
	l = wait(t, h.rings[Name], cur)
	if want := big[4:4+ring.LineMax-len(cut)] + cut; l.Text != want {
		t.Errorf("%d bytes of a long one: …%q", len(l.Text), l.Text[len(l.Text)-20:])
	}
	say("<13>one\ntwo\x00\xff")
	if l = wait(t, h.rings[Name], cur); l.Text != "one two\x00\xff" {
		t.Errorf("%+v", l)
	}
	// A descriptor that comes along is closed: the pipe ends.
	rd, wr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	f, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Sendmsg(int(f.Fd()), []byte("<13>with a descriptor"), unix.UnixRights(int(wr.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	wr.Close()
	wait(t, h.rings[Name], cur)
	rd.SetReadDeadline(time.Now().Add(bound))
	if n, err := rd.Read(make([]byte, 1)); n != 0 || err == nil || os.IsTimeout(err) {
		t.Errorf("the descriptor is open: %d, %v", n, err)
	}
	if other, err := New(Config{Path: h.path, Ring: h.Server.cfg.Ring}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("somebody else's socket was taken: %v, %v", other, err)
	}
	// A sender that is of a unit.
	asked := 0
	h.unit = func(pid int) string {
		if asked++; pid != os.Getpid() {
			t.Errorf("pid %d", pid)
		}
		return "unit"
	}
	h.Close()
	say("<11>while nobody reads")
	h.begin()
	ucur := h.rings["unit"].Oldest()
	if l = wait(t, h.rings["unit"], ucur); l.Text != "while nobody reads" || l.Severity != 4 {
		t.Errorf("%+v", l)
	}
	// A unit that is forgotten at that moment.
	h.rings["unit"].Close()
	say("<11>late")
	if l = wait(t, h.rings[Name], cur); l.Text != "late" {
		t.Errorf("%+v", l)
	}
	if l, ok := cur.Next(); ok {
		t.Errorf("one more: %+v", l)
	}
}

// TestDeathAnywhere has each state of the memory between two steps taken over:
// what was received is in a ring then, once.
func TestDeathAnywhere(t *testing.T) {
	h := newHouse(t)
	h.Close()
	h.unit = func(pid int) string { return "unit" }
	s, err := open(h.config())
	if err != nil {
		t.Fatal(err)
	}
	h.Server = s
	close(s.done) // nobody runs
	c := h.dial()
	received, deaths := 0, 0
	s.testOnlyStep = func() {
		deaths++
		h.epoch++
		in := &intake{mem: bytes.Clone(s.in.mem)}
		in.control, in.stage = in.mem[controlAt:controlAt+controlSize], in.mem[stageAt:]
		rings := map[string]*ring.Ring{}
		for name, fd := range h.memfds {
			r, err := ring.Open(copyOf(t, fd), h.epoch)
			if err != nil {
				t.Fatal(err)
			}
			rings[name] = r
			defer r.Close()
		}
		next := &Server{cfg: Config{Ring: func(name string) *ring.Ring { return rings[name] }, Unit: func(int) string { return "" }}, in: in}
		for range 2 { // the second finds nothing to do
			next.recover()
			var all []string
			for _, r := range rings {
				for _, l := range r.Lines(1 << 20) {
					all = append(all, l.Text)
				}
			}
			if len(all) != received {
				t.Fatalf("death %d: %d lines of %d", deaths, len(all), received)
			}
		}
	}
	for i := range 30 {
		if _, err := fmt.Fprintf(c, "<13>line %d", i); err != nil {
			t.Fatal(err)
		}
		received++
		s.receive()
	}
	if len(h.rings["unit"].Lines(100)) != 30 {
		t.Error("not all came")
	}
	t.Logf("%d deaths", deaths)
}

// copyOf is a memfd with the same bytes, sealed too.
func copyOf(t testing.TB, fd int) int {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, st.Size)
	if _, err := unix.Pread(fd, b, 0); err != nil {
		t.Fatal(err)
	}
	to, err := unix.MemfdCreate("copy", unix.MFD_ALLOW_SEALING|unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(to) })
	if _, err := unix.Pwrite(to, b, 0); err != nil {
		t.Fatal(err)
	}
	unix.FcntlInt(uintptr(to), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW)
	return to
}

// FuzzDatagram: no bytes hurt, in the intake or in the ring.
func FuzzDatagram(f *testing.F) {
	f.Add([]byte("<13>Oct 11 22:14:15 a[1]: b"), []byte{}, uint64(0))
	f.Add([]byte{0}, []byte{28, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 7}, uint64(1))
	r, fd, err := ring.Create("fuzz", 1<<17, 1)
	if err != nil {
		f.Fatal(err)
	}
	unix.Close(fd)
	in, fd, err := newIntake()
	if err != nil {
		f.Fatal(err)
	}
	unix.Close(fd)
	f.Fuzz(func(t *testing.T, b, head []byte, plan uint64) {
		clear(in.mem)
		copy(in.mem[offPlan:], head)
		in.word(offPlan).Store(plan)
		copy(in.stage, b)
		s := &Server{cfg: Config{Ring: func(string) *ring.Ring { return r }, Say: func(string) {}}, in: in}
		s.recover()
		if in.held() != 0 {
			t.Error("the datagram is still there")
		}
		for _, l := range r.Lines(1) {
			if strings.Contains(l.Text, "\n") || l.Severity < 1 || l.Severity > 8 {
				t.Errorf("%+v", l)
			}
		}
	})
}
