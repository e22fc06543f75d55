package supervisor

import "hoopy/unit"

// Report is what svc status shows of the named units, of all in graph order if
// none is named. Memory, processes and last lines are the arms' to add.
// Unknown names come back in missing.
func (s *State) Report(names []string) (reports []unit.Report, missing []string) {
	if len(names) == 0 {
		for i := range s.nodes {
			reports = append(reports, s.report(i))
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
		Name: n.Name, Kind: n.Kind, Description: n.Description, Essential: n.Essential,
		State: n.state, Up: n.up, Since: n.since, Run: n.run,
		Restarts: n.restarts, Note: n.note, Why: n.why,
	}
	if n.main {
		r.Pid = n.pid
	}
	switch n.state {
	case unit.BackOff:
		if n.over() {
			r.Retry = n.retry
		}
	case unit.Waiting:
		for _, name := range s.waits(i) {
			r.Waits = append(r.Waits, unit.Wait{Name: name})
		}
	}
	return r
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
		return !n.stopping && n.up
	case unit.BackOff:
		return n.over() || n.up
	default:
		return true
	}
}
