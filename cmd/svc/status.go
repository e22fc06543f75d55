package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"hoopy/control"
	"hoopy/unit"
)

// status shows the machine and its units. Its error is errUnwell when a unit
// that was named is not well; without names the screen is the answer.
func (a *app) status(args []string) error {
	o, err := parse(args, map[string]bool{"a": false, "all": false, "json": false, "timeout": true}, 0, -1)
	if err != nil {
		return err
	}
	bound, err := o.duration("timeout", control.StatusTimeout+slack)
	if err != nil {
		return err
	}
	got, err := a.ask(control.Request{Op: control.Status, Names: o.names}, bound)
	var refusal *control.Error
	if err != nil && !(errors.As(err, &refusal) && len(got.Units) > 0) {
		return err
	}
	if o.has("json") {
		if err := a.json(got); err != nil {
			return err
		}
	} else if got.Machine != nil {
		s := screen{look: a.look, machine: got.Machine, units: got.Units, all: o.has("a") || o.has("all") || len(o.names) > 0}
		fmt.Fprint(a.out, s.String())
	}
	if err != nil {
		return err
	}
	for _, u := range got.Units {
		if len(o.names) > 0 && !u.State.Well() {
			return errUnwell
		}
	}
	return nil
}

// json prints everything there is, for programs.
func (a *app) json(got control.Response) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Machine *control.Machine `json:"machine"`
		Units   []unit.Report    `json:"units"`
	}{got.Machine, got.Units})
}
