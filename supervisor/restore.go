package supervisor

import (
	"fmt"
	"sort"

	"hoopy/unit"
)

// Running is a run that the keeper holds: its table wins over the snapshot.
type Running struct {
	Unit   string
	Run    unit.Run
	Pid    int
	Exited bool // its exit was not committed; the event follows
}

// Restored is what a restore found that the operator should know.
type Restored struct {
	Rebuilt bool     // there was no readable snapshot
	Adopted int      // runs that go on
	Strays  []string // units that run and are not in the configuration
}

// Restore takes over from an earlier epoch: the snapshot (nil: none, or not to
// be trusted), put right by the keeper's table of runs. Nothing that runs is
// stopped or started anew by it. The actions adopt what lives and set the
// timers again.
func (s *State) Restore(snapshot []byte, table []Running, now unit.Time) ([]unit.Action, Restored) {
	var r Restored
	s.now, s.actions = now, s.actions[:0]
	if snapshot == nil || s.load(snapshot) != nil {
		r.Rebuilt = true
	}
	sort.Slice(table, func(a, b int) bool { return table[a].Run < table[b].Run })
	held := make(map[unit.Run]bool, len(table))
	for _, t := range table {
		held[t.Run] = true
		i, ok := s.byName[t.Unit]
		if !ok {
			r.Strays = append(r.Strays, t.Unit)
			continue
		}
		s.correct(i, t, r.Rebuilt)
	}
	for i := range s.nodes {
		s.resume(i, held, &r)
	}
	if s.ending != 0 {
		s.endTimers()
		s.endSent = false // said again, as is Clear: who was told may not have heard it, or is gone
		sig := 0
		if s.told {
			sig = sigTerm
		}
		s.do(unit.Action{Op: unit.Clear, Unit: nobody, Signal: sig})
	}
	s.settle()
	return s.actions, r
}

// correct puts a node right by what the keeper knows of its run.
func (s *State) correct(i int, t Running, rebuilt bool) {
	n := &s.nodes[i]
	part := partOf(t.Run)
	if t.Run > max(n.run, n.hook.run) && part < unit.Parts {
		// It was spawned after the last snapshot.
		n.up = n.up || s.ending == 0
		if part == unit.Main {
			s.found(n, t, rebuilt)
		} else {
			s.foundHook(n, t, part)
		}
	}
	// Else it is known, or an older one: sessions that outlived a restart, an
	// exit that is on its way.
	if t.Run == n.run && !n.moved {
		n.pid = t.Pid
	}
}

func (s *State) found(n *node, t Running, rebuilt bool) {
	n.run, n.main, n.rest, n.moved, n.begun = t.Run, true, true, false, true
	n.killAt, n.fault, n.stopping, n.signal = 0, "", false, 0
	n.mainDone, n.preDone, n.postDone, n.reload = false, false, false, reloaded
	n.phase, n.limit, n.dueAt = s.now, s.now.Add(n.startTimeout()), 0
	n.state, n.since, n.lastRun = unit.Starting, s.now, s.now
	if rebuilt && !t.Exited && !n.runsOnce() {
		// Without a snapshot nobody knows whether it said that it is ready;
		// it will not say so twice.
		n.state, n.readyAt, n.mainDone, n.phase, n.limit = unit.Ready, s.now, true, 0, 0
	}
}

// foundHook: what the unit is at can be told from its hook.
func (s *State) foundHook(n *node, t Running, part unit.Part) {
	n.hook = hook{part: part, run: t.Run, main: true, at: s.now, limit: s.now.Add(n.hookTimeout())}
	n.since, n.begun, n.phase, n.limit = s.now, true, 0, 0
	switch part {
	case unit.StartPre:
		n.state, n.lastRun = unit.Starting, s.now
	case unit.StartPost:
		n.state, n.mainDone = unit.Starting, true
	case unit.Reload:
		if n.main {
			n.state, n.mainDone = unit.Ready, true
			break
		}
		fallthrough
	default:
		n.state, n.again, n.preDone, n.postDone = unit.Stopping, true, true, part == unit.StopPost
	}
}

// resume continues one node.
func (s *State) resume(i int, held map[unit.Run]bool, r *Restored) {
	n := &s.nodes[i]
	s.resumeHook(i, held)
	if n.Kind.HasProcess() && n.main && !n.moved && !held[n.run] {
		// The start never reached the keeper: nothing happened yet.
		if n.up && s.ending == 0 {
			n.again = true
		}
		n.begun = n.Hooks[unit.StartPre] != nil
		s.rearm(i)
		s.gone(i)
		return
	}
	if !n.empty() {
		r.Adopted++
		a := unit.Action{Op: unit.Adopt, Unit: n.Unit, Run: n.run, Part: unit.Main, To: n.state}
		if n.moved {
			a.Pid = n.pid
		}
		s.do(a)
		switch {
		case n.killAt != 0:
			s.do(unit.Action{Op: unit.Kill, Unit: n.Unit, Run: n.run})
		case n.state == unit.Stopping && n.limit != 0:
			s.sendStop(i)
		}
	}
	s.rearm(i)
	if n.state == unit.Stopping {
		s.descend(i)
	}
	s.touch(i)
}

// resumeHook continues the hook of a node. One whose start never reached the
// keeper is started again: each runs at least once.
func (s *State) resumeHook(i int, held map[unit.Run]bool) {
	n := &s.nodes[i]
	h := &n.hook
	switch {
	case h.part == 0:
	case h.main && !held[h.run] && !h.killed:
		s.runHook(i, h.part)
	default:
		s.do(unit.Action{Op: unit.Adopt, Unit: n.Unit, Run: h.run, Part: h.part})
		if h.killed {
			s.do(unit.Action{Op: unit.Kill, Unit: n.Unit, Run: h.run, Part: h.part})
		}
		if !h.stuck {
			s.timer(i, unit.HookTimer, h.limit)
		}
	}
}

// Line is the restore in words, for the console.
func (r Restored) Line() string {
	text := fmt.Sprintf("%d runs taken over", r.Adopted)
	if r.Rebuilt {
		text += ", states rebuilt from what runs"
	}
	if len(r.Strays) > 0 {
		text += "; not in the configuration: " + list(r.Strays)
	}
	return text
}
