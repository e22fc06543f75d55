package control

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// A thousand clients that say nothing do not keep others out.
func TestIdleClients(t *testing.T) {
	f := &fake{units: []unit.Report{{Name: "a"}}}
	path := listening(t, f, limits{})
	for range 1000 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	if _, err := ask(t, path, Request{Op: Status}); err != nil {
		t.Error(err)
	}
}

// Clients of others that are busy give way to a new one.
func TestVictim(t *testing.T) {
	s := &server{conns: map[*conn]bool{}}
	add := func(seq uint64, uid uint32, busy bool) {
		s.conns[&conn{seq: seq, peer: Peer{UID: uid}, busy: busy}] = true
	}
	add(1, 0, true)
	if v := s.victim(); v != nil {
		t.Errorf("root's request: %+v", v)
	}
	add(2, 4294967294, true)
	add(3, 4294967294, true)
	if v := s.victim(); v == nil || v.seq != 2 {
		t.Errorf("%+v", v)
	}
	add(4, 0, false)
	add(5, 4294967294, false)
	if v := s.victim(); v == nil || v.seq != 4 {
		t.Errorf("%+v", v)
	}
}

func TestFull(t *testing.T) {
	f := &fake{units: []unit.Report{{Name: "a"}}, waiting: make(chan string, 9)}
	path := listening(t, f, limits{1, bound, bound, bound})
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go c.Ask(t.Context(), Request{Op: Start, Names: []string{"a"}})
	expect(t, f.waiting, "begun")
	if _, err := ask(t, path, Request{Op: Status}); !errors.Is(err, &Error{Code: CodeBusy}) {
		t.Error(err)
	}
}

// Half a request is closed after its time; nothing hangs on it.
func TestHalfRequest(t *testing.T) {
	path := listening(t, &fake{units: []unit.Report{{Name: "a"}}}, limits{ConnMax, 20 * time.Millisecond, bound, bound})
	for _, half := range []string{"", "\x10", "\x10\x00\x00\x00", "\x10\x00\x00\x00{\"versi", "\x00\x00\x00\x00", "\xff\xff\xff\xff", "GET / HTTP/1.1\r\n"} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(bound))
		io.WriteString(conn, half)
		if _, err := io.ReadAll(conn); errorKind(err) == "timeout" {
			t.Errorf("%q stays open", half)
		}
	}
}

// A request that trickles in gains no time by that.
func TestTrickle(t *testing.T) {
	path := listening(t, &fake{}, limits{ConnMax, 50 * time.Millisecond, bound, bound})
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = conn.Write([]byte{0, 0xf0, 0, 0}) // 61,440 bytes follow
	for end := time.Now().Add(bound); err == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		_, err = conn.Write([]byte{' '})
	}
	if err == nil {
		t.Error("it stays open")
	}
}

// Who is not root has little room for a request.
func TestStrangersRequest(t *testing.T) {
	large, _ := appendFrame(nil, &Request{Version: Version, Op: Status, Names: []string{strings.Repeat("x", StrangerMax)}})
	for uid, want := range map[uint32]string{uint32(os.Getuid()): `"code":"unknown"`, nobody: `"code":"request"`} {
		us, them := pair(t)
		s := newServer(&fake{}, limits{ConnMax, bound, bound, bound})
		go func() {
			defer them.Close()
			s.serve(t.Context(), &conn{net: them, peer: Peer{UID: uid}})
		}()
		us.Write(large)
		if got, err := io.ReadAll(us); errorKind(err) == "timeout" || !strings.Contains(string(got), want) {
			t.Errorf("uid %d: %v %q", uid, err, got)
		}
		s.serving.Wait()
	}
}

// A few strangers are answered at a time; root and waits are held up by none.
func TestStrangersTurn(t *testing.T) {
	s := newServer(&fake{units: []unit.Report{{Name: "a"}}}, limits{ConnMax, bound, bound, 20 * time.Millisecond})
	for range Strangers {
		s.strangers <- struct{}{}
	}
	for _, tt := range []struct {
		uid  uint32
		op   Op
		want string
	}{
		{nobody, Status, `"code":"busy"`}, {nobody, Wait, `"name":"a"`}, {uint32(os.Getuid()), Status, `"name":"a"`},
	} {
		us, them := pair(t)
		frame, _ := appendFrame(nil, &Request{Version: Version, Op: tt.op, Names: []string{"a"}})
		go func() {
			defer them.Close()
			s.serve(t.Context(), &conn{net: them, peer: Peer{UID: tt.uid}})
		}()
		us.Write(frame)
		if got, err := io.ReadAll(us); err != nil || !strings.Contains(string(got), tt.want) {
			t.Errorf("%s of uid %d: %v %q", tt.op, tt.uid, err, got)
		}
		s.serving.Wait()
	}
	if len(s.strangers) != Strangers {
		t.Errorf("%d turns taken, want %d", len(s.strangers), Strangers)
	}
}

const nobody = 65534

// pair is a connected pair of sockets as the server has them, with a bound.
func pair(t *testing.T) (us, them *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		err = errors.Join(unix.SetNonblock(fds[0], true), unix.SetNonblock(fds[1], true))
	}
	if err != nil {
		t.Fatal(err)
	}
	us, them = os.NewFile(uintptr(fds[0]), "us"), os.NewFile(uintptr(fds[1]), "them")
	t.Cleanup(func() { us.Close(); them.Close() })
	us.SetDeadline(time.Now().Add(bound))
	return us, them
}

// A client that does not read its log is dropped, and keeps nobody else waiting.
func TestSlowReader(t *testing.T) {
	f := &fake{units: []unit.Report{{Name: "a"}}}
	path := listening(t, f, limits{ConnMax, bound, 20 * time.Millisecond, bound})
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	frame, _ := appendFrame(nil, &Request{Version: Version, Op: Logs, Names: []string{"a"}, Follow: true})
	conn.Write(frame)
	end, answers := time.Now().Add(bound), 0
	for {
		f.mu.Lock()
		asked := strings.Join(f.asked, " ")
		f.mu.Unlock()
		if asked == "logs: timeout" {
			break
		}
		if asked != "" || time.Now().After(end) {
			t.Fatalf("asked %q", asked)
		}
		// On a busy machine the bound is over before the server has written.
		if _, err := ask(t, path, Request{Op: Status}); err == nil {
			answers++
		}
	}
	if answers == 0 {
		t.Error("nobody else was answered")
	}
}
