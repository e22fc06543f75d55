package supervisor

import (
	"fmt"
	"time"

	"hoopy/unit"
)

// note says something about a unit whose state stays.
func (s *State) note(i int, text string) {
	n := &s.nodes[i]
	s.do(unit.Action{Op: unit.Say, Unit: n.Unit, Run: n.run, From: n.state, To: n.state, Text: text})
}

// waitText names what a unit has been waiting for since unit.WaitNote.
func (s *State) waitText(i int) string {
	n := &s.nodes[i]
	after := short(unit.WaitNote)
	switch {
	case n.state == unit.Waiting:
		text := "for " + list(s.waits(i)) + " (" + after
		if n.Essential {
			text += " of " + short(unit.EssentialDeadline)
		}
		return text + ")"
	case n.hook.part != 0:
		return n.hook.part.String() + " still runs " + s.lasting(n.hook.at, n.hook.limit)
	case n.state == unit.Stopping:
		if n.killAt != 0 {
			return "killed, not gone yet"
		}
		return "still ending " + s.lasting(n.phase, n.limit) + ", then it is killed"
	default:
		text := "not ready yet"
		if n.Kind == unit.Timer || n.ReadyBy == unit.ByExit {
			text = "still runs"
		}
		if n.note != "" {
			text += ": " + n.note
		}
		return text + " " + s.lasting(n.phase, n.limit)
	}
}

// lasting is how long something that began then has lasted by now, and how long
// it may: "(5 s of 30 s)".
func (s *State) lasting(began, limit unit.Time) string {
	if began <= 0 || limit <= began {
		return "(" + short(unit.WaitNote) + ")"
	}
	return "(" + short(s.now.Sub(began).Truncate(time.Second)) + " of " + short(limit.Sub(began)) + ")"
}

// describe is a wait status in words.
func describe(st unit.Status) string {
	if sig, ok := st.Signal(); ok {
		if name, ok := unit.SignalName(sig); ok {
			return "killed by SIG" + name
		}
		return fmt.Sprintf("killed by signal %d", sig)
	}
	code, _ := st.Exit()
	return fmt.Sprintf("exit %d", code)
}

// short is a duration without the zeros that time.Duration prints.
func short(d time.Duration) string {
	switch {
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d%time.Second == 0:
		return fmt.Sprintf("%d s", d/time.Second)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// list joins names for a sentence; a long one is cut.
func list(names []string) string {
	const most = 4
	if len(names) == 0 {
		return "its turn"
	}
	text := names[0]
	for k, name := range names[1:] {
		if k+1 == most {
			return text + fmt.Sprintf(" and %d more", len(names)-most)
		}
		text += ", " + name
	}
	return text
}
