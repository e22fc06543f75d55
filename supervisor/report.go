package supervisor

import (
	"time"

	"hoopy/unit"
)

// Report is what svc status shows of the named units, of all in graph order if
// none is named. Memory, processes and last lines are the arms' to add.
// Unknown names come back in missing.
func (s *State) Report(names []string) (reports []unit.Report, missing []string) {
	if len(names) == 0 {
		for i := range s.nodes {
			if s.nodes[i].Unit != hole {
				reports = append(reports, s.report(i))
			}
		}
		return reports, nil
	}
	for _, name := range names {
		if i, ok := s.byName[name]; ok {
			reports = append(reports, s.report(i))
		} else {
			missing = append(missing, name)
		}
	}
	return reports, missing
}

func (s *State) report(i int) unit.Report {
	n := &s.nodes[i]
	r := unit.Report{
		Name: n.Name, Kind: n.Kind, Description: n.Description, File: n.File, Essential: n.Essential,
		State: n.state, Up: n.up, Since: n.since, Run: n.run, Part: n.hook.part,
		Restarts: n.restarts, Note: n.note, Why: n.why, Sick: n.sick,
	}
	if n.Kind != unit.Milestone {
		r.StartTimeout, r.StopTimeout = n.startTimeout(), n.stopTimeout()
	}
	r.Exit = n.exit
	if n.main {
		r.Pid = n.pid
	}
	if n.runsOnce() {
		r.LastRun, r.LastTook = n.lastRun, n.lastTook
	}
	if n.Kind == unit.Timer && n.up {
		r.Next, r.NextText = n.next, n.nextText
	}
	switch n.state {
	case unit.Starting:
		// "device UUID=B61B-19E7 (12 s of 30 s)"; pools count their disks themselves.
		if n.Kind == unit.Mount && n.note != "" && n.limit > n.phase {
			r.Note += " " + s.lasting(n.phase, n.limit)
		}
	case unit.BackOff:
		if n.over() {
			r.Retry = n.retry
		}
	case unit.Waiting:
		for _, on := range s.waitsFor(i) {
			r.Waits = append(r.Waits, unit.Wait{Name: s.nodes[on].Name, Text: s.more(on)})
		}
		if what := n.awaits(); what != "" && len(r.Waits) == 0 {
			r.Note = "for " + what
		}
	}
	return r
}

// awaits is what a milestone waits for that is no unit; empty: nothing.
func (n *node) awaits() string {
	switch n.Name {
	case unit.Devices:
		return "the devices that are there and their modules"
	case unit.Online:
		return "a default route"
	}
	return ""
}

// more is what is known about a unit that another one waits for.
func (s *State) more(i int) string {
	n := &s.nodes[i]
	switch n.state {
	case unit.Starting:
		what := n.note
		began, limit := n.phase, n.limit
		if n.hook.part != 0 {
			what, began, limit = n.hook.part.String()+" runs", n.hook.at, n.hook.limit
		}
		if what != "" {
			what += " "
		}
		return what + s.lasting(began, limit)
	case unit.BackOff:
		if n.over() {
			return n.why + ", again in " + short(max(n.retry.Sub(s.now), 0).Round(time.Second))
		}
		return n.why
	case unit.Failed, unit.Skipped, unit.Stuck:
		return n.state.String() + ": " + n.why
	case unit.Waiting:
		if n.note != "" {
			return n.note
		}
		return n.why
	case unit.Inactive, unit.Stopping:
		return n.state.String()
	}
	return ""
}

// Ending says how the machine is ending (0: it is not) and who asked.
func (s *State) Ending() (unit.How, string) { return s.ending, s.endedBy }

// BootedAt is when the boot milestone was reached; 0: not yet.
func (s *State) BootedAt() unit.Time { return s.bootAt }

// Safe says whether only essential units are started.
func (s *State) Safe() bool { return s.safe }

// Settled says whether nothing more will happen to the unit without a further
// event from outside: what an operator's start or stop waits for.
func (s *State) Settled(name string) bool {
	i, ok := s.byName[name]
	if !ok {
		return true
	}
	switch n := &s.nodes[i]; n.state {
	case unit.Starting, unit.Stopping:
		return false
	case unit.Waiting:
		return !s.underWay(i)
	case unit.Ready:
		return !n.stopping && n.up && n.reload != reloading && (n.hook.part == 0 || n.hook.stuck)
	case unit.BackOff:
		return n.over() || n.up
	default:
		return true
	}
}

// Unit is the unit called name; nil: there is none.
func (s *State) Unit(name string) *unit.Unit {
	if i, ok := s.byName[name]; ok {
		return s.nodes[i].Unit
	}
	return nil
}
