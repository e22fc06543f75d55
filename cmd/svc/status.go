package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"hoopy/control"
	"hoopy/unit"
)

// status shows the machine and its units, or one of them. Its error is
// errUnwell when a unit that was named is not well; without names the screen is
// the answer.
func (a *app) status(o options) error {
	bound, err := o.duration("timeout", control.StatusTimeout+slack)
	if err != nil {
		return err
	}
	got, err := a.ask(control.Request{Op: control.Status, Names: o.names}, bound)
	var refusal *control.Error
	if err != nil && !(errors.As(err, &refusal) && len(got.Units) > 0) {
		return err
	}
	switch {
	case o.has("names"):
		for _, u := range got.Units {
			fmt.Fprintln(a.out, escape(u.Name))
		}
	case o.has("json"):
		if err := a.json(struct {
			Machine *control.Machine `json:"machine"`
			Units   []unit.Report    `json:"units"`
		}{got.Machine, got.Units}); err != nil {
			return err
		}
	case got.Machine == nil:
	case len(o.names) == 1 && len(got.Units) == 1:
		d := detail{look: a.look, now: got.Machine.Uptime, unit: &got.Units[0]}
		fmt.Fprint(a.out, d.String())
	default:
		s := screen{look: a.look, machine: got.Machine, units: got.Units, all: o.has("all") || len(o.names) > 0}
		fmt.Fprint(a.out, s.String())
	}
	if err != nil {
		return err
	}
	for _, u := range got.Units {
		if len(o.names) > 0 && !u.Well() {
			return errUnwell
		}
	}
	return nil
}

// json prints v for programs.
func (a *app) json(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
