//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Event is an event of qemu: SHUTDOWN, RESET, POWERDOWN, WATCHDOG,
// DEVICE_DELETED...
type Event struct {
	Name string          `json:"event"`
	Data json.RawMessage `json:"data"`
}

// qmp is a connection to qemu's machine protocol. One goroutine reads; it ends
// with the connection.
//
// Source: qemu, docs/interop/qmp-spec.txt.
type qmp struct {
	conn    net.Conn
	answers chan answer
	done    chan struct{} // closed when qemu closed the connection

	mu      sync.Mutex
	events  []Event
	taken   map[string]int // how many events of a name VM.Event returned
	changed chan struct{}
}

type answer struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class, Desc string
	} `json:"error"`
}

// acceptQMP takes qemu's connection and leaves the negotiation mode.
func acceptQMP(l net.Listener) (*qmp, error) {
	l.(*net.UnixListener).SetDeadline(time.Now().Add(Patience))
	conn, err := l.Accept()
	if err != nil {
		return nil, err
	}
	q := &qmp{conn: conn, answers: make(chan answer, 1), done: make(chan struct{}),
		taken: map[string]int{}, changed: make(chan struct{})}
	go q.readAll()
	if _, err := q.do("qmp_capabilities", nil); err != nil {
		conn.Close()
		return nil, err
	}
	return q, nil
}

func (q *qmp) readAll() {
	defer close(q.done)
	d := json.NewDecoder(q.conn)
	for {
		var m struct {
			Event
			answer
			Greeting json.RawMessage `json:"QMP"`
		}
		if d.Decode(&m) != nil {
			return
		}
		switch {
		case m.Greeting != nil:
		case m.Name != "":
			q.mu.Lock()
			q.events = append(q.events, m.Event)
			close(q.changed)
			q.changed = make(chan struct{})
			q.mu.Unlock()
		default:
			q.answers <- m.answer
		}
	}
}

// do sends one command and waits for its answer; commands do not overlap.
func (q *qmp) do(command string, args any) (json.RawMessage, error) {
	request := map[string]any{"execute": command}
	if args != nil {
		request["arguments"] = args
	}
	b, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	if _, err := q.conn.Write(b); err != nil {
		return nil, err
	}
	select {
	case a := <-q.answers:
		if a.Error != nil {
			return nil, fmt.Errorf("%s: %s", command, a.Error.Desc)
		}
		return a.Return, nil
	case <-q.done:
		return nil, fmt.Errorf("%s: qemu has ended", command)
	case <-time.After(Patience):
		return nil, fmt.Errorf("%s: %w", command, errNoAnswer)
	}
}

var errNoAnswer = errors.New("no answer")

func (q *qmp) shutdownReason() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.events {
		var data struct{ Reason string }
		if e.Name == "SHUTDOWN" && json.Unmarshal(e.Data, &data) == nil {
			return data.Reason
		}
	}
	return ""
}

// take returns the next event of a name that was not returned before.
func (q *qmp) take(name string) (*Event, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for i, e := range q.events {
		if e.Name != name {
			continue
		}
		if n++; n > q.taken[name] {
			q.taken[name] = n
			return &q.events[i], nil
		}
	}
	return nil, q.changed
}

// QMP executes a command of qemu: "set_link" with {"name": "nic-n0", "up":
// false}, "device_add", "device_del", "query-status"...
func (v *VM) QMP(command string, args any) json.RawMessage {
	v.t.Helper()
	out, err := v.qmp.do(command, args)
	if err != nil {
		v.Fatalf("qmp: %v", err)
	}
	return out
}

// PowerButton presses the ACPI power button.
func (v *VM) PowerButton() {
	v.t.Helper()
	v.QMP("system_powerdown", nil)
}

// Event waits for the next event of a name. Every event is returned once.
func (v *VM) Event(name string, bound time.Duration) Event {
	v.t.Helper()
	late := time.NewTimer(max(bound, Patience))
	defer late.Stop()
	for {
		e, changed := v.qmp.take(name)
		if e != nil {
			return *e
		}
		select {
		case <-changed:
		case <-v.qmp.done:
			if e, _ := v.qmp.take(name); e != nil {
				return *e
			}
			v.Fatalf("qemu ended without the event %s", name)
		case <-late.C:
			v.Fatalf("no event %s", name)
		}
	}
}
