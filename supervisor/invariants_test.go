package supervisor

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"hoopy/unit"
)

// invariants hold at any moment, whatever the schedule.
func (m *model) invariants() {
	m.t.Helper()
	for i := range m.s.nodes {
		n := &m.s.nodes[i]
		if n.state == unit.Ready && n.Kind.HasProcess() && !n.Essential && !n.stopping && n.up {
			for _, e := range n.out {
				if on := &m.s.nodes[e.To]; e.Kind == unit.Needs && on.state != unit.Ready {
					m.t.Errorf("%s is ready while %s, which it needs, is %s", n.Name, on.Name, on.state)
				}
			}
		}
		if !n.active() && n.state != unit.Stuck && !n.over() {
			m.t.Errorf("%s is %s and holds run %x, hook %s", n.Name, n.state, n.run, n.hook.part)
		}
		if n.state == unit.Stopping && m.now.Sub(n.since) > 5*time.Minute {
			m.t.Errorf("%s has been stopping since %s", n.Name, time.Duration(n.since))
		}
		if n.state == unit.Waiting && n.Kind != unit.Milestone && n.isDue() && !n.held && m.s.mayStart(i) {
			m.t.Errorf("%s waits for nothing", n.Name)
		}
		if n.Essential && n.state == unit.Failed {
			m.t.Errorf("%s is essential and was given up: %s", n.Name, n.why)
		}
		if n.Kind == unit.Timer && n.state == unit.Starting && n.dueAt != 0 && n.hook.part == 0 && n.empty() {
			m.t.Errorf("timer %s starts and does not", n.Name)
		}
	}
}

// shadow restores the state elsewhere and holds both against the next event: a
// restore decides nothing, and the future is the same.
func (m *model) shadow() {
	for i := range m.s.nodes {
		n := &m.s.nodes[i]
		_, lives := m.live[n.Name]
		_, hook := m.hooks[n.Name]
		if n.held || n.main && !lives || n.hook.main && n.hook.part != 0 && !hook {
			return // a start that fails is not in the keeper's table
		}
	}
	twin := NewState(m.graph(), m.s.epoch, false)
	acts, _ := twin.Restore(m.s.Append(nil), m.table(), m.now)
	for _, a := range acts {
		if a.Op == unit.Start || a.Op == unit.Say || a.Op == unit.Release {
			m.t.Errorf("a restore does %s", act(a))
		}
	}
	m.before = func(ev unit.Event) func([]unit.Action) {
		if i, ok := m.s.byName[ev.Unit]; ok && ev.Op == unit.TimerFired {
			n, other := &m.s.nodes[i], &twin.nodes[twin.byName[ev.Unit]]
			if !n.set[ev.Timer] || n.gen[ev.Timer] != ev.Gen {
				return nil
			}
			if !other.set[ev.Timer] {
				m.t.Errorf("unit %s: timer %d is not set after a restore in %s", ev.Unit, ev.Timer, n.state)
			}
			ev.Gen = other.gen[ev.Timer]
		}
		want := acted(twin.Step(ev))
		return func(acts []unit.Action) {
			if got := acted(acts); !slices.Equal(got, want) {
				m.t.Errorf("event %d of %s, timer %d: a restored state would do\n%s\nand this does\n%s", ev.Op, ev.Unit, ev.Timer, strings.Join(want, "\n"), strings.Join(got, "\n"))
			}
		}
	}
}

// acted are the actions that the world sees, in no order.
func acted(acts []unit.Action) (lines []string) {
	for _, a := range acts {
		if a.Op != unit.SetTimer {
			lines = append(lines, act(a))
		}
	}
	sort.Strings(lines)
	return lines
}

func act(a unit.Action) string {
	name := ""
	if a.Unit != nil {
		name = a.Unit.Name
	}
	return fmt.Sprintf("%d %s %s %d %s %s %q %d", a.Op, name, a.Part, a.Signal, a.From, a.To, a.Text, a.Seq)
}
