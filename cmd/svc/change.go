package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hoopy/control"
	"hoopy/unit"
)

func (a *app) start(o options) error   { return a.change(control.Start, o) }
func (a *app) stop(o options) error    { return a.change(control.Stop, o) }
func (a *app) restart(o options) error { return a.change(control.Restart, o) }
func (a *app) wait(o options) error    { return a.change(control.Wait, o) }

// change asks for a change of units and waits until they have settled. Units go
// by their own time-outs; --timeout is how long this command waits for them,
// and changes nothing for the units.
func (a *app) change(op control.Op, o options) error {
	wait, err := o.duration("timeout", control.WaitDefault)
	if err != nil {
		return err
	}
	wait = min(wait, control.WaitMax)
	began := time.Now()
	got, err := a.ask(control.Request{Op: op, Names: o.names, Force: o.has("force"), Wait: wait}, wait+slack)
	unwell := a.outcomes(op, got.Units, time.Since(began))
	var refusal *control.Error
	if errors.As(err, &refusal) && refusal.Code == control.CodeTimeout {
		return &control.Error{Code: refusal.Code, Text: fmt.Sprintf("not settled after %v; it goes on: svc status %s", wait, strings.Join(o.names, " "))}
	}
	if err == nil && unwell {
		err = errUnwell
	}
	return err
}

// outcomes shows what became of units; true: one is not as it was to be.
func (a *app) outcomes(op control.Op, units []unit.Report, took time.Duration) (unwell bool) {
	for i := range units {
		u := &units[i]
		well := (u.State == unit.Ready || u.State == unit.Skipped || u.Kind == unit.Timer) && u.Well()
		if op == control.Stop {
			well = u.State == unit.Inactive
		}
		unwell = unwell || !well
		fmt.Fprintln(a.out, a.outcome(u, well, took))
		for _, l := range u.LastLines {
			if !well {
				fmt.Fprintln(a.out, "  | "+escape(l))
			}
		}
	}
	return unwell
}

// outcome is one line: what became of u.
func (a *app) outcome(u *unit.Report, well bool, took time.Duration) string {
	state := u.State.String()
	if u.State == unit.Inactive {
		state = "stopped"
	}
	c := green
	if !well {
		c = red
	}
	parts := []string{escape(u.Name), a.look.paint(c, state)}
	if well && took > 0 {
		parts = append(parts, seconds(took))
	}
	if u.Pid > 0 {
		parts = append(parts, "pid "+strconv.Itoa(u.Pid))
	}
	if note := note(u, 0); note != "" {
		parts = append(parts, note)
	}
	return strings.Join(parts, gap)
}

// done asks for what is done at once; that a unit has not settled is nothing to
// wait for.
func (a *app) done(r control.Request) (control.Response, error) {
	r.Wait = time.Second
	got, err := a.ask(r, r.Wait+2*control.StatusTimeout+slack)
	if errors.Is(err, &control.Error{Code: control.CodeTimeout}) {
		err = nil
	}
	return got, err
}

// reset forgets failures.
func (a *app) reset(o options) error {
	got, err := a.done(control.Request{Op: control.Reset, Names: o.names})
	for i := range got.Units {
		fmt.Fprintln(a.out, a.outcome(&got.Units[i], got.Units[i].Well(), 0))
	}
	return err
}

// signal sends one to main processes.
func (a *app) signal(o options) error {
	word, names := o.value("signal"), o.names
	if word == "" {
		if len(names) < 2 {
			return misuse("name a signal, such as HUP")
		}
		word, names = names[len(names)-1], names[:len(names)-1]
	}
	sig, known := unit.SignalNumber(word)
	if n, err := strconv.Atoi(word); err == nil && n > 0 && n <= 64 {
		sig, known = n, true
	}
	if !known {
		return misuse("%q is no signal; write HUP, USR1, or a number", word)
	}
	name, named := unit.SignalName(sig)
	if !named {
		name = "signal " + strconv.Itoa(sig)
	}
	got, err := a.done(control.Request{Op: control.Signal, Names: names, Signal: sig})
	for _, u := range got.Units {
		if err == nil {
			fmt.Fprintf(a.out, "%s  %s sent  pid %d\n", escape(u.Name), name, u.Pid)
		}
	}
	return err
}
