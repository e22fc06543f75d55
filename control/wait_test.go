package control

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hoopy/unit"
)

// Start waits for its bound and no longer, and not for a client that is gone.
func TestCommandBound(t *testing.T) {
	f := &fake{units: []unit.Report{{Name: "a", State: unit.Starting}}, waiting: make(chan string, 2)}
	path := listening(t, f, limits{})
	got, err := ask(t, path, Request{Op: Start, Names: []string{"a"}, Wait: time.Millisecond})
	if !errors.Is(err, &Error{Code: CodeTimeout}) || len(got.Units) != 1 {
		t.Errorf("%v %+v", err, got)
	}
	expect(t, f.waiting, "begun")
	expect(t, f.waiting, context.DeadlineExceeded.Error())

	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	go c.Ask(t.Context(), Request{Op: Start, Names: []string{"a"}})
	expect(t, f.waiting, "begun")
	c.Close()
	expect(t, f.waiting, context.Canceled.Error())
}

// A service that restarts itself ends its own client, or the session over which
// somebody asks dies: the wish was taken before.
func TestWishOutlivesClient(t *testing.T) {
	f := &fake{units: []unit.Report{{Name: "a"}}, waiting: make(chan string, 2)}
	path := listening(t, f, limits{})
	for _, op := range []Op{Start, Stop, Restart, ReloadUnits} {
		c, err := Dial(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		go c.Ask(t.Context(), Request{Op: op, Names: []string{"a"}})
		expect(t, f.waiting, "begun")
		c.Close()
		expect(t, f.waiting, context.Canceled.Error())
	}
	want := []string{"start a force=false", "stop a force=false", "restart a force=false", "reload-units a force=false"}
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := cmp.Diff(want, f.asked); d != "" {
		t.Error(d)
	}
}

func expect(t *testing.T, c <-chan string, want string) {
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

func TestFollowEndsWithClient(t *testing.T) {
	f := &fake{}
	path := listening(t, f, limits{})
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	stop := errors.New("enough")
	if err := c.Do(t.Context(), Request{Op: Logs, Names: []string{"a"}, Follow: true}, func(r *Response) error {
		if n += len(r.Lines); n >= 10 {
			return stop
		}
		return nil
	}); err != stop {
		t.Error(err)
	}
}

// The context of a client bounds everything, a silent server included.
func TestClientBound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Ask(ctx, Request{Op: Status}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// A thousand units with their last lines do not fit one frame, and arrive.
func TestLargeStatus(t *testing.T) {
	f := &fake{}
	for i := range 1000 {
		f.units = append(f.units, unit.Report{Name: fmt.Sprintf("u%d", i), LastLines: []string{strings.Repeat("x", 3000)}})
	}
	got, err := ask(t, listening(t, f, limits{}), Request{Op: Status})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(f.units, got.Units); d != "" || got.Machine == nil {
		t.Error(d)
	}
}

// A supervisor that does not know its own status in time says so.
func TestBusyBackend(t *testing.T) {
	path := listening(t, &deaf{}, limits{ConnMax, bound, bound, 20 * time.Millisecond})
	for _, r := range []Request{{Op: Status}, {Op: Graph}, {Op: Blame}, {Op: Why, Names: []string{"a"}}, {Op: End, How: "halt"},
		{Op: Exec, Names: []string{"a"}, Command: []string{"x"}}, {Op: Run, Names: []string{"a"}, Unit: "x"}} {
		if _, err := ask(t, path, r); !errors.Is(err, &Error{Code: CodeBusy}) {
			t.Errorf("%s: %v", r.Op, err)
		}
	}
}

// deaf is a Backend whose loop does not turn.
type deaf struct{ fake }

func (*deaf) Status(ctx context.Context, _ []string) (*Machine, []unit.Report, error) {
	<-ctx.Done()
	return nil, nil, ctx.Err()
}
func (*deaf) Run(ctx context.Context, _, _, _ string) ([]unit.Report, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
func (*deaf) Exec(ctx context.Context, _ string, _ []string, _ string) (*Launch, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
func (*deaf) Graph(ctx context.Context) ([]unit.Node, error) { <-ctx.Done(); return nil, ctx.Err() }
func (*deaf) Blame(ctx context.Context) ([]unit.Span, error) { <-ctx.Done(); return nil, ctx.Err() }
func (*deaf) Why(ctx context.Context, _ string) ([]unit.Reason, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
func (*deaf) End(ctx context.Context, _ unit.How, _ string) error { <-ctx.Done(); return ctx.Err() }
