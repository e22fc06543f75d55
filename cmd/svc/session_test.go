package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"hoopy/control"
	"hoopy/unit"
)

const bound = time.Minute // for anything that is expected to happen

// slow is an init where nothing settles and logs never end.
type slow struct {
	backend
	begun, ended chan string
}

func (s *slow) Command(ctx context.Context, c control.Command) ([]unit.Report, error) {
	s.begun <- string(c.Op) + " by " + c.Names[0]
	<-ctx.Done()
	s.ended <- string(c.Op)
	return nil, ctx.Err()
}

func (s *slow) Logs(ctx context.Context, q control.LogQuery, emit func([]control.Line) error) error {
	for i := uint64(1); ctx.Err() == nil; i++ {
		if err := emit([]control.Line{{Seq: i, Unit: "sshd", Text: "line"}}); err != nil {
			break
		}
	}
	s.ended <- "logs"
	return nil
}

// A session that dies takes its svc along, in whatever it is; what was asked
// stays asked.
func TestSessionDies(t *testing.T) {
	// Under nohup a child would ignore SIGHUP; what is caught here is not inherited.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	path := filepath.Join(t.TempDir(), "s")
	s := &slow{begun: make(chan string, 1), ended: make(chan string, 1)}
	defer serving(t, path, s)()
	begin := func(args ...string) (*exec.Cmd, *bufio.Reader, func()) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := &exec.Cmd{Path: os.Args[0], Args: append([]string{"svc"}, args...), Env: append(os.Environ(), "TEST_SOCKET="+path), Stdout: w, Stderr: os.Stderr}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		return cmd, bufio.NewReader(r), func() { r.Close() }
	}
	ends := func(cmd *exec.Cmd, sig syscall.Signal) {
		t.Helper()
		done := make(chan struct{})
		go func() { cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(bound):
			cmd.Process.Kill()
			t.Fatalf("%v hangs", cmd.Args)
		}
		if got := cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(); got != sig {
			t.Errorf("%v ended by %v, want %v", cmd.Args, got, sig)
		}
	}
	expect := func(c chan string, want string) {
		t.Helper()
		select {
		case got := <-c:
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		case <-time.After(bound):
			t.Fatalf("no %q", want)
		}
	}

	cmd, _, _ := begin("restart", "sshd")
	expect(s.begun, "restart by sshd")
	cmd.Process.Signal(syscall.SIGHUP)
	ends(cmd, syscall.SIGHUP)
	expect(s.ended, "restart")

	cmd, out, shut := begin("logs", "-f", "sshd")
	if _, err := out.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	shut()
	ends(cmd, syscall.SIGPIPE)
	expect(s.ended, "logs")
}

// A supervisor that is replaced while somebody waits for a unit does not lose
// the one who waits.
func TestWaitAcrossDeath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := &slow{begun: make(chan string, 1), ended: make(chan string, 1)}
	end := serving(t, path, s)
	var out text
	a := &app{out: &out, err: &out, socket: path, power: paper{}}
	done := make(chan int, 1)
	go func() { done <- a.main([]string{"svc", "wait", "sshd"}) }()
	<-s.begun
	end()
	defer serving(t, path, &backend{Units: []unit.Report{{Name: "sshd"}}})()
	select {
	case code := <-done:
		if code != exitFine || out.String()[:len("sshd  ready")] != "sshd  ready" {
			t.Errorf("exit %d: %q", code, out.String())
		}
	case <-time.After(bound):
		t.Fatal("svc wait does not come back")
	}
}

// A unit file of a command line is a good one, whatever is in it.
func TestComposed(t *testing.T) {
	argv := []string{"/bin/x", "a \"b\" \\ c", "line\nbreak\ttab\x7f\x1b", "ä語\u202e", "'''", `\u0041`, "", "# no comment"}
	for _, kind := range []string{"task", "service"} {
		file, err := compose(transient{kind: kind, command: argv, user: "nobody", dir: "/tmp", env: []string{"A=1=2", "B_2=", "C=x \"y\"\n"}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := unit.Load(fstest.MapFS{"svc/run-1.toml": {Data: []byte(file)}}, "/etc")
		if err != nil {
			t.Fatalf("%v\n%s", err, file)
		}
		u := c.Units[0]
		if d := cmp.Diff(argv, u.Command); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{"A=1=2", "B_2=", "C=x \"y\"\n"}, u.Env); d != "" {
			t.Error(d)
		}
		if u.Kind.String() != kind || u.User != "nobody" || u.Directory != "/tmp" || u.Restart != unit.Never {
			t.Errorf("%+v", u)
		}
	}
}
