package supervisor

import (
	"slices"
	"time"

	"hoopy/unit"
)

// State is everything the supervisor knows. It is not safe for concurrent use:
// Loop owns it.
type State struct {
	nodes  []node
	byName map[string]int
	epoch  uint32
	runs   uint32 // runs begun in this epoch
	gens   uint32 // of timers; one counter, so that no two are alike
	safe   bool   // only essential units are started

	retiring bool // units that Retire has to stop are still there, see lastToGo

	ending  unit.How // 0: not
	endedBy string
	endAt   unit.Time     // when the end began
	endFor  time.Duration // the last of its bounds that has passed, or more
	endSent bool          // EndNow was given
	told    bool          // Clear was given with a signal
	cleared bool          // nobody is left that is of no unit

	now     unit.Time
	actions []unit.Action
	queue   []int  // nodes to look at again; see settle
	stamp   uint64 // of the last change: what was found out before is out of date
	walk    uint64 // of the last walk along edges, for node.walked
	way     []bool // nodes that are on the way in; nil: it is open, see headStart
	onWayIn bool   // essential units are ready; a moment more, and the way opens
	laggard int    // a node that kept the boot milestone waiting, see booted
	bootAt  unit.Time
}

// node is one unit as it is now.
type node struct {
	*unit.Unit
	out []unit.Edge // to what this one needs, wants, comes after
	in  []unit.Edge // from those that do so with this one

	state unit.State
	up    bool // desired

	run   unit.Run // of the main command, or of the last one
	pid   int
	main  bool // the run's main process, or what the arm holds, is there
	rest  bool // processes of the run may be left
	moved bool // pid is what MainPid said
	hook  hook

	since   unit.Time // of the last transition
	readyAt unit.Time // of the last time it became ready
	killAt  unit.Time // SIGKILL was sent; 0: not
	phase   unit.Time // since then the main command starts, stops or reloads, and
	limit   unit.Time // it may do so until then; 0: it does nothing of that kind
	retry   unit.Time // BackOff ends
	dueAt   unit.Time // the timer has been due since; 0: it is not
	lastRun unit.Time // it was started the last time

	lastTook time.Duration // of lastRun until its end
	exit     unit.Status   // of the last run of the main command
	delay    time.Duration // of the last back-off
	restarts int
	signal   int // what stops this run; 0: the unit's own

	stopping bool   // is to stop as soon as those after it have
	again    bool   // is to start again once stopped, though it did not fail
	fault    string // how the run failed; empty: it did not
	never    bool   // it asked not to be started again
	absent   bool   // fault is a condition that does not hold
	dropped  bool   // unmet edges do not hold this start back
	held     bool   // not started before the next epoch, see Retire
	listed   bool   // in State.queue
	broken   string // why it can never start; empty: it can
	known    bool   // an earlier epoch decided about it already
	history  history
	added    bool // by Add
	late     bool // it comes after the milestone boot

	begun    bool // stop_post is owed once nothing is left
	mainDone bool // the command is ready: start_post runs, or is over
	preDone  bool // stop_pre has had its turn
	postDone bool // stop_post has had its turn

	reload   reload
	sick     string // how its health check fails; empty: it does not
	next     int64  // Unix time of the next run in nanoseconds; 0: not known
	nextText string

	under   bool   // see underWay, as found out at
	underAt uint64 // this stamp
	walked  uint64

	why  string // of the current state
	note string // the unit's own word

	gen [unit.Timers]uint32
	set [unit.Timers]bool
}

// reload is how far a running command is with reading its configuration anew.
type reload uint8

const (
	reloaded reload = iota
	reloading
	overdue // it has said nothing more for the time of a start
)

// NewState is the state of a machine on which nothing runs yet. In safe mode
// only essential units will be started.
func NewState(g *unit.Graph, epoch uint32, safe bool) *State {
	s := &State{
		nodes:  make([]node, len(g.Units)),
		byName: make(map[string]int, len(g.Units)),
		epoch:  epoch,
		safe:   safe,
	}
	for i, u := range g.Units {
		s.nodes[i] = node{Unit: u, out: g.Out(i), in: g.In(i), broken: g.Broken(i), added: u.Transient, late: u.Transient}
		s.byName[u.Name] = i
	}
	s.passLinks(unit.Network)
	s.passLinks(unit.Online)
	if boot, ok := s.byName[unit.Boot]; ok {
		s.up(boot, func(i int) bool { s.nodes[i].late = true; return true })
	}
	return s
}

// up calls visit for each node that has an edge to i, directly or not, once. A
// visit that returns false ends the walk on that path.
func (s *State) up(i int, visit func(i int) bool) {
	s.walk++
	var from func(i int)
	from = func(i int) {
		for _, e := range s.nodes[i].in {
			if v := &s.nodes[e.To]; v.walked != s.walk {
				v.walked = s.walk
				if visit(e.To) {
					from(e.To)
				}
			}
		}
	}
	from(i)
}

// passLinks puts a milestone after every link: what it stands for changes with
// them, and at the end they outlive what needs it.
func (s *State) passLinks(name string) {
	m, ok := s.byName[name]
	if !ok {
		return
	}
	for i := range s.nodes {
		if n := &s.nodes[i]; n.Kind == unit.Link {
			n.in = append(slices.Clip(n.in), unit.Edge{To: m, Kind: unit.After})
			s.nodes[m].out = append(slices.Clip(s.nodes[m].out), unit.Edge{To: i, Kind: unit.After})
		}
	}
}

// active says whether the node holds processes, or whatever else its arm
// acquired, and so has its place in the stop order.
func (n *node) active() bool {
	return n.state == unit.Starting || n.state == unit.Ready || n.state == unit.Stopping ||
		n.state == unit.BackOff && !n.empty()
}

// empty says that nothing of the last run of the main command is left.
func (n *node) empty() bool { return !n.main && !n.rest }

// over says that nothing of the unit is left, hooks included.
func (n *node) over() bool { return n.empty() && n.hook.part == 0 }

func (s *State) do(a unit.Action) { s.actions = append(s.actions, a) }

// become is the one place where a unit changes its state.
func (s *State) become(i int, to unit.State, why string) {
	n := &s.nodes[i]
	s.record(i, to)
	from := n.state
	n.state, n.since, n.why = to, s.now, why
	if to == unit.Ready && why == "" {
		why = n.note
	}
	say := unit.Action{Op: unit.Say, Unit: n.Unit, Run: n.run, From: from, To: to, Text: why}
	if to == unit.BackOff && n.over() {
		say.At = n.retry
	}
	s.do(say)
	s.cancel(i, unit.StartTimer, unit.StopTimer, unit.KillTimer, unit.BackOffTimer, unit.WaitTimer)
	if to != unit.Waiting {
		s.cancel(i, unit.DeadlineTimer)
	}
	switch to {
	case unit.Ready:
		n.readyAt = s.now
	case unit.Inactive, unit.Failed, unit.Skipped:
		n.dueAt = 0
	}
	s.rearm(i)
	s.touch(i)
	for _, e := range n.out {
		s.touch(e.To)
	}
	s.touchWaiting(i)
	if s.ending != 0 {
		s.touchGround()
	}
}

// touchWaiting looks again at all that waits for the node, directly or not:
// what it becomes may decide whether those in between still have a chance.
func (s *State) touchWaiting(i int) {
	s.up(i, func(i int) bool {
		s.touch(i)
		return s.nodes[i].state == unit.Waiting
	})
}

// rearm sets the timers that belong to the node's state. Every time is counted
// from a moment in the state, so that it also serves after a restore.
func (s *State) rearm(i int) {
	n := &s.nodes[i]
	switch n.state {
	case unit.Waiting:
		since := n.since
		if n.Kind == unit.Timer {
			if n.dueAt == 0 {
				return
			}
			since = max(since, n.dueAt)
		}
		s.timer(i, unit.WaitTimer, since.Add(unit.WaitNote))
		if n.Essential && !n.dropped {
			s.timer(i, unit.DeadlineTimer, since.Add(unit.EssentialDeadline))
		}
	case unit.Starting:
		s.timer(i, unit.WaitTimer, n.since.Add(unit.WaitNote))
		s.timerAtLimit(i, unit.StartTimer)
	case unit.Ready:
		s.timerAtLimit(i, unit.StartTimer)
	case unit.Stopping:
		s.timer(i, unit.WaitTimer, n.since.Add(unit.WaitNote))
		if n.killAt != 0 {
			s.timer(i, unit.KillTimer, n.killAt.Add(unit.KillTimeout))
		} else {
			s.timerAtLimit(i, unit.StopTimer)
		}
	case unit.BackOff:
		if n.over() {
			s.timer(i, unit.BackOffTimer, n.retry)
		}
	case unit.Inactive, unit.Failed, unit.Skipped, unit.Stuck:
	}
}

// bound gives what the main command is about to do the time d.
func (s *State) bound(i int, t unit.TimerFor, d time.Duration) {
	n := &s.nodes[i]
	n.phase, n.limit = s.now, s.now.Add(d)
	s.timer(i, t, n.limit)
}

func (s *State) unbound(i int) {
	s.nodes[i].phase, s.nodes[i].limit = 0, 0
	s.cancel(i, unit.StartTimer, unit.StopTimer)
}

func (s *State) timerAtLimit(i int, t unit.TimerFor) {
	if at := s.nodes[i].limit; at != 0 {
		s.timer(i, t, at)
	}
}

func (n *node) startTimeout() time.Duration { return orElse(n.StartTimeout, unit.DefaultStartTimeout) }
func (n *node) stopTimeout() time.Duration  { return orElse(n.StopTimeout, unit.DefaultStopTimeout) }
func (n *node) hookTimeout() time.Duration  { return orElse(n.HookTimeout, unit.DefaultHookTimeout) }

func orElse(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// timer asks for a timer and gives it a new generation.
func (s *State) timer(i int, t unit.TimerFor, at unit.Time) {
	n := &s.nodes[i]
	s.gens++
	n.gen[t] = s.gens
	n.set[t] = true
	s.do(unit.Action{Op: unit.SetTimer, Unit: n.Unit, Timer: t, Gen: n.gen[t], At: at})
}

// cancel makes the timers stale: should they fire, nothing knows them.
func (s *State) cancel(i int, ts ...unit.TimerFor) {
	n := &s.nodes[i]
	for _, t := range ts {
		n.set[t] = false
	}
}

// touch has settle look at the node.
func (s *State) touch(i int) {
	s.stamp++
	if !s.nodes[i].listed {
		s.nodes[i].listed = true
		s.queue = append(s.queue, i)
	}
}
