package main

import (
	"fmt"
	"slices"

	"hoopy/control"
)

// execute becomes a command that runs as a unit does. On success it does not
// return.
func (a *app) execute(o options) error {
	name, argv := o.names[0], slices.Clone(o.names[1:])
	var err error
	if argv[0], err = program(argv[0]); err != nil {
		return err
	}
	got, err := a.ask(control.Request{Op: control.Exec, Names: []string{name}, Command: argv}, control.StatusTimeout+slack)
	if err != nil {
		return err
	}
	if got.Exec == nil {
		return fmt.Errorf("init did not say how %s runs", name)
	}
	return become(a.launcher, name, got.Exec)
}
