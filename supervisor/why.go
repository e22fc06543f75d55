package supervisor

import (
	"fmt"
	"time"

	"hoopy/unit"
)

// reasonsMost bounds an answer of Why, in lines.
const reasonsMost = 64

// Why is the chain that holds a unit back or that brought it down: the unit
// first, and below each line what it waits for, deepest last. False: there is
// no such unit.
func (s *State) Why(name string, now unit.Time) ([]unit.Reason, bool) {
	i, ok := s.byName[name]
	if !ok {
		return nil, false
	}
	w := why{State: s, now: now, seen: make(map[int]bool)}
	w.tell(i, 0)
	return w.reasons, true
}

type why struct {
	*State
	now     unit.Time
	seen    map[int]bool // told already: once is enough
	reasons []unit.Reason
}

func (w *why) tell(i, depth int) {
	if len(w.reasons) == reasonsMost {
		return
	}
	n := &w.nodes[i]
	w.reasons = append(w.reasons, unit.Reason{Depth: depth, Name: n.Name, State: n.state, Text: w.text(i), Since: n.since})
	if w.seen[i] {
		return
	}
	w.seen[i] = true
	for _, k := range w.below(i) {
		w.tell(k, depth+1)
	}
}

// below are the nodes that are to blame for the state of i.
func (w *why) below(i int) (on []int) {
	n := &w.nodes[i]
	for _, name := range w.waits(i) {
		if n.state == unit.Waiting {
			on = append(on, w.byName[name])
		}
	}
	if n.Kind == unit.Mount && n.state != unit.Ready {
		for _, e := range n.out { // its file system may be of a pool that is not there
			if w.nodes[e.To].Kind == unit.Pool && w.nodes[e.To].state != unit.Ready && e.Kind == unit.After {
				on = append(on, e.To)
			}
		}
	}
	if n.state != unit.Stopping && n.state != unit.Ready {
		return on
	}
	for _, e := range n.in { // its stop waits for the stop of these
		if v := &w.nodes[e.To]; n.stopping && n.state == unit.Ready && v.active() && v.stopping {
			on = append(on, e.To)
		}
	}
	return on
}

// text says in a few words why the node is as it is.
func (w *why) text(i int) string {
	n := &w.nodes[i]
	lasted := short(w.now.Sub(n.since).Truncate(100 * time.Millisecond))
	switch n.state {
	case unit.Inactive:
		switch {
		case n.why != "":
			return "was stopped: " + n.why
		case n.Manual && n.since == 0:
			return "is manual, and nobody has started it"
		case w.safe && !n.Essential && n.since == 0:
			return "is not essential, and this is safe mode"
		}
		return "was stopped"
	case unit.Waiting:
		text := "is waiting"
		switch {
		case n.Kind == unit.Timer && n.nextText != "" && n.dueAt == 0:
			return "is waiting until it is due: " + n.nextText
		case n.held:
			return "is waiting for the new configuration"
		case w.way != nil && !w.way[i]:
			return "is waiting: essential units have a head start"
		case n.Essential && !n.dropped:
			text += fmt.Sprintf(" (%s of %s, then it starts without)", lasted, short(unit.EssentialDeadline))
		case n.awaits() != "":
			text += " for " + n.awaits() + " (" + lasted + ")"
		default:
			text += " (" + lasted + ")"
		}
		if n.why != "" {
			text += "; before that: " + n.why
		}
		return text
	case unit.Starting:
		text := fmt.Sprintf("is starting (%s of %s)", lasted, short(n.startTimeout()))
		if n.hook.part != 0 {
			text = fmt.Sprintf("is starting: %s runs (%s of %s)", n.hook.part, lasted, short(n.hookTimeout()))
		}
		return join(text, n.note, n.why)
	case unit.Ready:
		switch {
		case n.sick != "":
			return "is ready, but not healthy: " + n.sick
		case n.stopping:
			return "is to stop, and waits for those that need it"
		}
		return join("is ready", n.note, n.why)
	case unit.Stopping:
		if n.hook.part != 0 {
			return join(fmt.Sprintf("is stopping: %s runs (%s of %s)", n.hook.part, lasted, short(n.hookTimeout())), n.why, "")
		}
		return join(fmt.Sprintf("is stopping (%s of %s)", lasted, short(n.stopTimeout())), n.why, "")
	case unit.BackOff:
		text := "failed: " + n.why
		if n.over() && n.retry > w.now {
			text += ", again in " + short(n.retry.Sub(w.now).Round(100*time.Millisecond))
		}
		return text
	case unit.Failed:
		return "failed: " + n.why
	case unit.Skipped:
		return "is skipped: " + n.why
	case unit.Stuck:
		return "is stuck: " + n.why
	}
	return n.why
}

// join puts together what is not empty.
func join(text, a, b string) string {
	for _, more := range [...]string{a, b} {
		if more != "" {
			text += ", " + more
		}
	}
	return text
}

// Nodes is every unit with its edges, in graph order.
func (s *State) Nodes() []unit.Node {
	nodes := make([]unit.Node, 0, len(s.nodes))
	for i := range s.nodes {
		n := &s.nodes[i]
		if n.Unit == hole {
			continue
		}
		v := unit.Node{Name: n.Name, Kind: n.Kind, State: n.state}
		lists := [...]*[]string{unit.Needs: &v.Needs, unit.Wants: &v.Wants, unit.After: &v.After}
		for _, e := range n.out {
			*lists[e.Kind] = append(*lists[e.Kind], s.nodes[e.To].Name)
		}
		nodes = append(nodes, v)
	}
	return nodes
}
