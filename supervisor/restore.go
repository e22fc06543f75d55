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
		s.do(unit.Action{Op: unit.SetTimer, Timer: unit.EndTimer, At: s.endAt.Add(unit.EndTimeout)})
		s.endSent = false // say it again: the keeper may not have heard it
	}
	s.settle()
	return s.actions, r
}

// correct puts a node right by what the keeper knows of its run.
func (s *State) correct(i int, t Running, rebuilt bool) {
	n := &s.nodes[i]
	if t.Run < n.run {
		return // an older run: sessions that outlived a restart, or an exit that is on its way
	}
	if t.Run > n.run {
		// It was spawned after the last snapshot.
		n.run, n.main, n.rest = t.Run, true, true
		n.killAt, n.fault, n.stopping = 0, "", false
		n.up = n.up || s.ending == 0
		n.state, n.since = unit.Starting, s.now
		if rebuilt && !t.Exited {
			// Without a snapshot nobody knows whether it said that it is ready;
			// it will not say so twice.
			n.state, n.readyAt = unit.Ready, s.now
		}
	}
	n.pid = t.Pid
}

// resume continues one node.
func (s *State) resume(i int, held map[unit.Run]bool, r *Restored) {
	n := &s.nodes[i]
	if n.Kind.HasProcess() && n.main && !held[n.run] {
		// The start never reached the keeper: nothing happened yet.
		n.main, n.rest, n.pid = false, false, 0
		if n.up && s.ending == 0 {
			n.again = true
		}
		s.conclude(i)
		return
	}
	if !n.over() {
		r.Adopted++
		s.do(unit.Action{Op: unit.Adopt, Unit: n.Unit, Run: n.run})
		if n.state == unit.Stopping {
			op := unit.Stop
			if n.killAt != 0 {
				op = unit.Kill
			}
			s.do(unit.Action{Op: op, Unit: n.Unit, Run: n.run, Signal: n.StopSignal})
		}
	}
	s.rearm(i)
	s.touch(i)
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
