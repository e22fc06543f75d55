package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"hoopy/control"
)

// version says what this is, what image it is on and what runs there. It works
// without init.
func (a *app) version(options) error {
	fmt.Fprintln(a.out, "svc    "+version)
	if text, err := os.ReadFile(a.manifest); err == nil {
		var m struct {
			Image, Date, Distribution string
			Local                     bool
		}
		if err := json.Unmarshal(text, &m); err != nil {
			return fmt.Errorf("%s: %w", a.manifest, err)
		}
		fmt.Fprintf(a.out, "image  %s of %s, packages from %s\n", escape(m.Image), escape(m.Date), escape(m.Distribution))
		if m.Local {
			fmt.Fprintln(a.out, "       made from local packages, not from Alpine's own")
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(a.socket); errors.Is(err, os.ErrNotExist) {
		return nil // not a machine of ours
	}
	got, err := a.ask(control.Request{Op: control.Ping}, control.StatusTimeout+slack)
	if err != nil {
		return err
	}
	if m := got.Machine; m != nil {
		fmt.Fprintf(a.out, "init   %s on Linux %s, supervisor %d\n", escape(m.Version), escape(m.Kernel), m.Epoch)
	}
	return nil
}
