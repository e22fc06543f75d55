package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"hoopy/control"
)

// logsBound is how long logs without -f may take, comeBack how long logs -f
// waits for a supervisor that went.
const (
	logsBound = 30 * time.Second
	comeBack  = 10 * time.Second
)

// logs prints the last lines of a unit, and with -f what comes, also across the
// death of a supervisor.
func (a *app) logs(args []string) error {
	o, err := parse(args, map[string]bool{"f": false, "follow": false, "n": true, "lines": true}, 1, 1)
	if err != nil {
		return err
	}
	n, ok := 50, true
	for _, flag := range []string{"n", "lines"} {
		switch v := o.flags[flag]; {
		case v == "all":
			n = -1
		case v != "" || o.has(flag):
			if n, err = strconv.Atoi(v); err != nil || n < 0 {
				ok = false
			}
		}
	}
	if !ok {
		return misuse("-n wants a number of lines, or all")
	}
	t := tail{app: a, request: control.Request{Op: control.Logs, Names: o.names, N: n, Follow: o.has("f") || o.has("follow"), Via: a.via, From: a.from}}
	if !t.request.Follow {
		ctx, cancel := context.WithTimeout(context.Background(), logsBound)
		defer cancel()
		return t.run(ctx)
	}
	return t.follow()
}

// tail prints lines, each once.
type tail struct {
	app     *app
	request control.Request
	last    uint64 // Seq of the last line printed
	any     bool   // whether there was an answer at all
}

// run asks once.
func (t *tail) run(ctx context.Context) error {
	dialCtx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	c, err := control.Dial(dialCtx, t.app.socket)
	if err != nil {
		return unreachable(err)
	}
	err = c.Do(ctx, t.request, func(r *control.Response) error {
		for i := range r.Lines {
			if err := t.print(&r.Lines[i]); err != nil {
				return err
			}
		}
		t.any = t.any || r.Error == nil
		return nil
	})
	var refusal *control.Error
	var full *writeError
	if err != nil && !errors.As(err, &refusal) && !errors.As(err, &full) {
		return unreachable(err)
	}
	return err
}

// follow asks again, from the last line on, when the supervisor went away.
func (t *tail) follow() error {
	var gone time.Time
	for {
		err := t.run(context.Background())
		var refusal *control.Error
		var full *writeError
		if err == nil || errors.As(err, &full) || errors.As(err, &refusal) && refusal.Code != control.CodeBusy || !t.any && t.last == 0 {
			return err
		}
		if t.any {
			t.any, gone = false, time.Now()
		}
		if time.Since(gone) > comeBack {
			return err
		}
		t.request.N = -1
		wait(context.Background(), pause)
	}
}

// writeError is an output that takes no more.
type writeError struct{ err error }

func (e *writeError) Error() string { return "write: " + e.err.Error() }

func (t *tail) print(l *control.Line) error {
	if l.Seq != 0 && l.Seq <= t.last {
		return nil
	}
	t.last = l.Seq
	if l.Lost > 0 {
		if _, err := fmt.Fprintf(t.app.out, "%s\n", t.app.look.paint(yellow, "… "+count(int(l.Lost), "line")+" lost")); err != nil {
			return &writeError{err}
		}
	}
	stamp := time.Unix(0, l.Wall).Format("2006-01-02 15:04:05.000")
	if _, err := fmt.Fprintf(t.app.out, "%s  %s\n", t.app.look.paint(dim, stamp), escape(l.Text)); err != nil {
		return &writeError{err}
	}
	return nil
}
