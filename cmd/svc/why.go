package main

import (
	"fmt"
	"strings"

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
	above := "" // the line before
	for i, r := range all {
		below := children(all, i)
		text := waiting(escape(r.Text), r.Depth, below) + ago(&r, m)
		subject := escape(r.Name)
		if i > 0 && r.Depth == all[i-1].Depth+1 && len(children(all, i-1)) == 1 && strings.Contains(above, subject) {
			subject = "which"
		}
		above = r.Name + " " + text
		b.WriteString(wrap(subject+" "+text, strings.Repeat("  ", min(max(0, r.Depth), 20)), width))
	}
	return b.String()
}

// waiting is the text of a unit that waits: for those below it, if it does not
// say for what.
func waiting(text string, depth int, below []string) string {
	rest, ok := strings.CutPrefix(text, "is waiting")
	if !ok {
		rest, ok = strings.CutPrefix(text, "waits")
	}
	if !ok {
		return text
	}
	if !strings.HasPrefix(rest, " for ") && !strings.HasPrefix(rest, " until ") && !strings.HasPrefix(rest, ": ") && len(below) > 0 {
		all := make([]unit.Wait, len(below))
		for i, name := range below {
			all[i].Name = escape(name)
		}
		rest = " for " + waits(all) + rest
	}
	if depth > 0 {
		return "waits" + rest
	}
	return "is waiting" + rest
}

// children are the names of the reasons right below reason i.
func children(all []unit.Reason, i int) (names []string) {
	for _, r := range all[i+1:] {
		if r.Depth <= all[i].Depth {
			break
		}
		if r.Depth == all[i].Depth+1 {
			names = append(names, r.Name)
		}
	}
	return names
}

// ago is when a unit failed.
func ago(r *unit.Reason, m *control.Machine) string {
	switch r.State {
	case unit.BackOff, unit.Failed, unit.Stuck:
		if m != nil && r.Since > 0 {
			return " (" + span(m.Uptime.Sub(r.Since)) + " ago)"
		}
	}
	return ""
}
