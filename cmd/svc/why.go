package main

import (
	"fmt"
	"strings"
	"time"

	"hoopy/control"
	"hoopy/unit"
)

// why prints the chain that holds a unit back, or that brought it down.
func (a *app) why(o options) error {
	got, err := a.ask(control.Request{Op: control.Why, Names: o.names}, control.StatusTimeout+slack)
	if err != nil {
		return err
	}
	if o.has("json") {
		return a.json(got.Reasons)
	}
	machine, err := a.ask(control.Request{Op: control.Ping}, control.StatusTimeout+slack)
	if err != nil {
		return err
	}
	fmt.Fprint(a.out, story(got.Reasons, machine.Machine, a.look.width))
	return nil
}

// story tells reasons from the unit itself down to what is behind it.
func story(all []unit.Reason, m *control.Machine, width int) string {
	var b strings.Builder
	for i, r := range all {
		subject := escape(r.Name)
		text := escape(r.Text)
		switch {
		case i == 0:
			if rest, ok := strings.CutPrefix(text, "waits for "); ok {
				text = "is waiting for " + rest
			}
			text += sinceText(&r, m)
		case alone(all, i) && r.Name != "":
			subject = "which"
		}
		b.WriteString(wrap(subject+" "+text, strings.Repeat("  ", min(max(0, r.Depth), 20)), width))
	}
	return b.String()
}

// alone says whether reason i is the only one below the one before it, which
// has just been named.
func alone(all []unit.Reason, i int) bool {
	depth := all[i].Depth
	if depth != all[i-1].Depth+1 {
		return false
	}
	for _, r := range all[i+1:] {
		if r.Depth < depth {
			break
		}
		if r.Depth == depth {
			return false
		}
	}
	return true
}

func sinceText(r *unit.Reason, m *control.Machine) string {
	if m == nil || r.Since == 0 || r.State == unit.Inactive {
		return ""
	}
	passed := span(max(0, time.Duration(m.Uptime-r.Since)))
	switch r.State {
	case unit.BackOff, unit.Failed, unit.Stuck:
		return " (" + passed + " ago)"
	}
	return " (for " + passed + ")"
}
