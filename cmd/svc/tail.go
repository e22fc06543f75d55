package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"hoopy/control"
)

// comeBack is how long a follower waits for a supervisor that went.
const comeBack = 10 * time.Second

// overlap is how far before the last line a follower that comes back begins to
// read: logs are merged from several writers, whose stamps cross a little. What
// was printed already is known by its number.
const overlap = time.Second

// tail prints lines, each once.
type tail struct {
	app       *app
	request   control.Request
	jsonLines bool
	named     bool              // each line begins with its unit
	width     int               // of the widest unit so far
	last      map[string]uint64 // Seq of the last line printed of each unit
	newest    control.Line
	any       bool // whether there was an answer at all
}

func newTail(a *app, r control.Request) *tail {
	return &tail{app: a, request: r, named: r.All || len(r.Names) > 1 || len(r.Names) > 0 && r.Kernel, last: map[string]uint64{}}
}

// run asks once.
func (t *tail) run(ctx context.Context) error {
	dialCtx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	c, err := t.app.dial(dialCtx)
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

// follow asks again, from the last lines on, when the supervisor went away. It
// ends with ctx.
func (t *tail) follow(ctx context.Context) error {
	var gone time.Time
	for {
		err := t.run(ctx)
		var refusal *control.Error
		var full *writeError
		if ctx.Err() != nil {
			return nil
		}
		if err == nil || errors.As(err, &full) || errors.As(err, &refusal) && refusal.Code != control.CodeBusy || !t.any && len(t.last) == 0 {
			return err
		}
		if t.any {
			t.any, gone = false, time.Now()
		}
		if time.Since(gone) > comeBack {
			return err
		}
		t.request.N = -1
		if t.newest.Stamp > 0 {
			t.request.Since = max(1, t.newest.Stamp.Add(-overlap))
		}
		wait(ctx, pause)
	}
}

// writeError is an output that takes no more.
type writeError struct{ err error }

func (e *writeError) Error() string { return "write: " + e.err.Error() }

func (t *tail) print(l *control.Line) error {
	if l.Seq != 0 && l.Seq <= t.last[l.Unit] {
		return nil
	}
	t.last[l.Unit] = l.Seq
	if l.Stamp > t.newest.Stamp {
		t.newest = *l
	}
	text, err := t.line(l)
	if err == nil {
		_, err = fmt.Fprint(t.app.out, text)
	}
	if err != nil {
		return &writeError{err}
	}
	return nil
}

// line is l as it is printed, with what it ends.
func (t *tail) line(l *control.Line) (string, error) {
	if t.jsonLines {
		b, err := json.Marshal(l)
		return string(b) + "\n", err
	}
	look := t.app.look
	unit := ""
	if t.named {
		name := escape(l.Unit)
		if l.Unit == "" {
			name = "kernel"
		}
		t.width = max(t.width, min(columns(name), 16))
		unit = name + strings.Repeat(" ", max(0, t.width-columns(name))) + gap
	}
	text := ""
	if l.Lost > 0 {
		text = look.paint(yellow, unit+"… "+count(int(l.Lost), "line")+" lost") + "\n"
	}
	stamp := time.Unix(0, l.Wall).Format("2006-01-02 15:04:05.000")
	return text + look.paint(dim, stamp) + gap + look.paint(cyan, unit) + look.paint(severity(l.Severity), escape(l.Text)) + "\n", nil
}

// severity colours by how bad a line says that it is; see control.Line.
func severity(s int8) colour {
	switch {
	case s >= 1 && s <= 4: // emergency to error
		return red
	case s == 5:
		return yellow
	case s == 8:
		return dim
	}
	return plain
}
