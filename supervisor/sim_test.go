package supervisor

import (
	"sort"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

// sim plays keeper and arms: it carries out what a State asks for, keeps the
// clock, and holds the invariants that no schedule may break.
type sim struct {
	t       *testing.T
	s       *State
	units   []*unit.Unit
	now     unit.Time
	due     []dueEvent
	seq     uint64
	live    map[string]unit.Run // units whose main process lives
	left    map[string]unit.Run // units with processes in the run's cgroup
	act     map[string]conduct
	lines   []string // transitions: "name: ready"
	starts  map[string]int
	over    unit.How
	uncommi map[uint64]bool // events sent with a Seq and not committed
}

type dueEvent struct {
	at  unit.Time
	ord uint64
	ev  unit.Event
}

// conduct is how a unit behaves. The zero value: it is spawned at once, ready
// by its ReadyBy, and ends when asked to.
type conduct struct {
	exitAfter  time.Duration // 0: stays
	exitStatus unit.Status
	notifyIn   time.Duration // ByNotify, ByTCP, ByArm: ready after; <0: never
	startFails string
	absent     string
	ignoreTerm bool
	dState     bool // survives SIGKILL
}

func newSim(t *testing.T, units ...*unit.Unit) *sim {
	t.Helper()
	m := &sim{t: t, units: units, live: map[string]unit.Run{}, left: map[string]unit.Run{},
		act: map[string]conduct{}, starts: map[string]int{}, uncommi: map[uint64]bool{}, now: unit.Time(time.Second)}
	m.s = NewState(m.graph(), 1, false)
	return m
}

func (m *sim) graph() *unit.Graph {
	m.t.Helper()
	g, err := unit.NewGraph(m.units)
	if err != nil {
		m.t.Fatal(err)
	}
	return g
}

func (m *sim) boot() *sim {
	m.carryOut(m.s.Begin(m.now, 0))
	return m
}

func (m *sim) later(d time.Duration, ev unit.Event) {
	m.seq++
	m.due = append(m.due, dueEvent{m.now.Add(d), m.seq, ev})
}

// send lets one event in now.
func (m *sim) send(ev unit.Event) {
	m.t.Helper()
	ev.Now = m.now
	if ev.Seq != 0 {
		m.uncommi[ev.Seq] = true
	}
	m.carryOut(m.s.Step(ev))
}

// run lets d pass.
func (m *sim) run(d time.Duration) *sim {
	m.t.Helper()
	end := m.now.Add(d)
	for steps := 0; ; steps++ {
		if steps > 100000 {
			m.t.Fatal("the machine never comes to rest")
		}
		sort.Slice(m.due, func(a, b int) bool {
			if m.due[a].at != m.due[b].at {
				return m.due[a].at < m.due[b].at
			}
			return m.due[a].ord < m.due[b].ord
		})
		if len(m.due) == 0 || m.due[0].at > end {
			break
		}
		d := m.due[0]
		m.due = m.due[1:]
		m.now = max(m.now, d.at)
		m.dispatch(d.ev)
	}
	m.now = end
	return m
}

// dispatch drops what the world has overtaken, then sends.
func (m *sim) dispatch(ev unit.Event) {
	switch ev.Op {
	case unit.Spawned, unit.IsReady:
		if ev.Run != 0 && m.left[ev.Unit] != ev.Run {
			return
		}
	case unit.Exited:
		if m.live[ev.Unit] != ev.Run {
			return
		}
		delete(m.live, ev.Unit)
		m.seq++
		ev.Seq = m.seq
	case unit.Empty:
		if m.left[ev.Unit] != ev.Run {
			return
		}
		delete(m.left, ev.Unit)
	}
	m.send(ev)
}

func (m *sim) carryOut(acts []unit.Action) {
	acts = append([]unit.Action(nil), acts...)
	for _, a := range acts {
		name := ""
		if a.Unit != nil {
			name = a.Unit.Name
		}
		c := m.act[name]
		switch a.Op {
		case unit.Start:
			m.started(a, c)
		case unit.Stop, unit.Kill:
			if a.Op == unit.Stop && c.ignoreTerm || c.dState {
				continue
			}
			sig := unit.Status(15)
			if a.Op == unit.Kill {
				sig = 9
			}
			if m.live[name] == a.Run {
				m.later(time.Millisecond, unit.Event{Op: unit.Exited, Unit: name, Run: a.Run, Status: sig})
			}
			m.later(2*time.Millisecond, unit.Event{Op: unit.Empty, Unit: name, Run: a.Run})
		case unit.Adopt:
			if m.left[name] != a.Run {
				m.later(0, unit.Event{Op: unit.Empty, Unit: name, Run: a.Run})
			}
		case unit.SetTimer:
			m.later(a.At.Sub(m.now), unit.Event{Op: unit.TimerFired, Unit: name, Timer: a.Timer, Gen: a.Gen})
		case unit.Commit:
			delete(m.uncommi, a.Seq)
		case unit.Say:
			if a.From == a.To {
				m.lines = append(m.lines, name+": "+a.Text)
				continue
			}
			if !mayBecome(a.From, a.To) {
				m.t.Errorf("unit %s went from %s to %s, which unit.State does not list", name, a.From, a.To)
			}
			m.lines = append(m.lines, name+": "+a.To.String())
		case unit.EndNow:
			m.over = a.How
		}
	}
}

func (m *sim) started(a unit.Action, c conduct) {
	name := a.Unit.Name
	if run, ok := m.live[name]; ok {
		m.t.Errorf("unit %s: run %d starts while %d lives", name, a.Run, run)
	}
	if m.s.ending != 0 {
		m.t.Errorf("unit %s starts while the machine ends", name)
	}
	m.starts[name]++
	if c.startFails != "" {
		m.later(time.Millisecond, unit.Event{Op: unit.StartFailed, Unit: name, Run: a.Run, Text: c.startFails})
		return
	}
	if c.absent != "" {
		m.later(time.Millisecond, unit.Event{Op: unit.Absent, Unit: name, Run: a.Run, Text: c.absent})
		return
	}
	m.left[name] = a.Run
	if a.Unit.Kind.HasProcess() {
		m.live[name] = a.Run
		m.later(time.Millisecond, unit.Event{Op: unit.Spawned, Unit: name, Run: a.Run, Pid: 100 + int(a.Run&0xffff)})
	}
	switch a.Unit.ReadyBy {
	case unit.ByNotify, unit.ByTCP, unit.ByArm:
		if c.notifyIn >= 0 {
			m.later(c.notifyIn+2*time.Millisecond, unit.Event{Op: unit.IsReady, Unit: name, Run: a.Run})
		}
	case unit.ByExit:
		if c.exitAfter == 0 {
			c.exitAfter = 10 * time.Millisecond
		}
	}
	if c.exitAfter > 0 {
		m.later(c.exitAfter, unit.Event{Op: unit.Exited, Unit: name, Run: a.Run, Status: c.exitStatus})
		m.later(c.exitAfter+time.Millisecond, unit.Event{Op: unit.Empty, Unit: name, Run: a.Run})
	}
}

// want checks states: "sshd ready".
func (m *sim) want(states ...string) *sim {
	m.t.Helper()
	for _, w := range states {
		name, state, _ := strings.Cut(w, " ")
		if got := m.s.nodes[m.s.byName[name]].state.String(); got != state {
			m.t.Errorf("at %s unit %s is %s, want %s\n%s", time.Duration(m.now), name, got, state, strings.Join(m.lines, "\n"))
		}
	}
	return m
}

// order checks that the lines came in this order.
func (m *sim) order(lines ...string) {
	m.t.Helper()
	at := 0
	for _, want := range lines {
		for at < len(m.lines) && !strings.HasPrefix(m.lines[at], want) {
			at++
		}
		if at == len(m.lines) {
			m.t.Fatalf("no %q in its place in\n%s", want, strings.Join(m.lines, "\n"))
		}
		at++
	}
}

func (m *sim) reset() *sim { m.lines = nil; return m }

// crash replaces the state by one that a new epoch restores. With snapshot
// false it has to do with the keeper's table alone.
func (m *sim) crash(snapshot []byte) Restored {
	var table []Running
	for name, run := range m.left {
		_, alive := m.live[name]
		if i, ok := m.s.byName[name]; ok && m.s.nodes[i].Kind.HasProcess() {
			table = append(table, Running{Unit: name, Run: run, Pid: 100 + int(run&0xffff), Exited: !alive})
		}
	}
	epoch := m.s.epoch + 1
	kept := m.due[:0]
	for _, d := range m.due {
		if d.ev.Op != unit.TimerFired {
			kept = append(kept, d)
		}
	}
	m.due = kept
	m.s = NewState(m.graph(), epoch, false)
	acts, r := m.s.Restore(snapshot, table, m.now)
	m.carryOut(acts)
	m.carryOut(m.s.Begin(m.now, 0))
	return r
}

func mayBecome(from, to unit.State) bool {
	for _, s := range exits[from] {
		if s == to {
			return true
		}
	}
	return false
}

// exits is what the comments of unit.State promise.
var exits = map[unit.State][]unit.State{
	unit.Inactive: {unit.Waiting, unit.Ready},
	unit.Waiting:  {unit.Starting, unit.Skipped, unit.Inactive, unit.Ready, unit.Failed},
	unit.Starting: {unit.Ready, unit.Stopping, unit.BackOff, unit.Failed, unit.Skipped, unit.Inactive, unit.Waiting},
	unit.Ready:    {unit.Stopping, unit.Starting, unit.BackOff, unit.Failed, unit.Inactive, unit.Waiting},
	unit.Stopping: {unit.Inactive, unit.Waiting, unit.BackOff, unit.Failed, unit.Stuck},
	unit.BackOff:  {unit.Waiting, unit.Ready, unit.Inactive, unit.Stopping},
	unit.Failed:   {unit.Waiting, unit.Inactive},
	unit.Skipped:  {unit.Waiting, unit.Inactive},
	unit.Stuck:    {unit.Inactive, unit.Waiting, unit.BackOff, unit.Failed},
}

func service(name string, with ...func(*unit.Unit)) *unit.Unit {
	u := &unit.Unit{Name: name, Kind: unit.Service, Command: []string{"/bin/" + name}, StopTimeout: unit.DefaultStopTimeout}
	for _, f := range with {
		f(u)
	}
	return u
}

func task(name string, with ...func(*unit.Unit)) *unit.Unit {
	u := service(name, with...)
	u.Kind, u.ReadyBy, u.Restart = unit.Task, unit.ByExit, unit.Never
	return u
}

func link(name string, with ...func(*unit.Unit)) *unit.Unit {
	u := &unit.Unit{Name: name, Kind: unit.Link, ReadyBy: unit.ByArm, Essential: true, StartTimeout: unit.LeaseTimeout}
	for _, f := range with {
		f(u)
	}
	return u
}

func milestone(name string) *unit.Unit {
	return &unit.Unit{Name: name, Kind: unit.Milestone, ReadyBy: unit.ByArm}
}

func needs(names ...string) func(*unit.Unit) { return func(u *unit.Unit) { u.Needs = names } }
func wants(names ...string) func(*unit.Unit) { return func(u *unit.Unit) { u.Wants = names } }
func after(names ...string) func(*unit.Unit) { return func(u *unit.Unit) { u.After = names } }
func essential(u *unit.Unit)                 { u.Essential = true }
func manual(u *unit.Unit)                    { u.Manual = true }
func byNotify(u *unit.Unit)                  { u.ReadyBy = unit.ByNotify }
func stopMain(u *unit.Unit)                  { u.StopMain = true }
func restart(r unit.Restart) func(*unit.Unit) {
	return func(u *unit.Unit) { u.Restart = r }
}
