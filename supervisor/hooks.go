package supervisor

import "hoopy/unit"

// hook is a process besides the main command. There is one at a time.
type hook struct {
	part   unit.Part // 0: none
	run    unit.Run  // of this one, or of the last
	main   bool      // its process is there
	killed bool      // SIGKILL was sent to what there is of it
	stuck  bool      // it survives that: nobody waits for it any more
	fault  string    // how it failed; empty: it did not
	at     unit.Time // it began, and
	limit  unit.Time // may last until then; once killed, until then to be gone
}

const survives = " survives SIGKILL: it waits for a disk or the kernel"

// runHook starts a hook.
func (s *State) runHook(i int, p unit.Part) {
	n := &s.nodes[i]
	n.hook = hook{part: p, run: s.newRun(p), main: true, at: s.now, limit: s.now.Add(n.hookTimeout())}
	s.timer(i, unit.HookTimer, n.hook.limit)
	s.do(unit.Action{Op: unit.Start, Unit: n.Unit, Run: n.hook.run, Part: p, Pid: n.pid})
}

// killHook ends the hook that runs, if one does. A fault is why.
func (s *State) killHook(i int, fault string) {
	n := &s.nodes[i]
	h := &n.hook
	if h.part == 0 || h.killed {
		return
	}
	if h.fault == "" {
		h.fault = fault
	}
	h.killed, h.limit = true, s.now.Add(unit.KillTimeout)
	s.timer(i, unit.HookTimer, h.limit)
	s.do(unit.Action{Op: unit.Kill, Unit: n.Unit, Run: h.run, Part: h.part})
}

// ofHook takes what happened to the hook's run.
func (s *State) ofHook(i int, ev unit.Event) {
	n := &s.nodes[i]
	h := &n.hook
	switch ev.Op {
	case unit.Exited:
		if !h.main {
			return
		}
		h.main = false
		if code, ok := ev.Status.Exit(); h.fault == "" && !(ok && code == 0) {
			h.fault = describe(ev.Status)
		}
		s.killHook(i, "") // what it left behind
	case unit.StartFailed:
		h.main = false
		if h.fault == "" {
			h.fault = ev.Text
		}
		if h.part == unit.StartPre {
			n.begun = false
		}
		s.hookOver(i)
	case unit.Absent:
		if h.part == unit.StartPre && n.state == unit.Starting {
			n.absent, n.begun = true, false
		}
		h.main, h.fault = false, ev.Text
		s.hookOver(i)
	case unit.Empty:
		if h.main && h.fault == "" {
			h.fault = "it is gone"
		}
		s.hookOver(i)
	case unit.Extend:
		if until := s.now.Add(min(ev.For, extendMost)); !h.killed && until > h.limit {
			h.limit = until
			s.timer(i, unit.HookTimer, until)
		}
	}
}

func (s *State) hookTimedOut(i int) {
	h := &s.nodes[i].hook
	switch {
	case h.part == 0 || h.stuck:
	case !h.killed:
		s.killHook(i, "not done within "+short(h.limit.Sub(h.at)))
	default:
		h.stuck = true
		if h.fault == "" {
			h.fault = "what it left behind" + survives
		} else {
			s.note(i, h.part.String()+survives)
		}
		s.hookDone(i, h.part, h.fault)
	}
}

// hookOver: nothing of the hook is left.
func (s *State) hookOver(i int) {
	n := &s.nodes[i]
	h := n.hook
	s.do(unit.Action{Op: unit.Release, Unit: n.Unit, Run: h.run, Part: h.part})
	s.cancel(i, unit.HookTimer)
	n.hook = hook{run: h.run}
	if !h.stuck {
		s.hookDone(i, h.part, h.fault)
	} else if n.state == unit.Stopping || n.state == unit.Stuck {
		s.descend(i)
	}
}

// hookDone goes on after a hook.
func (s *State) hookDone(i int, p unit.Part, fault string) {
	n := &s.nodes[i]
	if fault != "" && !n.absent {
		fault = p.String() + ": " + fault
	}
	switch n.state {
	case unit.Starting:
		switch {
		case fault != "":
			n.fault = fault
			s.beginStop(i, fault)
		case n.stopping || n.held || !n.up || s.ending != 0:
			s.beginStop(i, "asked to stop while it started")
		case p == unit.StartPre:
			s.spawn(i)
		default:
			s.started(i)
		}
	case unit.Ready:
		if fault != "" {
			n.why = fault
			s.note(i, fault)
		} else if n.reload == reloaded {
			n.why = ""
		}
	case unit.Stopping, unit.Stuck:
		if fault != "" && (p == unit.StopPre || p == unit.StopPost) {
			s.note(i, fault)
		}
		s.descend(i)
	case unit.Inactive, unit.Waiting, unit.BackOff, unit.Failed, unit.Skipped:
	}
}
