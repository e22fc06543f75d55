package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
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
		a := &app{out: os.Stdout, err: os.Stderr, power: paper{}, socket: os.Getenv("TEST_SOCKET"),
			manifest: os.Getenv("TEST_MANIFEST"), from: os.Getenv("TEST_FROM"), look: lookOf(os.Stdout, "", "xterm")}
		os.Exit(a.main(os.Args))
	}
	testscript.Main(m, map[string]func(){"svc": run, "reboot": run, "poweroff": run, "halt": run, "shutdown": run})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("TEST_SOCKET", filepath.Join(e.WorkDir, "control.sock"))
			e.Setenv("TEST_MANIFEST", filepath.Join(e.WorkDir, "manifest"))
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
}

func (b *backend) Status(_ context.Context, names []string) (*control.Machine, []unit.Report, error) {
	if len(names) == 0 {
		return &b.Machine, b.Units, nil
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
	return &b.Machine, found, err
}

func (b *backend) Command(ctx context.Context, c control.Command) ([]unit.Report, error) {
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

func (b *backend) Logs(_ context.Context, name string, n int, follow bool, emit func([]control.Line) error) error {
	lines := b.Lines
	if n >= 0 {
		lines = lines[max(0, len(lines)-n):]
	}
	if follow { // everything again, as a supervisor that came anew
		if err := emit(lines); err != nil {
			return err
		}
	}
	return emit(lines)
}

func (b *backend) Reload(context.Context, string) ([]string, error) {
	if b.Hang {
		return nil, &control.Error{Code: control.CodeRefused, Text: "/etc/svc/a.toml:1: unknown key \"x\"\n/etc/svc/b.toml:2: unknown key \"y\""}
	}
	return []string{"sshd: changed; its pid stays until it is restarted"}, nil
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
	go func() { done <- a.logs([]string{"-f", "sshd"}) }()
	<-first.read
	end()
	end = begin(&dying{after: 5})
	defer end()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(comeBack):
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

func (d *dying) Logs(ctx context.Context, name string, n int, follow bool, emit func([]control.Line) error) error {
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
