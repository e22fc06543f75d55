package supervisor

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

// The model test: random graphs, random conduct, random wishes, crashes and
// reloads. sim holds that no unit has two processes of a kind, that nothing
// starts while the machine ends, that start_pre comes before and stop_post once
// after, and that only listed transitions are taken; here, that needs hold, that
// back-off is monotone, that every stop ends, that every event is committed,
// that a snapshot brings back the same state with the same future, and that
// every end comes.
func TestRandomSchedules(t *testing.T) {
	n := 20000
	if testing.Short() {
		n = 400
	}
	const shards = 8
	for shard := range shards {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			for seed := shard; seed < n; seed += shards {
				m := randomSchedule(t, uint64(seed))
				if t.Failed() {
					t.Fatalf("seed %d\n%s", seed, strings.Join(m.lines[max(0, len(m.lines)-40):], "\n"))
				}
			}
		})
	}
}

// model is a sim with dice.
type model struct {
	*sim
	r     *rand.Rand
	names []string
	added int
}

func randomSchedule(t testing.TB, seed uint64) *model {
	r := rand.New(rand.NewPCG(seed, 1))
	m := &model{r: r, names: []string{"a", "b", "c", "d", "e", "f", "link:l"}}
	m.sim = newSim(t, m.randomUnits()...)
	for _, name := range m.names {
		m.act[name] = m.randomConduct()
	}
	m.boot()
	for range 25 {
		m.pass(time.Duration(r.IntN(8000)) * time.Millisecond)
		m.invariants()
		m.something(m.names[r.IntN(len(m.names))])
		m.sameAgain()
		if t.Failed() {
			return m
		}
	}
	m.theEnd()
	return m
}

// theEnd comes, whoever is in its way.
func (m *model) theEnd() {
	m.crowd = time.Duration(m.r.IntN(6)-1) * time.Second
	m.send(unit.Event{Op: unit.AskEnd, How: unit.PowerOff})
	m.pass(unit.EndTimeout + time.Second)
	if m.over != unit.PowerOff {
		m.t.Errorf("the end never came")
	}
	if len(m.uncommi) != 0 {
		m.t.Errorf("not committed: %v", m.uncommi)
	}
}

// TestRandomEnds ends machines with disks at any moment: services stand on them,
// and they on services.
func TestRandomEnds(t *testing.T) {
	t.Parallel()
	n := 2000
	if testing.Short() {
		n = 200
	}
	for seed := range n {
		r := rand.New(rand.NewPCG(uint64(seed), 2))
		m := &model{r: r, names: []string{"a", "b", "c", "d", "e", "f"}}
		units := m.randomUnits()
		for _, u := range units[1:6] {
			if r.IntN(3) == 0 {
				u.After = append(u.After, "mount:/p")
			}
		}
		mount := disk(unit.Mount, "mount:/p", needs("pool:q"), after("a"))
		mount.Mount = &unit.MountConfig{Persist: r.IntN(2) == 0}
		other := disk(unit.Mount, "mount:/o", needs("a"))
		other.Mount = &unit.MountConfig{Persist: !mount.Mount.Persist}
		m.sim = newSim(t, append(units, mount, other, disk(unit.Pool, "pool:q"))...)
		for _, name := range m.names {
			m.act[name] = m.randomConduct()
		}
		m.act["pool:q"] = conduct{notifyIn: time.Second, ignoreTerm: r.IntN(4) == 0}
		m.boot()
		m.pass(time.Duration(r.IntN(20000)) * time.Millisecond)
		m.theEnd()
		if t.Failed() {
			t.Fatalf("seed %d\n%s", seed, strings.Join(m.lines[max(0, len(m.lines)-40):], "\n"))
		}
	}
}

func (m *model) randomUnits() (units []*unit.Unit) {
	r := m.r
	for k, name := range m.names[:6] {
		u := service(name)
		switch r.IntN(6) {
		case 0:
			u = task(name)
		case 1:
			u = timer(name)
		}
		for _, other := range m.names[:k] {
			switch r.IntN(8) {
			case 0, 1:
				if units[k-1].Kind != unit.Timer {
					u.Needs = append(u.Needs, other)
				}
			case 2:
				u.Wants = append(u.Wants, other)
			case 3:
				u.After = append(u.After, other)
			}
		}
		if r.IntN(6) == 0 {
			u.Needs = append(u.Needs, unit.Network)
		}
		u.Essential, u.StopMain, u.Manual = r.IntN(4) == 0, r.IntN(6) == 0, r.IntN(8) == 0
		u.ReloadSignal = r.IntN(2) * 1
		for p := unit.StartPre; p < unit.Parts; p++ {
			if r.IntN(4) == 0 {
				u.Hooks[p] = []string{"/bin/" + p.String()}
			}
		}
		switch {
		case u.Kind == unit.Service:
			u.ReadyBy = []unit.ReadyBy{unit.BySpawn, unit.ByNotify, unit.ByTCP, unit.ByPidFile}[r.IntN(4)]
			u.Restart = unit.Restart(r.IntN(3))
		case r.IntN(2) == 0:
			u.Restart = unit.OnFailure
		}
		units = append(units, u)
	}
	return append(units, link("link:l"), milestone(unit.Network), milestone(unit.Boot))
}

func (m *model) randomConduct() conduct {
	r := m.r
	c := conduct{notifyIn: time.Duration(r.IntN(4000)) * time.Millisecond}
	switch r.IntN(10) {
	case 0:
		c.exitAfter = time.Duration(1+r.IntN(40000)) * time.Millisecond
		c.exitStatus = []unit.Status{0, exit1, 2 << 8, 11, unit.ExitNever << 8}[r.IntN(5)]
	case 1:
		c.startFails = "no such file"
	case 2:
		c.absent = "nothing there"
	case 3:
		c.ignoreTerm = true
	case 4:
		c.notifyIn = -1
	case 5:
		c.dState = r.IntN(3) == 0
	}
	for p := unit.StartPre; p < unit.Parts; p++ {
		h := &c.hook[p]
		switch r.IntN(12) {
		case 0:
			h.takes = -1
		case 1:
			h.status = exit1
		case 2:
			h.fails = "no such file"
		case 3:
			h.leaves = true
		case 4, 5, 6:
			h.takes = time.Duration(r.IntN(20000)) * time.Millisecond
		case 7:
			h.dState = r.IntN(4) == 0
		}
	}
	return c
}

// pass lets time pass; each event may find the supervisor dying: before the
// snapshot, or between it and the actions.
func (m *model) pass(d time.Duration) {
	end := m.now.Add(d)
	for len(m.due) > 0 && m.due[0].at <= end && !m.t.Failed() {
		at := m.due[0].at
		m.now = max(m.now, at)
		switch m.r.IntN(400) {
		case 0:
			m.dieAfterSnapshot()
		case 1, 2, 3, 4:
			m.shadow()
			m.run(max(at.Sub(m.now), 0))
			m.before = nil
		default:
			m.run(max(at.Sub(m.now), 0))
		}
	}
	if !m.t.Failed() {
		m.run(max(end.Sub(m.now), 0))
	}
}

// dieAfterSnapshot has the next event be in a snapshot whose actions are never
// carried out. An exit comes again, as nobody has committed it.
func (m *model) dieAfterSnapshot() {
	m.lost, m.losing = nil, true
	m.dispatch(heap.Pop(&m.due).(dueEvent).ev)
	m.losing = false
	if m.lost == nil {
		return
	}
	m.crash(m.s.Append(nil))
	if ev := *m.lost; ev.Seq != 0 {
		m.lost = nil
		m.send(ev)
	}
}

// something happens to the unit called name.
func (m *model) something(name string) {
	r := m.r
	run := m.left[name]
	switch r.IntN(24) {
	case 0:
		m.send(unit.Event{Op: unit.AskStop, Unit: name, Force: true})
	case 1:
		m.wish(unit.AskStart, name)
	case 2:
		m.wish(unit.AskRestart, name)
	case 3, 4:
		if run, ok := m.live[name]; ok && !m.act[name].dState {
			m.later(0, unit.Event{Op: unit.Exited, Unit: name, Run: run, Status: 9})
			m.later(time.Millisecond, unit.Event{Op: unit.Empty, Unit: name, Run: run})
		}
	case 5:
		m.send(unit.Event{Op: unit.Lost, Unit: "link:l", Run: m.left["link:l"]})
	case 6:
		m.send(unit.Event{Op: unit.IsReady, Unit: "link:l", Run: m.left["link:l"]})
	case 7:
		m.crash(m.s.Append(nil))
	case 8:
		if r.IntN(4) == 0 {
			m.crash(nil)
		}
	case 9:
		m.send(unit.Event{Op: unit.AskReload, Unit: name})
	case 10:
		m.wish(unit.AskReset, name)
	case 11, 12, 13:
		for _, name := range m.names {
			m.send(unit.Event{Op: unit.Due, Unit: name, Text: "test"})
		}
	case 14:
		m.send(unit.Event{Op: unit.Sick, Unit: name, Run: run, Text: "sick", Force: r.IntN(2) == 0, Signal: r.IntN(2) * 6})
	case 15:
		m.send(unit.Event{Op: unit.Healthy, Unit: name, Run: run})
	case 16:
		if run != 0 {
			m.send(unit.Event{Op: unit.Extend, Unit: name, Run: run, For: time.Duration(r.IntN(40)) * time.Second})
		}
	case 17:
		m.send(unit.Event{Op: unit.Reloading, Unit: name, Run: run})
	case 18:
		if r.IntN(2) == 0 {
			m.reload()
		}
	case 19:
		m.add()
	case 20:
		if i := slices.IndexFunc(m.units, func(u *unit.Unit) bool { return u.Name == name }); i >= 0 && m.s.Remove(name) {
			m.units = slices.Delete(m.units, i, i+1)
			m.names = slices.DeleteFunc(m.names, func(n string) bool { return n == name })
		}
	case 21:
		m.act[name] = m.tame(m.randomConduct(), m.act[name])
	}
}

// tame keeps what a living process cannot change.
func (m *model) tame(c, was conduct) conduct {
	c.dState = was.dState
	for p := range c.hook {
		c.hook[p].dState = was.hook[p].dState
	}
	return c
}

// wish is an operator's; it ends every streak of failures.
func (m *model) wish(op unit.EventOp, name string) {
	m.send(unit.Event{Op: op, Unit: name})
	for _, b := range m.book {
		b.delay = 0
	}
}

// reload changes and removes units, waits until they are gone, and goes on in a
// fresh epoch.
func (m *model) reload() {
	var changes []unit.Change
	var units []*unit.Unit
	gone := map[string]bool{}
	for _, u := range m.units {
		switch k := m.r.IntN(8); {
		case !u.Kind.HasProcess() || k > 2 || len(m.units) < 6 && k == 0:
			units = append(units, u)
		case k == 0:
			changes = append(changes, unit.Change{Name: u.Name, Op: unit.Removed})
			gone[u.Name] = true
		default:
			fresh := *u
			fresh.Manual = false
			changes = append(changes, unit.Change{Name: u.Name, Op: unit.Changed, Restart: k == 1})
			units = append(units, &fresh)
		}
	}
	m.carryOut(m.s.Retire(changes, m.now))
	for range 40 {
		if m.s.Retired() {
			break
		}
		m.run(10 * time.Second)
	}
	if !m.s.Retired() {
		m.t.Errorf("never retired: %v", changes)
	}
	for k, u := range units {
		fresh := *u
		for _, names := range []*[]string{&fresh.Needs, &fresh.Wants, &fresh.After, &fresh.Before} {
			*names = slices.DeleteFunc(slices.Clone(*names), func(name string) bool { return gone[name] })
		}
		units[k] = &fresh
	}
	m.names = slices.DeleteFunc(m.names, func(name string) bool { return gone[name] })
	m.units = units
	m.crash(m.s.Append(nil))
}

func (m *model) add() {
	m.added++
	u := task(fmt.Sprintf("t%d", m.added), manual)
	if m.r.IntN(2) == 0 {
		u = service(u.Name, manual)
	}
	u.Transient = true
	if on := m.node(m.names[m.r.IntN(len(m.names))]); m.r.IntN(2) == 0 && on.Kind != unit.Timer {
		u.Needs = []string{on.Name}
	}
	if err := m.s.Add(u); err != nil {
		m.t.Error(err)
		return
	}
	m.units = append(m.units, u)
	m.names = append(m.names, u.Name)
	m.act[u.Name] = m.randomConduct()
	m.wish(unit.AskStart, u.Name)
}

// sameAgain: a snapshot comes back as it was.
func (m *model) sameAgain() {
	snapshot := m.s.Append(nil)
	again := NewState(m.graph(), m.s.epoch, false)
	if err := again.load(snapshot); err != nil {
		m.t.Fatalf("snapshot: %v", err)
	}
	inOrder := !slices.ContainsFunc(m.s.nodes, func(n node) bool { return n.added })
	if back := again.Append(nil); len(back) != len(snapshot) || inOrder && string(back) != string(snapshot) {
		m.t.Error("a snapshot does not come back as it was")
	}
}
