package supervisor

import (
	"container/heap"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

// sim plays keeper and arms: it carries out what a State asks for, keeps the
// clock, and holds the invariants that no schedule may break.
type sim struct {
	t       testing.TB
	s       *State
	units   []*unit.Unit
	now     unit.Time
	due     dueHeap
	seq     uint64
	live    map[string]unit.Run // units whose main process lives
	left    map[string]unit.Run // units with processes in the run's cgroup
	hooks   map[string]unit.Run // units whose hook's process lives
	traces  map[string]unit.Run // units with processes in their hook's cgroup
	forked  map[unit.Run]int    // runs whose first process has put itself into the background, by the new pid
	ready   map[unit.Run]bool   // runs that said that they are
	act     map[string]conduct
	lines   []string // transitions: "name: ready"; hooks: "name! start_pre"
	starts  map[string]int
	over    unit.How
	uncommi map[uint64]bool // events sent with a Seq and not committed
	book    map[string]*ledger
	signals []int         // of Signal and Stop
	crowd   time.Duration // processes of no unit go so long after they are asked; 0: there are none; <0: they stay
	asked   []int         // signals of Clear

	steps  int
	losing bool        // actions are not carried out
	lost   *unit.Event // the event that they answered

	before func(unit.Event) func([]unit.Action) // nil, or sees the next event, then its actions
}

// ledger is what the sim holds against a unit.
type ledger struct {
	preOK    bool // its start_pre has succeeded since its last start
	owesPost bool // something of it began, and its stop_post has not run since
	blurred  bool // a crash without a snapshot: nothing is held against it until it starts
	delay    time.Duration
	readyAt  unit.Time
	upFor    time.Duration
}

type dueEvent struct {
	at  unit.Time
	ord uint64
	ev  unit.Event
}

type dueHeap []dueEvent

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(a, b int) bool {
	return h[a].at < h[b].at || h[a].at == h[b].at && h[a].ord < h[b].ord
}
func (h dueHeap) Swap(a, b int) { h[a], h[b] = h[b], h[a] }
func (h *dueHeap) Push(x any)   { *h = append(*h, x.(dueEvent)) }
func (h *dueHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// conduct is how a unit behaves. The zero value: it is spawned at once, ready
// by its ReadyBy, and ends when asked to; its hooks succeed after 1 ms.
type conduct struct {
	exitAfter  time.Duration // 0: stays
	exitStatus unit.Status
	notifyIn   time.Duration // ByNotify, ByTCP, ByArm, ByPidFile: ready after; <0: never
	startFails string
	absent     string
	ignoreTerm bool
	dState     bool // survives SIGKILL
	hook       [unit.Parts]hookConduct
}

type hookConduct struct {
	takes  time.Duration // 0: 1 ms; <0: for ever
	status unit.Status
	fails  string // it cannot be started
	leaves bool   // a process behind
	dState bool
}

func newSim(t testing.TB, units ...*unit.Unit) *sim {
	t.Helper()
	m := &sim{t: t, units: units, live: map[string]unit.Run{}, left: map[string]unit.Run{},
		hooks: map[string]unit.Run{}, traces: map[string]unit.Run{}, forked: map[unit.Run]int{}, ready: map[unit.Run]bool{},
		act: map[string]conduct{}, starts: map[string]int{}, uncommi: map[uint64]bool{}, book: map[string]*ledger{},
		now: unit.Time(time.Second)}
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

func (m *sim) of(name string) *ledger {
	b := m.book[name]
	if b == nil {
		b = &ledger{}
		m.book[name] = b
	}
	return b
}

func (m *sim) node(name string) *node {
	m.t.Helper()
	i, ok := m.s.byName[name]
	if !ok {
		m.t.Fatalf("no unit %s", name)
	}
	return &m.s.nodes[i]
}

func (m *sim) later(d time.Duration, ev unit.Event) {
	m.seq++
	heap.Push(&m.due, dueEvent{m.now.Add(d), m.seq, ev})
}

// send lets one event in now.
func (m *sim) send(ev unit.Event) {
	m.t.Helper()
	ev.Now = m.now
	if ev.Seq != 0 {
		m.uncommi[ev.Seq] = true
	}
	var after func([]unit.Action)
	if m.before != nil {
		after, m.before = m.before(ev), nil
	}
	m.steps++
	acts := m.s.Step(ev)
	if after != nil {
		after(acts)
	}
	if m.losing {
		m.lost = &ev
		return
	}
	m.carryOut(acts)
}

// run lets d pass.
func (m *sim) run(d time.Duration) *sim {
	m.t.Helper()
	end := m.now.Add(d)
	for steps := 0; len(m.due) > 0 && m.due[0].at <= end; steps++ {
		if steps > 100000 {
			m.t.Fatal("the machine never comes to rest")
		}
		d := heap.Pop(&m.due).(dueEvent)
		m.now = max(m.now, d.at)
		m.dispatch(d.ev)
	}
	m.now = end
	return m
}

// dispatch drops what the world has overtaken, then sends.
func (m *sim) dispatch(ev unit.Event) {
	if ev.Run != 0 && partOf(ev.Run) != unit.Main {
		m.dispatchHook(ev)
		return
	}
	switch ev.Op {
	case unit.Spawned, unit.IsReady, unit.MainPid:
		if ev.Run != 0 && m.left[ev.Unit] != ev.Run {
			return
		}
		if ev.Op == unit.IsReady {
			m.ready[ev.Run] = true
		}
	case unit.Exited:
		if m.live[ev.Unit] != ev.Run {
			return
		}
		if ev.For != 0 { // the first process of a daemon
			m.forked[ev.Run] = pidOf(ev.Run) + 10000
		} else {
			if pid, ok := m.forked[ev.Run]; ok {
				ev.Pid = pid
			}
			delete(m.live, ev.Unit)
		}
		if ev.Seq == 0 {
			m.seq++
			ev.Seq = m.seq
		}
	case unit.Empty:
		if m.left[ev.Unit] != ev.Run {
			return
		}
		delete(m.left, ev.Unit)
	case unit.Cleared:
		m.crowd = 0
	}
	m.send(ev)
}

func (m *sim) dispatchHook(ev unit.Event) {
	switch ev.Op {
	case unit.Exited:
		if m.hooks[ev.Unit] != ev.Run {
			return
		}
		delete(m.hooks, ev.Unit)
		if ev.Status == 0 && partOf(ev.Run) == unit.StartPre {
			m.of(ev.Unit).preOK = true
		}
		m.seq++
		ev.Seq = m.seq
	case unit.Empty:
		if m.traces[ev.Unit] != ev.Run {
			return
		}
		delete(m.traces, ev.Unit)
	}
	m.send(ev)
}

func pidOf(run unit.Run) int { return 100 + int(run&0xffff) }

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
	table := m.table()
	if snapshot == nil {
		for _, u := range m.units {
			*m.of(u.Name) = ledger{blurred: true}
		}
		m.sweep()
	}
	epoch := m.s.epoch + 1
	kept := m.due[:0]
	for _, d := range m.due {
		if d.ev.Op != unit.TimerFired {
			kept = append(kept, d)
		}
	}
	m.due = kept
	heap.Init(&m.due)
	m.s = NewState(m.graph(), epoch, false)
	acts, r := m.s.Restore(snapshot, table, m.now)
	m.carryOut(acts)
	m.carryOut(m.s.Begin(m.now, 0))
	return r
}

// sweep is what the arm does with cgroups that no run in the table explains.
func (m *sim) sweep() {
	for name, run := range m.live {
		if _, daemon := m.forked[run]; daemon {
			delete(m.live, name)
		}
	}
	for name := range m.left {
		if _, lives := m.live[name]; !lives {
			delete(m.left, name)
		}
	}
	for name := range m.traces {
		if _, lives := m.hooks[name]; !lives {
			delete(m.traces, name)
		}
	}
}

// table is what the keeper holds: the processes that live.
func (m *sim) table() (table []Running) {
	for name, run := range m.live {
		if _, daemon := m.forked[run]; !daemon {
			table = append(table, Running{Unit: name, Run: run, Pid: pidOf(run)})
		}
	}
	for name, run := range m.hooks {
		table = append(table, Running{Unit: name, Run: run, Pid: pidOf(run)})
	}
	if ev := m.lost; ev != nil && ev.Op == unit.Exited {
		table = append(table, Running{Unit: ev.Unit, Run: ev.Run, Pid: pidOf(ev.Run), Exited: true})
	}
	return table
}

func mayBecome(from, to unit.State) bool {
	for _, s := range exits[from] {
		if s == to {
			return true
		}
	}
	return false
}
