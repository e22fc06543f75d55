package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"hoopy/control"
)

// slack is what an answer may take beyond what was asked for: to connect, and
// for both programs to be scheduled on a busy machine.
const slack = 5 * time.Second

// again says what may be asked a second time when the supervisor went away
// over it: what changes nothing, and what does the same twice.
func again(r *control.Request) bool {
	switch r.Op {
	case control.Status, control.Ping, control.Start, control.Stop, control.Wait, control.Reset,
		control.Exec, control.Graph, control.Blame, control.Why:
		return true
	}
	return r.Op == control.Reload && r.Dry
}

// pause is how long svc waits for the next supervisor before it asks again.
const pause = 50 * time.Millisecond

// ask sends one request and waits for its whole answer, at most bound. What
// came before an error is returned with it. Names that no unit has are looked
// up, see resolve.
func (a *app) ask(r control.Request, bound time.Duration) (control.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	out, err := a.once(ctx, r)
	var refusal *control.Error
	if !errors.As(err, &refusal) || refusal.Code != control.CodeUnknown {
		return out, err
	}
	names, err := a.resolve(ctx, r.Names, refusal)
	if err != nil {
		return out, err
	}
	r.Names = names
	return a.once(ctx, r)
}

// once asks, and asks again where that does no harm.
func (a *app) once(ctx context.Context, r control.Request) (control.Response, error) {
	r.From, r.Via = a.from, a.via
	for {
		c, err := a.dial(ctx)
		if err != nil {
			return control.Response{}, unreachable(err)
		}
		out, err := c.Ask(ctx, r)
		var refusal *control.Error
		switch {
		case err == nil || errors.As(err, &refusal):
			return out, err
		case !errors.Is(err, control.ErrGone) || !again(&r) || !wait(ctx, pause):
			return out, unreachable(err)
		}
	}
}

// dial connects, also when so many wait that the kernel has no room for one
// more just now.
func (a *app) dial(ctx context.Context) (*control.Client, error) {
	for {
		c, err := control.Dial(ctx, a.socket)
		if err == nil || !errors.Is(err, syscall.EAGAIN) || !wait(ctx, pause) {
			return c, err
		}
	}
}

// wait waits for d; false: ctx was done first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// unreachable says in words what is behind a connection that did not work.
func unreachable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("init cannot be reached: there is no control socket; is hoopy running?")
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("init cannot be reached: no answer in time")
	case errors.Is(err, control.ErrGone):
		return fmt.Errorf("init cannot be reached: %w; whether it had heard is not known, svc status tells", err)
	}
	return fmt.Errorf("init cannot be reached: %w", err)
}
