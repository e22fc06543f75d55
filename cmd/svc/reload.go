package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"hoopy/control"
	"hoopy/unit"
)

// freshBound is how long the supervisor that has read the new files may take to
// answer.
const freshBound = 30 * time.Second

// reload has units, or init as a whole, read their files anew.
func (a *app) reload(o options) error {
	if len(o.names) > 0 {
		if o.has("dry-run") {
			return misuse("--dry-run is for the whole configuration: svc reload --dry-run")
		}
		return a.change(control.ReloadUnits, o)
	}
	bound, err := o.duration("timeout", control.WaitDefault)
	if err != nil {
		return err
	}
	before, err := a.ask(control.Request{Op: control.Ping}, control.StatusTimeout+slack)
	if err != nil {
		return err
	}
	plan, err := a.ask(control.Request{Op: control.Reload, Dry: true}, control.WaitDefault+slack)
	if err != nil {
		return err
	}
	a.changes(plan.Changes)
	switch {
	case o.has("dry-run"):
		return nil
	case len(plan.Changes) == 0 && !before.Machine.Safe && len(before.Machine.Mistakes) == 0:
		return nil
	}
	got, err := a.ask(control.Request{Op: control.Reload, Wait: bound}, bound+slack)
	switch {
	case errors.Is(err, &control.Error{Code: control.CodeTimeout}):
		return &control.Error{Code: control.CodeTimeout, Text: fmt.Sprintf("what has to stop for it has not after %v; it goes on: svc status", bound)}
	case errors.Is(err, control.ErrGone): // the fresh one came before the answer
		got.Changes = plan.Changes
	case err != nil:
		return err
	case !reflect.DeepEqual(got.Changes, plan.Changes):
		fmt.Fprintln(a.out, "the files have changed meanwhile:")
		a.changes(got.Changes)
	}
	return a.fresh(before.Machine.Epoch, got.Changes, bound)
}

// changes shows what a configuration would do.
func (a *app) changes(all []unit.Change) {
	if len(all) == 0 {
		fmt.Fprintln(a.out, "nothing has changed")
		return
	}
	width, restarts := 0, 0
	for _, c := range all {
		width = max(width, columns(escape(c.Name)))
	}
	for _, c := range all {
		text := string(c.Op)
		if len(c.Keys) > 0 {
			text += ": " + strings.Join(c.Keys, ", ")
		}
		colour := plain
		switch {
		case c.Op == unit.Removed:
			text += "; it is stopped"
			colour = yellow
		case c.Restart:
			restarts++
			text += "; it is restarted"
			colour = yellow
		case c.Op == unit.Changed:
			text += "; its processes stay"
		}
		name := escape(c.Name)
		fmt.Fprintln(a.out, name+strings.Repeat(" ", width-columns(name))+gap+a.look.paint(colour, escape(text)))
	}
	verb := "change"
	if len(all) == 1 {
		verb = "changes"
	}
	fmt.Fprintf(a.out, "%s %s, %s restarted\n", count(len(all), "unit"), verb, isAre(restarts))
}

func isAre(n int) string {
	if n == 1 {
		return "1 is"
	}
	return fmt.Sprintf("%d are", n)
}

// fresh waits for the supervisor after that of epoch, and shows what became of
// the units that changed.
func (a *app) fresh(epoch uint32, all []unit.Change, bound time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), freshBound)
	defer cancel()
	for {
		got, err := a.once(ctx, control.Request{Op: control.Ping})
		if err == nil && got.Machine != nil && got.Machine.Epoch > epoch {
			break
		}
		if !wait(ctx, pause) {
			return fmt.Errorf("the supervisor with the new configuration does not answer after %v; svc status, and svc logs -k, tell more", freshBound)
		}
	}
	var names []string
	for _, c := range all {
		if c.Op != unit.Removed {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	got, err := a.ask(control.Request{Op: control.Wait, Names: names, Wait: bound}, bound+slack)
	unwell := false
	for i := range got.Units {
		u := &got.Units[i]
		unwell = unwell || !u.Well()
		fmt.Fprintln(a.out, a.outcome(u, u.Well(), 0))
		for _, l := range u.LastLines {
			if !u.Well() {
				fmt.Fprintln(a.out, "  | "+escape(l))
			}
		}
	}
	var refusal *control.Error
	switch {
	case errors.As(err, &refusal) && refusal.Code == control.CodeTimeout:
		return &control.Error{Code: refusal.Code, Text: fmt.Sprintf("not settled after %v; it goes on: svc status", bound)}
	case err == nil && unwell:
		return errUnwell
	}
	return err
}
