package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"hoopy/control"
	"hoopy/unit"
)

// runTries is how often another name is tried when somebody else took it first.
const runTries = 10

// look again at a service that runs on, every so often.
const attendPause = 500 * time.Millisecond

// runUnit makes a unit of a command line and starts it.
func (a *app) runUnit(o options) error {
	t := transient{kind: o.value("kind"), command: append([]string(nil), o.names...), user: o.value("user"), dir: o.value("dir"), env: o.flags["env"]}
	switch t.kind {
	case "":
		t.kind = unit.Task.String()
	case unit.Task.String(), unit.Service.String():
	default:
		return misuse("--kind is task or service, not %q", t.kind)
	}
	var err error
	if t.command[0], err = program(t.command[0]); err != nil {
		return err
	}
	text, err := compose(t)
	if err != nil {
		return err
	}
	u, err := a.begin(o.value("name"), text)
	if err != nil {
		return err
	}
	if !o.has("wait") {
		switch u.State {
		case unit.BackOff, unit.Failed, unit.Stuck: // at once
			a.outcomes(control.Run, []unit.Report{*u}, 0)
			return errUnwell
		}
		fmt.Fprintf(a.out, "%s runs: svc logs -f %[1]s\n", escape(u.Name))
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return a.attend(ctx, u.Name)
}

// program is the file that a shell would execute for name: as it is if it has
// a slash, else the first in PATH.
func program(name string) (string, error) {
	if strings.Contains(name, "/") {
		return filepath.Abs(name)
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		file := filepath.Join(dir, name)
		if st, err := os.Stat(file); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return filepath.Abs(file)
		}
	}
	return "", misuse("no program %q in PATH", name)
}

// begin starts a unit of that name, or of the next that is free.
func (a *app) begin(name, text string) (*unit.Report, error) {
	given := name != ""
	next := 1
	if !given {
		got, err := a.ask(control.Request{Op: control.Status}, control.StatusTimeout+slack)
		if err != nil {
			return nil, err
		}
		for _, u := range got.Units {
			digits, ours := strings.CutPrefix(u.Name, "run-")
			if n, err := strconv.Atoi(digits); ours && err == nil && n < 1e9 {
				next = max(next, n+1)
			}
		}
	}
	for try := range runTries {
		if !given {
			name = "run-" + strconv.Itoa(next+try)
		}
		got, err := a.ask(control.Request{Op: control.Run, Names: []string{name}, Unit: text}, control.StatusTimeout+slack)
		switch {
		case err == nil && len(got.Units) > 0:
			return &got.Units[0], nil
		case err == nil:
			return &unit.Report{Name: name}, nil
		case given || !errors.Is(err, &control.Error{Code: control.CodeExists}):
			return nil, err
		}
	}
	return nil, fmt.Errorf("%d units were started at once; try again", runTries)
}

// attend prints the log of a unit until it has ended, and gives its exit code.
// When ctx is done first, the unit goes on.
func (a *app) attend(ctx context.Context, name string) error {
	t := newTail(a, control.Request{Op: control.Logs, Names: []string{name}, N: -1, Follow: true, From: a.from, Via: a.via})
	following, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var followed error
	wg.Go(func() { followed = t.follow(following) })
	u, err := a.ended(ctx, name)
	stop()
	wg.Wait()
	switch {
	case ctx.Err() != nil:
		fmt.Fprintf(a.err, "%s goes on: svc logs -f %[1]s, svc stop %[1]s\n", escape(name))
		return exitError(exitInterrupted)
	case err != nil:
		return err
	}
	var full *writeError
	if errors.As(followed, &full) {
		return followed
	}
	t.request.Follow, t.request.N, t.request.Since = false, -1, 0 // what came after the last look
	rest, cancel := context.WithTimeout(context.Background(), logsBound)
	defer cancel()
	if err := t.run(rest); err != nil {
		return err
	}
	if sig, ok := u.Exit.Signal(); ok {
		fmt.Fprintf(a.err, "%s: %s\n", escape(name), exitText(u.Exit))
		return exitError(128 + sig)
	}
	if code, _ := u.Exit.Exit(); code != 0 {
		return exitError(code)
	}
	if !u.Well() { // it never ran
		fmt.Fprintln(a.err, a.outcome(u, false, 0))
		return errUnwell
	}
	return nil
}

// ended waits until the unit runs no longer.
func (a *app) ended(ctx context.Context, name string) (*unit.Report, error) {
	for {
		got, err := a.within(ctx, control.Request{Op: control.Wait, Names: []string{name}, Wait: control.WaitMax})
		if err != nil && !errors.Is(err, &control.Error{Code: control.CodeTimeout}) || len(got.Units) == 0 {
			return nil, err
		}
		u := &got.Units[0]
		switch u.State {
		case unit.Inactive, unit.Failed, unit.Skipped, unit.Stuck:
			return u, nil
		case unit.Ready:
			if u.Kind == unit.Task {
				return u, nil
			}
		}
		if !wait(ctx, attendPause) {
			return nil, ctx.Err()
		}
	}
}

// within asks until ctx is done, also across the death of a supervisor.
func (a *app) within(ctx context.Context, r control.Request) (control.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, control.WaitMax+slack)
	defer cancel()
	return a.once(ctx, r)
}
