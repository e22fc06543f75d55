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

// ask sends one request and waits for its whole answer, at most bound. What
// came before an error is returned with it.
func (a *app) ask(r control.Request, bound time.Duration) (control.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	c, err := control.Dial(ctx, a.socket)
	if err != nil {
		return control.Response{}, unreachable(err)
	}
	r.From, r.Via = a.from, a.via
	out, err := c.Ask(ctx, r)
	var refusal *control.Error
	if err != nil && !errors.As(err, &refusal) {
		err = unreachable(err)
	}
	return out, err
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
