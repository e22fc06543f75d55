package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"hoopy/control"
	"hoopy/unit"
)

// paper is a power that writes down what would have happened.
type paper struct{}

func (paper) Signal(how unit.How) error {
	if os.Getenv("TEST_NO_PERMISSION") != "" {
		return os.ErrPermission
	}
	fmt.Println("signal to PID 1:", how)
	return nil
}
func (paper) Sync()                  { fmt.Println("sync") }
func (paper) Now(how unit.How) error { fmt.Println("reboot(2):", how); return nil }

func TestMain(m *testing.M) {
	run := func() {
		holdDescriptors()
		a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, power: paper{}, socket: os.Getenv("TEST_SOCKET"),
			manifest: os.Getenv("TEST_MANIFEST"), lastEndPath: os.Getenv("TEST_LAST_END"), from: os.Getenv("TEST_FROM"), look: lookOf(os.Stdout, "", "xterm")}
		a.launcher, _ = program("init")
		if width, err := strconv.Atoi(os.Getenv("TEST_WIDTH")); err == nil { // a terminal, as far as anybody can tell
			a.look = look{terminal: true, width: width}
		}
		os.Exit(a.main(os.Args))
	}
	testscript.Main(m, map[string]func(){"init": launcher, "svc": run, "reboot": run, "poweroff": run, "halt": run, "shutdown": run})
}

// realLauncher is that of init, where there is one.
var realLauncher func() int

// launcher stands for /init: it says as what it was called, and what it was given.
func launcher() {
	if realLauncher != nil && os.Getenv("TEST_REAL_LAUNCHER") != "" {
		os.Exit(realLauncher())
	}
	spec, err := os.ReadFile("/proc/self/fd/3")
	fmt.Println(os.Args[1:], string(spec), err)
	os.Exit(3)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("TEST_SOCKET", filepath.Join(e.WorkDir, "control.sock"))
			e.Setenv("TEST_MANIFEST", filepath.Join(e.WorkDir, "manifest"))
			e.Setenv("TEST_LAST_END", filepath.Join(e.WorkDir, "last-end"))
			e.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve": serve, "silent": silent, "exits": exits,
		},
	})
}

// serve FILE: from now on there is an init whose state is in FILE.
func serve(ts *testscript.TestScript, _ bool, args []string) {
	var b backend
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &b))
	if b.Asked != "" {
		b.Asked = ts.MkAbs(b.Asked)
	}
	b.Launch.Cgroup = ts.MkAbs(b.Launch.Cgroup)
	l, err := control.Listen(ts.Getenv("TEST_SOCKET"))
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- control.Serve(ctx, l, &b) }()
	ts.Defer(func() {
		cancel()
		ts.Check(<-ended)
	})
}

// silent: there is a socket, and nobody answers.
func silent(ts *testscript.TestScript, _ bool, _ []string) {
	l, err := net.Listen("unix", ts.Getenv("TEST_SOCKET"))
	ts.Check(err)
	ts.Defer(func() { l.Close() })
}

// exits CODE COMMAND…: the command ends with that code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// backend is an init out of a file.
type backend struct {
	Machine control.Machine
	Units   []unit.Report
	Lines   []control.Line
	After   map[string]unit.State // what a start makes of a unit; otherwise ready
	Needed  map[string]string     // who needs it
	Hang    bool                  // Command never settles
	Changes []unit.Change         // of a reload
	Mistake string                // of a reload
	Nodes   []unit.Node
	Spans   []unit.Span
	Reasons []unit.Reason
	Launch  control.Launch
	Asked   string // a file that takes what was asked
	Exit    unit.Status

	mu sync.Mutex
}

// ask writes down what was asked.
func (b *backend) ask(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Asked == "" {
		return
	}
	f, err := os.OpenFile(b.Asked, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(f, format+"\n", args...)
	f.Close()
}

func (b *backend) Status(_ context.Context, names []string) (*control.Machine, []unit.Report, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	machine := b.Machine
	if len(names) == 0 {
		return &machine, slices.Clone(b.Units), nil
	}
	var found []unit.Report
	var err error
	for _, n := range names {
		known := false
		for _, u := range b.Units {
			if u.Name == n {
				found, known = append(found, u), true
			}
		}
		if !known {
			err = &control.Error{Code: control.CodeUnknown, Text: fmt.Sprintf("no unit is called %q", n)}
		}
	}
	return &machine, found, err
}

func (b *backend) Command(ctx context.Context, c control.Command) ([]unit.Report, error) {
	b.ask("%s %s %d", c.Op, strings.Join(c.Names, " "), c.Signal)
	_, units, err := b.Status(ctx, c.Names)
	if err != nil {
		return nil, err
	}
	if b.Hang {
		<-ctx.Done()
		return units, ctx.Err()
	}
	for i := range units {
		u := &units[i]
		if by := b.Needed[u.Name]; by != "" && c.Op == control.Stop && !c.Force {
			return nil, &control.Error{Code: control.CodeRefused, Text: fmt.Sprintf("%s needs %s; svc stop --force stops both", by, u.Name)}
		}
		if c.Op == control.Signal || c.Op == control.Reset {
			continue
		}
		u.State = b.After[u.Name]
		switch {
		case c.Op == control.Stop:
			u.State = unit.Inactive
		case u.State == unit.Inactive:
			u.State, u.Pid = unit.Ready, 4711
		}
	}
	return units, nil
}

func (b *backend) Logs(_ context.Context, q control.LogQuery, emit func([]control.Line) error) error {
	b.ask("logs %s all=%v kernel=%v n=%d since=%v follow=%v", strings.Join(q.Names, " "), q.All, q.Kernel, q.N, time.Duration(q.Since).Round(time.Minute), q.Follow)
	var lines []control.Line
	for _, l := range b.Lines {
		if q.All || slices.Contains(q.Names, l.Unit) || l.Unit == "" && q.Kernel {
			lines = append(lines, l)
		}
	}
	for _, n := range q.Names {
		if !slices.ContainsFunc(b.Lines, func(l control.Line) bool { return l.Unit == n }) {
			return &control.Error{Code: control.CodeUnknown, Text: fmt.Sprintf("no unit is called %q", n)}
		}
	}
	if q.N >= 0 {
		lines = lines[max(0, len(lines)-q.N):]
	}
	if q.Follow { // everything again, as a supervisor that came anew
		if err := emit(lines); err != nil {
			return err
		}
	}
	return emit(lines)
}

func (b *backend) Reload(_ context.Context, dry bool, who string) ([]unit.Change, error) {
	b.ask("reload dry=%v", dry)
	if b.Mistake != "" {
		return nil, &control.Error{Code: control.CodeRefused, Text: b.Mistake}
	}
	if !dry {
		b.mu.Lock()
		b.Machine.Epoch++
		b.mu.Unlock()
	}
	return b.Changes, nil
}

func (b *backend) Run(_ context.Context, name, text, who string) ([]unit.Report, error) {
	b.ask("run %s\n%s", name, text)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.Units {
		if u.Name == name {
			return nil, &control.Error{Code: control.CodeExists, Text: fmt.Sprintf("there is a unit %q", name)}
		}
	}
	u := unit.Report{Name: name, Kind: unit.Task, State: unit.Starting, Exit: b.Exit}
	if strings.Contains(text, "/no/such") {
		u.State, u.Why = unit.Failed, "exec \"/no/such\": no such file or directory"
	}
	b.Units = append(b.Units, u)
	b.Lines = append(b.Lines, control.Line{Seq: 1, Unit: name, Text: "hello"})
	return []unit.Report{u}, nil
}

func (b *backend) Exec(_ context.Context, name string, argv []string, who string) (*control.Launch, error) {
	b.ask("exec %s %q", name, argv)
	return &b.Launch, nil
}

func (b *backend) Unlock(_ context.Context, dataset string, secret []byte, who string) (string, error) {
	b.ask("unlock %s %q", dataset, secret)
	if string(secret) != "right" {
		return "", &control.Error{Code: control.CodeRefused, Text: "the key of " + dataset + " is another"}
	}
	return dataset + " is unlocked and mounted", nil
}

func (b *backend) Graph(context.Context) ([]unit.Node, error) { return b.Nodes, nil }
func (b *backend) Blame(context.Context) ([]unit.Span, error) { return b.Spans, nil }

func (b *backend) Why(_ context.Context, name string) ([]unit.Reason, error) {
	if _, _, err := b.Status(context.Background(), []string{name}); err != nil {
		return nil, err
	}
	return b.Reasons, nil
}

func (b *backend) End(_ context.Context, how unit.How, who string) error {
	if b.Machine.Ending != "" {
		return &control.Error{Code: control.CodeRefused, Text: "the machine is ending already: " + b.Machine.Ending}
	}
	b.Machine.Ending = how.String() + ": asked by " + strings.Replace(who, fmt.Sprint("uid ", os.Getuid()), "root", 1)
	return nil
}

func (b *backend) Note(string) {}

// logs -f goes on where it was when a new supervisor answers.
func TestFollowAcrossDeath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var out strings.Builder
	a := &app{out: &out, err: os.Stderr, socket: path, power: paper{}, via: "svc logs"}
	begin := func(b control.Backend) (end func()) {
		l, err := control.Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- control.Serve(ctx, l, b) }()
		return func() { cancel(); <-ended }
	}
	first := &dying{after: 3, read: make(chan struct{})}
	end := begin(first)
	done := make(chan error, 1)
	go func() { done <- a.call(find("logs"), []string{"-f", "sshd"}) }()
	<-first.read
	end()
	end = begin(&dying{after: 5})
	defer end()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(bound):
		t.Fatal("logs -f does not come back")
	}
	var got []string
	for l := range strings.Lines(out.String()) {
		got = append(got, strings.Fields(l)[2])
	}
	if strings.Join(got, " ") != "1 2 3 4 5" {
		t.Errorf("lines %v", got)
	}
}

// status asks again when the supervisor dies over it.
func TestStatusAcrossDeath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	go func() { // the first takes the connection and dies, the second answers
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conn.Close()
		control.Serve(t.Context(), l, &backend{Machine: control.Machine{Hostname: "frood"}})
	}()
	var out strings.Builder
	a := &app{out: &out, err: os.Stderr, socket: path, power: paper{}}
	if code := a.main([]string{"svc", "status"}); code != exitFine || !strings.HasPrefix(out.String(), "frood  up") {
		t.Errorf("exit %d: %q", code, out.String())
	}
}

// dying emits lines 1 to after; then it ends well, or, if read is not nil,
// closes read and dies.
type dying struct {
	backend
	after uint64
	read  chan struct{}
}

func (d *dying) Logs(ctx context.Context, _ control.LogQuery, emit func([]control.Line) error) error {
	for i := range d.after {
		if err := emit([]control.Line{{Seq: i + 1, Text: fmt.Sprint(i + 1)}}); err != nil {
			return err
		}
	}
	if d.read != nil {
		close(d.read)
		<-ctx.Done()
		panic(errors.New("the supervisor is dead"))
	}
	return nil
}
