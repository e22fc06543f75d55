package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"hoopy/control"
	"hoopy/unit/schema"
)

// deadly are the commands that end the machine: they are never guessed.
var deadly = []string{"poweroff", "reboot", "halt"}

// command finds a command by its name or, for a person at a terminal, by a
// beginning that no other has.
func (a *app) command(name string) (*command, error) {
	if c := find(name); c != nil {
		return c, nil
	}
	var all, fits []string
	for _, c := range table() {
		all = append(all, c.name)
		if strings.HasPrefix(c.name, name) && !slices.Contains(deadly, c.name) {
			fits = append(fits, c.name)
		}
	}
	switch {
	case a.look.terminal && len(fits) == 1:
		return find(fits[0]), nil
	case len(fits) > 1:
		return nil, misuse("%q may be %s", name, schema.Or(fits))
	}
	more := schema.DidYouMean(name, all)
	if more == "" {
		more = "; svc help lists them"
	}
	return nil, misuse("unknown command %q%s", name, more)
}

// resolve takes names that init did not know: for a person at a terminal, a
// beginning that one unit alone has stands for it. What stays unknown is
// refused, with what may have been meant.
func (a *app) resolve(ctx context.Context, names []string, refusal *control.Error) ([]string, error) {
	got, err := a.once(ctx, control.Request{Op: control.Status})
	if err != nil {
		return nil, refusal
	}
	var all []string
	for _, u := range got.Units {
		all = append(all, u.Name)
	}
	found := slices.Clone(names)
	for i, name := range names {
		if slices.Contains(all, name) {
			continue
		}
		var fits []string
		for _, n := range all {
			if strings.HasPrefix(n, name) {
				fits = append(fits, n)
			}
		}
		slices.Sort(fits)
		unknown := func(more string) error {
			return &control.Error{Code: control.CodeUnknown, Text: fmt.Sprintf("no unit is called %q%s", name, more)}
		}
		switch {
		case a.look.terminal && len(fits) == 1 && name != "":
			found[i] = fits[0]
		case len(fits) > 0 && len(fits) <= 8 && name != "":
			return nil, unknown("; there is " + strings.Join(fits, ", "))
		default:
			if more := schema.DidYouMean(name, all); more != "" {
				return nil, unknown(more)
			}
			return nil, refusal
		}
	}
	return found, nil
}
