package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"hoopy/control"
	"hoopy/unit"
)

// Whatever a command line holds, the unit file that is made of it says the same.
func FuzzCompose(f *testing.F) {
	f.Add("a \"b\" \\ c", "line\nbreak\ttab\x7f", "ä語\u202e", "KEY", "va=l\"ue")
	f.Add("", "'''", "\\u0041", "a.b", "#")
	f.Fuzz(func(t *testing.T, a, b, user, key, value string) {
		tr := transient{kind: "task", command: []string{"/bin/x", a, b}, user: user}
		if key != "" {
			tr.env = []string{key + "=" + value}
		}
		text, err := compose(tr)
		if err != nil {
			good := true
			for _, s := range []string{a, b, user, key + "=" + value} {
				good = good && utf8.ValidString(s) && !strings.Contains(s, "\x00")
			}
			if good && key != "" && !strings.HasPrefix(key, "=") {
				t.Errorf("%v", err)
			}
			return
		}
		c, err := unit.Load(fstest.MapFS{"svc/run-1.toml": {Data: []byte(text)}}, "/etc")
		if err != nil { // a value that no unit may have: init says which
			if strings.Contains(err.Error(), "TOML") || strings.Contains(err.Error(), "toml:0") || strings.Contains(err.Error(), "unknown key") {
				t.Errorf("%v\n%s", err, text)
			}
			return
		}
		u := c.Units[0]
		if d := cmp.Diff(tr.command, u.Command); d != "" {
			t.Errorf("%s\n%s", d, text)
		}
		if u.User != user || u.Restart != unit.Never || u.Kind != unit.Task || u.StartTimeout != 24*time.Hour || strings.Join(u.Env, "\n") != strings.Join(tr.env, "\n") {
			t.Errorf("%+v\n%s", u, text)
		}
	})
}

// endless runs until it is told to end.
type endless struct {
	backend
	mu    sync.Mutex
	state unit.State
}

func (e *endless) Command(ctx context.Context, c control.Command) ([]unit.Report, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return []unit.Report{{Name: c.Names[0], Kind: unit.Service, State: e.state, Exit: 15}}, nil
}

func (e *endless) Logs(ctx context.Context, q control.LogQuery, emit func([]control.Line) error) error {
	if err := emit([]control.Line{{Seq: 1, Text: "working"}}); err != nil || !q.Follow {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func serving(t *testing.T, path string, b control.Backend) (end func()) {
	t.Helper()
	l, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- control.Serve(ctx, l, b) }()
	return sync.OnceFunc(func() { cancel(); <-ended })
}

// run -w follows across the death of a supervisor and gives the signal that
// ended its service; Ctrl-C ends svc and nothing else.
func TestAttend(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		path := t.TempDir() + "/s"
		e := &endless{state: unit.Ready}
		end := serving(t, path, e)
		defer func() { end() }()
		out, errs := &text{}, &text{}
		a := &app{out: out, err: errs, socket: path, via: "svc run"}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- a.attend(ctx, "run-1") }()
		out.wait(t, "working\n")
		end()
		end = serving(t, path, e)
		want, last := exitError(128+15), "run-1: signal TERM\n"
		if interrupted {
			want, last = exitInterrupted, "run-1 goes on: svc logs -f run-1, svc stop run-1\n"
			cancel()
		} else {
			e.mu.Lock()
			e.state = unit.Failed
			e.mu.Unlock()
		}
		select {
		case err := <-done:
			var code exitError
			if !errors.As(err, &code) || code != want {
				t.Errorf("%v, want %v", err, want)
			}
		case <-time.After(bound):
			t.Fatal("run -w does not end")
		}
		if errs.String() != last {
			t.Errorf("%q, want %q", errs.String(), last)
		}
		if strings.Count(out.String(), "working") != 1 {
			t.Errorf("%q", out.String())
		}
	}
}

// text is an output that others wait for.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (w *text) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *text) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func (w *text) wait(t *testing.T, suffix string) {
	t.Helper()
	for end := time.Now().Add(bound); !strings.HasSuffix(w.String(), suffix); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q", w.String())
		}
	}
}
