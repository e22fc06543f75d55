package control

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

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

// A client that does not read its log is dropped.
func TestSlowReader(t *testing.T) {
	f := &fake{units: []unit.Report{{Name: "a"}}}
	path := listening(t, f, limits{ConnMax, bound, 20 * time.Millisecond, bound})
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	frame, _ := appendFrame(nil, &Request{Version: 1, Op: Logs, Names: []string{"a"}, Follow: true})
	conn.Write(frame)
	end := time.Now().Add(bound)
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
		if _, err := ask(t, path, Request{Op: Status}); err != nil {
			t.Fatal(err)
		}
	}
}
