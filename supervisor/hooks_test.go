package supervisor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

const (
	pre      = unit.StartPre
	post     = unit.StartPost
	stopPre  = unit.StopPre
	stopPost = unit.StopPost
)

// hookLines are the lines about u without those that time brings.
func hookLines(m *sim) string {
	var words []string
	for _, l := range m.lines {
		if rest, ok := strings.CutPrefix(l, "u"); ok {
			words = append(words, strings.TrimPrefix(strings.TrimPrefix(rest, ": "), "! "))
		}
	}
	return strings.Join(words, ", ")
}

func TestHooksInOrder(t *testing.T) {
	for _, c := range []struct {
		name    string
		unit    *unit.Unit
		act     conduct
		do      []unit.EventOp
		want    string // since the boot
		why     string
		settled bool
	}{
		{name: "a life", unit: service("u", hooked(pre, post, stopPre, stopPost)), do: []unit.EventOp{unit.AskStop},
			want: "waiting, starting, start_pre, command, start_post, ready, stopping, stop_pre, stop_post, inactive"},
		{name: "restart", unit: service("u", hooked(pre, stopPost)), do: []unit.EventOp{unit.AskRestart},
			want: "waiting, starting, start_pre, command, ready, stopping, stop_post, waiting, starting, start_pre, command, ready"},
		{name: "start_pre fails", unit: service("u", hooked(pre, stopPost), restart(unit.Never)),
			act:  conduct{hook: [unit.Parts]hookConduct{pre: {status: exit1}}},
			want: "waiting, starting, start_pre, stopping, stop_post, failed", why: "start_pre: exit 1"},
		{name: "start_pre fails, tried again", unit: service("u", hooked(pre)),
			act:  conduct{hook: [unit.Parts]hookConduct{pre: {status: exit1}}},
			want: "waiting, starting, start_pre, back-off", why: "start_pre: exit 1"},
		{name: "start_pre cannot be started", unit: service("u", hooked(pre, stopPost), restart(unit.Never)),
			act:  conduct{hook: [unit.Parts]hookConduct{pre: {fails: "exec: no such file"}}},
			want: "waiting, starting, start_pre, failed", why: "start_pre: exec: no such file"},
		{name: "start_pre leaves something behind", unit: service("u", hooked(pre)),
			act:  conduct{hook: [unit.Parts]hookConduct{pre: {leaves: true}}},
			want: "waiting, starting, start_pre, command, ready"},
		{name: "start_post fails", unit: service("u", hooked(post, stopPre, stopPost), restart(unit.Never)),
			act:  conduct{hook: [unit.Parts]hookConduct{post: {status: exit1}}},
			want: "waiting, starting, command, start_post, stopping, stop_post, failed", why: "start_post: exit 1"},
		{name: "the command fails", unit: service("u", hooked(stopPre, stopPost), restart(unit.Never)),
			act:  conduct{exitAfter: 10 * time.Millisecond, exitStatus: exit1},
			want: "waiting, starting, command, ready, stopping, stop_post, failed", why: "exit 1"},
		{name: "the command fails beside start_post", unit: service("u", hooked(post), restart(unit.Never)),
			act:  conduct{exitAfter: 10 * time.Millisecond, exitStatus: exit1, hook: [unit.Parts]hookConduct{post: {takes: -1}}},
			want: "waiting, starting, command, start_post, stopping, failed", why: "exit 1"},
		{name: "the command cannot be started", unit: service("u", hooked(stopPost), restart(unit.Never)),
			act:  conduct{startFails: "exec: no such file"},
			want: "waiting, starting, command, failed", why: "exec: no such file"},
		{name: "the command cannot be started after start_pre", unit: service("u", hooked(pre, stopPost), restart(unit.Never)),
			act:  conduct{startFails: "exec: no such file"},
			want: "waiting, starting, start_pre, command, stopping, stop_post, failed", why: "exec: no such file"},
		{name: "stop_pre fails", unit: service("u", hooked(stopPre)), do: []unit.EventOp{unit.AskStop},
			act:  conduct{hook: [unit.Parts]hookConduct{stopPre: {status: exit1}}},
			want: "waiting, starting, command, ready, stopping, stop_pre, stop_pre: exit 1, inactive"},
		{name: "a task is undone", unit: task("u", hooked(stopPre, stopPost)), do: []unit.EventOp{unit.AskStop},
			want: "waiting, starting, command, ready, stopping, stop_pre, stop_post, inactive"},
		{name: "a condition fails", unit: service("u", hooked(stopPost)), act: conduct{absent: "no console"},
			want: "waiting, starting, command, skipped", why: "no console"},
		{name: "a condition fails after start_pre", unit: service("u", hooked(pre, stopPost)), act: conduct{absent: "no console"},
			want: "waiting, starting, start_pre, command, stopping, stop_post, skipped", why: "no console"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newSim(t, c.unit)
			m.act["u"] = c.act
			m.boot().run(200 * time.Millisecond)
			for _, op := range c.do {
				m.send(unit.Event{Op: op, Unit: "u"})
			}
			m.run(200 * time.Millisecond)
			if got := hookLines(m); got != c.want {
				t.Errorf("it went\n%s\nwant\n%s", got, c.want)
			}
			if got := m.node("u").why; got != c.why {
				t.Errorf("why is %q, want %q", got, c.why)
			}
		})
	}
}

func TestHookTimeout(t *testing.T) {
	u := service("u", hooked(pre, stopPre, stopPost), restart(unit.Never))
	u.HookTimeout = 7 * time.Second
	m := newSim(t, u)
	m.act["u"] = conduct{hook: [unit.Parts]hookConduct{pre: {takes: -1}}}
	m.boot().run(6 * time.Second).want("u starting")
	m.order("u: start_pre still runs (5 s of 7 s)")
	m.run(2 * time.Second).want("u failed")
	if why := m.node("u").why; why != "start_pre: not done within 7 s" {
		t.Errorf("why is %q", why)
	}
	// stop_pre and stop_post are bounded in the same way, and then it goes on.
	m.act["u"] = conduct{hook: [unit.Parts]hookConduct{stopPre: {takes: -1}, stopPost: {takes: -1}}}
	m.send(unit.Event{Op: unit.AskStart, Unit: "u"})
	m.run(time.Second).want("u ready").reset()
	m.send(unit.Event{Op: unit.AskStop, Unit: "u"})
	m.run(15 * time.Second).want("u inactive")
	m.order("u! stop_pre", "u: stop_pre: not done within 7 s", "u! stop_post", "u: stop_post: not done within 7 s", "u: inactive")
}

func TestHookThatSurvivesSIGKILL(t *testing.T) {
	m := newSim(t, service("u", hooked(pre, stopPost)))
	m.act["u"] = conduct{hook: [unit.Parts]hookConduct{pre: {dState: true}}}
	m.boot().run(unit.DefaultHookTimeout + unit.KillTimeout + time.Second).want("u stuck")
	run := m.hooks["u"]
	m.run(10 * time.Minute).want("u stuck")
	if got := strings.Count(hookLines(m), "start_pre,"); got != 1 {
		t.Errorf("start_pre ran %d times beside the one that cannot be ended", got)
	}
	m.act["u"] = conduct{}
	m.dispatch(unit.Event{Op: unit.Exited, Unit: "u", Run: run, Status: 9})
	m.dispatch(unit.Event{Op: unit.Empty, Unit: "u", Run: run})
	m.run(5 * time.Second).want("u ready")
	m.order("u: stuck", "u: stopping", "u! stop_post", "u: back-off", "u: ready")
}

func TestStopEndsAStartingHook(t *testing.T) {
	for _, part := range []unit.Part{pre, post} {
		m := newSim(t, service("u", hooked(part, stopPost)))
		c := conduct{}
		c.hook[part].takes = -1
		m.act["u"] = c
		m.boot().run(time.Second).want("u starting")
		if r, _ := m.s.Report([]string{"u"}); r[0].Part != part {
			t.Errorf("the report says %s, want %s", r[0].Part, part)
		}
		m.send(unit.Event{Op: unit.AskStop, Unit: "u"})
		m.run(100 * time.Millisecond).want("u inactive")
		m.order("u: stopping", "u! stop_post", "u: inactive")
	}
}

func TestStartTimeoutBeginsWithTheCommand(t *testing.T) {
	u := service("u", byNotify, hooked(pre))
	u.StartTimeout, u.HookTimeout = 10*time.Second, time.Minute
	m := newSim(t, u)
	m.act["u"] = conduct{notifyIn: 8 * time.Second, hook: [unit.Parts]hookConduct{pre: {takes: 40 * time.Second}}}
	m.boot().run(45 * time.Second).want("u starting")
	m.run(5 * time.Second).want("u ready")
}

func TestReloadOfAUnit(t *testing.T) {
	reload := hooked(unit.Reload)
	bySignal := func(u *unit.Unit) { u.ReloadSignal = 1 }
	for _, c := range []struct {
		name string
		unit *unit.Unit
		hook hookConduct
		want string // its last line
		why  string
		sig  []int
	}{
		{name: "by a signal", unit: service("u", bySignal), sig: []int{1}, want: "u: ready"},
		{name: "by a command", unit: service("u", reload), want: "u! reload"},
		{name: "a command that fails", unit: service("u", reload), hook: hookConduct{status: exit1}, want: "u: reload: exit 1", why: "reload: exit 1"},
		{name: "a command that hangs", unit: service("u", reload), hook: hookConduct{takes: -1}, want: "u: reload: not done within 30 s", why: "reload: not done within 30 s"},
		{name: "not at all", unit: service("u"), want: "u: cannot reload: it has neither reload nor reload_signal"},
		{name: "not ready", unit: service("u", reload, manual), want: "u: cannot reload: it is inactive"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newSim(t, c.unit)
			act := conduct{}
			act.hook[unit.Reload] = c.hook
			m.act["u"] = act
			m.boot().run(time.Second)
			state := m.node("u").state
			m.send(unit.Event{Op: unit.AskReload, Unit: "u"})
			if runs := m.node("u").hook.part != 0; runs == m.s.Settled("u") && state == unit.Ready {
				t.Errorf("a reload runs: %v, settled: %v", runs, !runs)
			}
			m.run(time.Minute)
			if got := m.lines[len(m.lines)-1]; got != c.want && !slices.Contains(m.lines, c.want) {
				t.Errorf("last line %q, want %q", got, c.want)
			}
			if n := m.node("u"); n.state != state || n.why != c.why || !m.s.Settled("u") {
				t.Errorf("u is %s, why %q, want %s, %q", n.state, n.why, state, c.why)
			}
			if !slices.Equal(m.signals, c.sig) {
				t.Errorf("signals %v, want %v", m.signals, c.sig)
			}
			if m.starts["u"] > 1 {
				t.Error("the command was started anew")
			}
		})
	}
	t.Run("what was wrong is forgotten with the next", func(t *testing.T) {
		m := newSim(t, service("u", reload))
		m.act["u"] = conduct{hook: [unit.Parts]hookConduct{unit.Reload: {status: exit1}}}
		m.boot().run(time.Second)
		m.send(unit.Event{Op: unit.AskReload, Unit: "u"})
		m.run(time.Second)
		m.act["u"] = conduct{}
		m.send(unit.Event{Op: unit.AskReload, Unit: "u"})
		m.run(time.Second).want("u ready")
		if why := m.node("u").why; why != "" {
			t.Errorf("why is %q", why)
		}
	})
}

func TestReloading(t *testing.T) {
	u := service("u", byNotify)
	u.StartTimeout = 20 * time.Second
	m := newSim(t, u).boot().run(time.Second).want("u ready")
	run := m.live["u"]
	m.send(unit.Event{Op: unit.Reloading, Unit: "u", Run: run})
	if n := m.node("u"); n.why != "reloading" || m.s.Settled("u") {
		t.Errorf("why %q, settled %v", n.why, m.s.Settled("u"))
	}
	m.run(2 * time.Second)
	m.send(unit.Event{Op: unit.IsReady, Unit: "u", Run: run})
	m.run(time.Minute).want("u ready")
	if n := m.node("u"); n.why != "" || !m.s.Settled("u") {
		t.Errorf("why %q after the reload", n.why)
	}
	m.send(unit.Event{Op: unit.Reloading, Unit: "u", Run: run})
	m.run(21 * time.Second).want("u ready")
	if n := m.node("u"); n.why != "still reloading after 20 s" || !m.s.Settled("u") {
		t.Errorf("why %q", n.why)
	}
	m.send(unit.Event{Op: unit.IsReady, Unit: "u", Run: run})
	if why := m.node("u").why; why != "" {
		t.Errorf("why %q after the reload", why)
	}
}

func TestHooksDuringTheEnd(t *testing.T) {
	m := newSim(t, service("u", hooked(stopPre, stopPost)))
	m.act["u"] = conduct{hook: [unit.Parts]hookConduct{stopPre: {takes: -1}, stopPost: {takes: 10 * time.Second}}}
	m.boot().run(time.Second)
	m.send(unit.Event{Op: unit.AskEnd, How: unit.PowerOff})
	m.run(4 * time.Second).want("u stopping")
	m.send(unit.Event{Op: unit.AskEnd, How: unit.PowerOff}) // without patience
	m.run(time.Second).want("u stopping")
	m.order("u! stop_pre", "u: stop_pre: asked again, killed", "u! stop_post")
	if _, lives := m.live["u"]; lives {
		t.Error("the command lives")
	}
	m.send(unit.Event{Op: unit.AskEnd, How: unit.PowerOff})
	m.run(100 * time.Millisecond).want("u inactive")
	if m.over != unit.PowerOff {
		t.Error("the machine has not ended")
	}
}

// A hook whose start never reached the keeper is started again; one that did is
// not, though its exit may come twice.
func TestHooksAcrossACrash(t *testing.T) {
	for _, part := range []unit.Part{pre, post, stopPre, stopPost} {
		for _, carriedOut := range []bool{false, true} {
			m := newSim(t, service("u", hooked(part)))
			c := conduct{}
			c.hook[part].takes = time.Second
			m.act["u"] = c
			if part == stopPre || part == stopPost {
				m.boot().run(time.Second).reset()
				m.send(unit.Event{Op: unit.AskRestart, Unit: "u"})
			} else {
				m.boot()
			}
			for m.node("u").hook.part == 0 {
				m.run(time.Millisecond)
			}
			if !carriedOut {
				delete(m.hooks, "u")
				delete(m.traces, "u")
				m.reset()
				m.of("u").blurred = true
			}
			m.crash(m.s.Append(nil))
			m.run(5 * time.Second).want("u ready")
			if got := strings.Count(strings.Join(m.lines, "\n"), "! "+part.String()); got != 1 {
				t.Errorf("%s, carried out %v: it was started %d times:\n%s", part, carriedOut, got, strings.Join(m.lines, "\n"))
			}
		}
	}
}

// Without a snapshot the runs in the keeper's table tell which hook runs.
func TestHooksWithoutASnapshot(t *testing.T) {
	for _, part := range []unit.Part{pre, post, stopPre, stopPost, unit.Reload} {
		m := newSim(t, service("u", hooked(part)))
		c := conduct{}
		c.hook[part].takes = 3 * time.Second
		m.act["u"] = c
		m.boot().run(time.Second)
		switch part {
		case stopPre, stopPost:
			m.send(unit.Event{Op: unit.AskRestart, Unit: "u"})
		case unit.Reload:
			m.send(unit.Event{Op: unit.AskReload, Unit: "u"})
		}
		m.run(time.Second)
		if got := m.node("u").hook.part; got != part {
			t.Fatalf("%s runs, want %s", got, part)
		}
		state := m.node("u").state
		m.crash(nil)
		if n := m.node("u"); n.hook.part != part || n.state != state {
			t.Errorf("%s in %s came back as %s in %s", part, state, n.hook.part, n.state)
		}
		m.run(10 * time.Second).want("u ready")
	}
}

// A condition that does not hold is remembered while stop_post runs.
func TestSkippedAcrossACrash(t *testing.T) {
	m := newSim(t, service("u", hooked(pre, stopPost)))
	m.act["u"] = conduct{absent: "no console", hook: [unit.Parts]hookConduct{stopPost: {takes: time.Second}}}
	m.boot().run(500 * time.Millisecond).want("u stopping")
	m.crash(m.s.Append(nil))
	m.run(2 * time.Second).want("u skipped")
}
