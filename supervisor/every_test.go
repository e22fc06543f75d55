package supervisor

import (
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

// Every event in every state: nothing panics, and only listed transitions are
// taken (sim.carryOut checks).
func TestEveryEventInEveryState(t *testing.T) {
	all := hooked(unit.StartPre, unit.StartPost, unit.StopPre, unit.StopPost, unit.Reload)
	kinds := [][]*unit.Unit{{service("u")}, {service("u", all)}, {service("u", readyBy(unit.ByPidFile))}, {task("u")}, {task("u", all)},
		{timer("u")}, {timer("u", all)}, {link("u")}}
	for k := range kinds {
		kinds[k] = append(kinds[k], service("v", needs("u")), service("w", essential, needs("u")))
	}
	for _, state := range unit.States {
		for op := unit.Spawned; op <= unit.Planned; op++ {
			for _, units := range kinds {
				for _, part := range partsIn(state, units[0]) {
					for bits := range 16 {
						everyEvent(t, units, state, op, part, bits)
					}
				}
			}
		}
	}
}

// partsIn are the hooks that may run in a state.
func partsIn(state unit.State, u *unit.Unit) []unit.Part {
	if u.Hooks[unit.StartPre] == nil {
		return []unit.Part{0}
	}
	switch state {
	case unit.Starting:
		return []unit.Part{0, unit.StartPre, unit.StartPost}
	case unit.Ready:
		return []unit.Part{0, unit.Reload}
	case unit.Stopping, unit.Stuck:
		return []unit.Part{0, unit.StartPre, unit.StartPost, unit.StopPre, unit.StopPost, unit.Reload}
	}
	return []unit.Part{0}
}

func everyEvent(t *testing.T, units []*unit.Unit, state unit.State, op unit.EventOp, part unit.Part, bits int) {
	const run = 8
	for timer := range unit.Timers {
		if timer > 0 && op != unit.TimerFired {
			return
		}
		m := newSim(t, units...)
		n := m.node("u")
		n.state, n.up = state, bits&1 != 0
		if state == unit.Starting || state == unit.Stopping || state == unit.Stuck || state == unit.Ready && n.Kind != unit.Task {
			n.main, n.rest = bits&2 != 0 && n.Kind.HasProcess(), true
		}
		n.stopping = bits&4 != 0
		n.run, n.set[timer] = run, true
		id := n.run
		if part != 0 {
			n.hook = hook{part: part, run: run | unit.Run(part), main: true, killed: bits&2 != 0}
			m.traces["u"] = n.hook.run
			n.begun = true
			switch part {
			case unit.StartPre, unit.StopPost:
				n.main, n.rest = false, false
			}
			if bits&8 != 0 {
				id = n.hook.run
			}
		}
		if n.main {
			m.live["u"] = run
		}
		if n.rest {
			m.left["u"] = run
		}
		m.of("u").blurred = true
		if id == run && !n.empty() || id != run {
			switch op {
			case unit.Exited, unit.Empty, unit.StartFailed, unit.Absent:
				if id == run {
					delete(m.live, "u")
					if op != unit.Exited {
						delete(m.left, "u")
					}
				} else {
					m.of("u").preOK = true
					delete(m.traces, "u")
				}
			}
		}
		if timer == unit.HookTimer && n.hook.killed {
			delete(m.traces, "u") // it is given up
		}
		m.send(unit.Event{Op: op, Unit: "u", Run: id, Timer: timer, Gen: n.gen[timer], Status: 9, Pid: 77, Seq: 99,
			Force: bits&8 == 0, For: time.Hour, Text: "text"})
		if m.uncommi[99] {
			t.Errorf("event %d in %s: not committed", op, state)
		}
		if m.node("u").state != state && state == unit.Ready && (op == unit.Noted || op == unit.Healthy || op == unit.MainPid || op == unit.Extend) {
			t.Errorf("event %d moved the unit", op)
		}
		if t.Failed() {
			t.Fatalf("event %d in %s, %s of kind %s, timer %d, bits %b\n%s", op, state, part, units[0].Kind, timer, bits, strings.Join(m.lines, "\n"))
		}
		m.run(time.Second) // whatever was put there, it goes on from it
	}
}
