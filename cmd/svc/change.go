package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"hoopy/control"
	"hoopy/unit"
)

func (a *app) start(args []string) error   { return a.change(control.Start, args) }
func (a *app) stop(args []string) error    { return a.change(control.Stop, args) }
func (a *app) restart(args []string) error { return a.change(control.Restart, args) }

// change asks for a start, stop or restart and waits until the units have
// settled. Units go by their own time-outs; --timeout is how long this command
// waits for them, and changes nothing for the units.
func (a *app) change(op control.Op, args []string) error {
	known := map[string]bool{"timeout": true}
	if op == control.Stop {
		known["force"] = false
	}
	o, err := parse(args, known, 1, -1)
	if err != nil {
		return err
	}
	wait, err := o.duration("timeout", control.WaitDefault)
	if err != nil {
		return err
	}
	wait = min(wait, control.WaitMax)
	began := time.Now()
	got, err := a.ask(control.Request{Op: op, Names: o.names, Force: o.has("force"), Wait: wait}, wait+slack)
	unwell := false
	for i := range got.Units {
		u := &got.Units[i]
		well := u.State == unit.Ready || u.State == unit.Skipped
		if op == control.Stop {
			well = u.State == unit.Inactive
		}
		unwell = unwell || !well
		fmt.Fprintln(a.out, a.outcome(u, well, time.Since(began)))
		for _, l := range u.LastLines {
			if !well {
				fmt.Fprintln(a.out, "  | "+escape(l))
			}
		}
	}
	var refusal *control.Error
	if errors.As(err, &refusal) && refusal.Code == control.CodeTimeout {
		return &control.Error{Code: refusal.Code, Text: fmt.Sprintf("not settled after %v; it goes on: svc status %s", wait, strings.Join(o.names, " "))}
	}
	if err == nil && unwell {
		err = errUnwell
	}
	return err
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
	line := escape(u.Name) + "  " + a.look.paint(c, state)
	if well {
		line += "  " + seconds(took)
	}
	if u.Pid > 0 {
		line += fmt.Sprintf("  pid %d", u.Pid)
	}
	if len(u.Waits) > 0 {
		line += "  for " + escape(waits(u.Waits))
	} else if why := u.Why; why != "" && !well {
		line += "  " + escape(why)
	} else if u.Note != "" {
		line += "  " + escape(u.Note)
	}
	return line
}

// reload has init read its files anew.
func (a *app) reload(args []string) error {
	if _, err := parse(args, nil, 0, 0); err != nil {
		return err
	}
	got, err := a.ask(control.Request{Op: control.Reload}, control.WaitDefault+slack)
	for _, c := range got.Changes {
		fmt.Fprintln(a.out, escape(c.Name), c.Op)
	}
	if err == nil && len(got.Changes) == 0 {
		fmt.Fprintln(a.out, "nothing has changed")
	}
	return err
}
