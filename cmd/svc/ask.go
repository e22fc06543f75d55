package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"hoopy/control"
)

// slack is what an answer may take beyond what was asked for: to connect, and
// for both programs to be scheduled on a busy machine.
const slack = 5 * time.Second

// again says what may be asked a second time when the supervisor went away
// over it: what does the same twice.
var again = map[control.Op]bool{control.Status: true, control.Ping: true, control.Start: true, control.Stop: true}

// pause is how long svc waits for the next supervisor before it asks again.
const pause = 50 * time.Millisecond

// ask sends one request and waits for its whole answer, at most bound. What
// came before an error is returned with it.
func (a *app) ask(r control.Request, bound time.Duration) (control.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	r.From, r.Via = a.from, a.via
	for {
		c, err := control.Dial(ctx, a.socket)
		if err != nil {
			return control.Response{}, unreachable(err)
		}
		out, err := c.Ask(ctx, r)
		var refusal *control.Error
		switch {
		case err == nil || errors.As(err, &refusal):
			return out, err
		case !errors.Is(err, control.ErrGone) || !again[r.Op] || !wait(ctx, pause):
			return out, unreachable(err)
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
	}
	return fmt.Errorf("init cannot be reached: %w", err)
}
