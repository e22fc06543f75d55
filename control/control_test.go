package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hoopy/unit"
)

const bound = time.Minute // for anything that is expected to happen

// fake is a Backend of fixed answers.
type fake struct {
	mu      sync.Mutex
	notes   []string
	asked   []string
	units   []unit.Report
	waiting chan string // Command blocks after it sent here, if not nil
}

func (f *fake) ask(s string) {
	f.mu.Lock()
	f.asked = append(f.asked, s)
	f.mu.Unlock()
}

func (f *fake) Note(s string) {
	f.mu.Lock()
	f.notes = append(f.notes, s)
	f.mu.Unlock()
}

func (f *fake) Status(_ context.Context, names []string) (*Machine, []unit.Report, error) {
	m := &Machine{Hostname: "frood", Uptime: 5e9, Version: "0.1.0", Epoch: 1}
	if len(names) == 0 {
		return m, f.units, nil
	}
	switch names[0] {
	case "panic":
		panic("oh dear")
	case "a":
		return m, f.units[:1], nil
	}
	return m, nil, &Error{CodeUnknown, fmt.Sprintf("no unit is called %q", names[0])}
}

func (f *fake) Command(ctx context.Context, c Command) ([]unit.Report, error) {
	f.ask(fmt.Sprintf("%s %s force=%v", c.Op, strings.Join(c.Names, " "), c.Force))
	if f.waiting != nil {
		f.waiting <- "begun"
		<-ctx.Done()
		f.waiting <- ctx.Err().Error()
		return f.units, ctx.Err()
	}
	return f.units[:1], nil
}

func (f *fake) Logs(ctx context.Context, q LogQuery, emit func([]Line) error) error {
	name := strings.Join(q.Names, "+")
	if err := emit([]Line{{Seq: 1, Unit: name, Text: fmt.Sprintf("n=%d all=%v kernel=%v since=%d", q.N, q.All, q.Kernel, q.Since)}}); err != nil {
		return err
	}
	for i := uint64(2); q.Follow; i++ {
		if err := emit([]Line{{Seq: i, Unit: name, Text: strings.Repeat("x", 4096)}}); err != nil {
			f.ask("logs: " + errorKind(err))
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func errorKind(err error) string {
	var t net.Error
	if errors.As(err, &t) && t.Timeout() {
		return "timeout"
	}
	return "gone"
}

func (f *fake) Reload(_ context.Context, dry bool, who string) ([]unit.Change, error) {
	f.ask(fmt.Sprintf("reload dry=%v", dry))
	return []unit.Change{{Name: "sshd", Op: unit.Changed, Keys: []string{"command"}, Restart: true}}, nil
}

func (f *fake) Run(_ context.Context, name, text, who string) ([]unit.Report, error) {
	f.ask("run " + name + ": " + text)
	return f.units[:1], nil
}

func (f *fake) Exec(_ context.Context, name string, argv []string, who string) (*Launch, error) {
	f.ask("exec " + name + ": " + strings.Join(argv, " "))
	return &Launch{Spec: []byte{0, 1, 255}, Cgroup: "/sys/fs/cgroup/svc/a/1"}, nil
}

func (f *fake) Unlock(_ context.Context, dataset string, secret []byte, who string) (string, error) {
	f.ask("unlock " + dataset + ": " + string(secret))
	return dataset + " is mounted", nil
}

func (f *fake) Graph(context.Context) ([]unit.Node, error) {
	return []unit.Node{{Name: "a", Needs: []string{"b"}}, {Name: "b"}}, nil
}

func (f *fake) Blame(context.Context) ([]unit.Span, error) {
	return []unit.Span{{Name: "a", Began: 1, Ready: 2, After: "b"}}, nil
}

func (f *fake) Why(_ context.Context, name string) ([]unit.Reason, error) {
	return []unit.Reason{{Name: name, State: unit.Waiting, Text: "waits for b"}}, nil
}

func (f *fake) End(_ context.Context, how unit.How, who string) error {
	f.ask(how.String() + " by " + who)
	return nil
}

// listening starts a server with l (zero: those of the protocol) and returns
// its socket.
func listening(t *testing.T, b Backend, l limits) string {
	t.Helper()
	if l == (limits{}) {
		l = limits{ConnMax, RequestTimeout, WriteTimeout, StatusTimeout}
	}
	path := filepath.Join(t.TempDir(), "s")
	listener, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := newServer(b, l)
	go func() { ended <- s.run(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(bound):
			t.Error("the server does not end")
		}
	})
	return path
}

func ask(t *testing.T, path string, r Request) (Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	c, err := Dial(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	return c.Ask(ctx, r)
}

func TestRequests(t *testing.T) {
	f := &fake{units: []unit.Report{{Name: "a", State: unit.Ready, Kind: unit.Task}, {Name: "b", State: unit.BackOff}}}
	path := listening(t, f, limits{})
	machine := &Machine{Hostname: "frood", Uptime: 5e9, Version: "0.1.0", Epoch: 1}
	none := []unit.Report{}
	for _, tt := range []struct {
		name string
		r    Request
		want Response
		code Code
	}{
		{"status", Request{Op: Status}, Response{Machine: machine, Units: f.units}, ""},
		{"status of one", Request{Op: Status, Names: []string{"a"}}, Response{Machine: machine, Units: f.units[:1]}, ""},
		{"status of none", Request{Op: Status, Names: []string{"x"}}, Response{Machine: machine, Units: none}, CodeUnknown},
		{"version", Request{Op: Ping}, Response{Machine: machine, Units: none}, ""},
		{"start", Request{Op: Start, Names: []string{"a"}}, Response{Units: f.units[:1]}, ""},
		{"start of none", Request{Op: Start}, Response{Units: none}, CodeRequest},
		{"logs", Request{Op: Logs, Names: []string{"a"}, N: 5}, Response{Units: none, Lines: []Line{{Seq: 1, Unit: "a", Text: "n=5 all=false kernel=false since=0"}}}, ""},
		{"logs of two", Request{Op: Logs, Names: []string{"a", "b"}, N: -1, Since: 7}, Response{Units: none, Lines: []Line{{Seq: 1, Unit: "a+b", Text: "n=-1 all=false kernel=false since=7"}}}, ""},
		{"logs of all", Request{Op: Logs, All: true, Kernel: true}, Response{Units: none, Lines: []Line{{Seq: 1, Text: "n=0 all=true kernel=true since=0"}}}, ""},
		{"logs of none", Request{Op: Logs}, Response{Units: none}, CodeRequest},
		{"logs of the future", Request{Op: Logs, All: true, Since: -1}, Response{Units: none}, CodeRequest},
		{"reload", Request{Op: Reload, Dry: true}, Response{Units: none, Changes: []unit.Change{{Name: "sshd", Op: unit.Changed, Keys: []string{"command"}, Restart: true}}}, ""},
		{"reload of one", Request{Op: ReloadUnits, Names: []string{"a"}}, Response{Units: f.units[:1]}, ""},
		{"reload of none", Request{Op: ReloadUnits}, Response{Units: none}, CodeRequest},
		{"reset", Request{Op: Reset, Names: []string{"a"}}, Response{Units: f.units[:1]}, ""},
		{"wait", Request{Op: Wait, Names: []string{"a"}}, Response{Units: f.units[:1]}, ""},
		{"signal", Request{Op: Signal, Names: []string{"a"}, Signal: 64}, Response{Units: f.units[:1]}, ""},
		{"signal 0", Request{Op: Signal, Names: []string{"a"}}, Response{Units: none}, CodeRequest},
		{"signal 65", Request{Op: Signal, Names: []string{"a"}, Signal: 65}, Response{Units: none}, CodeRequest},
		{"run", Request{Op: Run, Names: []string{"run-1"}, Unit: "command = []"}, Response{Units: f.units[:1]}, ""},
		{"run nothing", Request{Op: Run, Names: []string{"run-1"}}, Response{Units: none}, CodeRequest},
		{"run elsewhere", Request{Op: Run, Names: []string{"../a"}, Unit: "x"}, Response{Units: none}, CodeRequest},
		{"exec", Request{Op: Exec, Names: []string{"a"}, Command: []string{"ls", "-l"}}, Response{Units: none, Exec: &Launch{Spec: []byte{0, 1, 255}, Cgroup: "/sys/fs/cgroup/svc/a/1"}}, ""},
		{"exec nothing", Request{Op: Exec, Names: []string{"a"}}, Response{Units: none}, CodeRequest},
		{"exec zero", Request{Op: Exec, Names: []string{"a"}, Command: []string{"ls", "\x00"}}, Response{Units: none}, CodeRequest},
		{"unlock", Request{Op: Unlock, Names: []string{"tank/a"}, Secret: []byte("s")}, Response{Units: none, Text: "tank/a is mounted"}, ""},
		{"unlock nothing", Request{Op: Unlock}, Response{Units: none}, CodeRequest},
		{"graph", Request{Op: Graph}, Response{Units: none, Nodes: []unit.Node{{Name: "a", Needs: []string{"b"}}, {Name: "b"}}}, ""},
		{"blame", Request{Op: Blame}, Response{Units: none, Spans: []unit.Span{{Name: "a", Began: 1, Ready: 2, After: "b"}}}, ""},
		{"why", Request{Op: Why, Names: []string{"a"}}, Response{Units: none, Reasons: []unit.Reason{{Name: "a", State: unit.Waiting, Text: "waits for b"}}}, ""},
		{"why two", Request{Op: Why, Names: []string{"a", "b"}}, Response{Units: none}, CodeRequest},
		{"end", Request{Op: End, How: "reboot", From: "192.168.1.20", Via: "svc reboot"}, Response{Units: none}, ""},
		{"end somehow", Request{Op: End, How: "bang"}, Response{Units: none}, CodeRequest},
		{"nonsense", Request{Op: "dance"}, Response{Units: none}, CodeRequest},
		{"panic", Request{Op: Status, Names: []string{"panic"}}, Response{Units: none}, CodeInternal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ask(t, path, tt.r)
			if !errors.Is(err, &Error{Code: tt.code}) && (tt.code != "" || err != nil) {
				t.Errorf("error %v, want %s", err, tt.code)
			}
			got.Error, got.Version = nil, 0
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	last := f.asked[len(f.asked)-1]
	if !strings.HasPrefix(last, "reboot by ") || !strings.HasSuffix(last, " from 192.168.1.20 (svc reboot)") {
		t.Errorf("asked: %q", last)
	}
	if len(f.notes) != 1 || !strings.Contains(f.notes[0], "oh dear") {
		t.Errorf("notes %q", f.notes)
	}
}

// ops are all there are.
var ops = []Op{Status, Ping, Start, Stop, Restart, Logs, Reload, End, ReloadUnits, Reset, Signal, Wait, Run, Exec, Unlock, Graph, Blame, Why}

func TestCheck(t *testing.T) {
	stranger := Peer{UID: 4294967294}
	for _, op := range ops {
		root, known := rootOnly[op]
		if !known {
			t.Errorf("%s: nobody said who may", op)
		}
		r := &Request{Version: Version, Op: op, Names: []string{"a"}, How: "halt", Signal: 1, Unit: "x", Command: []string{"x"}}
		if e := check(Peer{UID: 0}, r); e != nil {
			t.Errorf("%s by root: %v", op, e)
		}
		e := check(stranger, r)
		if denied := e != nil && e.Code == CodeDenied; denied != root {
			t.Errorf("%s by a stranger: %v", op, e)
		}
	}
	if e := check(Peer{}, &Request{Version: 1, Op: Status}); e == nil || e.Code != CodeVersion {
		t.Error(e)
	}
	if e := check(Peer{}, &Request{Version: Version, Op: Status, Names: make([]string, NamesMax+1)}); e == nil || e.Code != CodeRequest {
		t.Error(e)
	}
}

func TestWho(t *testing.T) {
	for _, tt := range []struct {
		p    Peer
		r    Request
		want string
	}{
		{Peer{7, 0}, Request{From: "192.168.1.20", Via: "svc poweroff"}, "root from 192.168.1.20 (svc poweroff)"},
		{Peer{7, 0}, Request{From: "fe80::1", Via: "reboot"}, "root from fe80::1 (reboot)"},
		{Peer{7, 0}, Request{}, "root (pid 7)"},
		{Peer{7, 1000}, Request{From: "evil\x1b[2J", Via: "a\nb"}, "uid 1000 (pid 7)"},
		{Peer{7, 0}, Request{From: "fe80::1%\x1b[2J", Via: strings.Repeat("x", 65)}, "root (pid 7)"},
	} {
		if got := who(tt.p, &tt.r); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestListenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for range 2 {
		l, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
}

// What svc status costs with 1,000 units, connection included.
func BenchmarkStatus1000(b *testing.B) {
	f := &fake{}
	for i := range 1000 {
		f.units = append(f.units, unit.Report{Name: fmt.Sprintf("unit%04d", i), State: unit.Ready, Since: 1e9, Pid: 1000 + i, Memory: 1 << 20, Note: "listening on 22"})
	}
	path := filepath.Join(b.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, f) }()
	for b.Loop() {
		c, err := Dial(ctx, path)
		if err != nil {
			b.Fatal(err)
		}
		if out, err := c.Ask(ctx, Request{Op: Status}); err != nil || len(out.Units) != 1000 {
			b.Fatal(err)
		}
	}
	cancel()
	<-ended
}
