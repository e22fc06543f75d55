package supervisor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

// Whatever restart says: an essential unit is never given up, and a start that
// is asked for is never refused.
func TestNeverLockedOut(t *testing.T) {
	for name, act := range map[string]conduct{
		"exit 0":       {exitAfter: 10 * time.Millisecond},
		"exit 1":       {exitAfter: 10 * time.Millisecond, exitStatus: exit1},
		"exit 125":     {exitAfter: 10 * time.Millisecond, exitStatus: unit.ExitNever << 8},
		"SIGTERM":      {exitAfter: 10 * time.Millisecond, exitStatus: 15},
		"cannot start": {startFails: "no such file"},
		"start_pre":    {hook: [unit.Parts]hookConduct{pre: {status: exit1}}},
		"start_post":   {hook: [unit.Parts]hookConduct{post: {status: exit1}}},
		"never ready":  {notifyIn: -1},
	} {
		for _, r := range []unit.Restart{unit.Always, unit.OnFailure, unit.Never} {
			for _, kind := range []func(string, ...func(*unit.Unit)) *unit.Unit{service, task, timer} {
				u := kind("u", essential, hooked(pre, post))
				u.Restart, u.StartTimeout = r, 5*time.Second
				if name == "never ready" {
					if u.Kind != unit.Service {
						continue
					}
					u.ReadyBy = unit.ByNotify
				}
				m := newSim(t, u)
				m.act["u"] = act
				m.boot()
				m.send(unit.Event{Op: unit.AskStart, Unit: "u"})
				m.run(time.Minute)
				n := m.node("u")
				if !n.up || n.state == unit.Failed || n.state == unit.Inactive {
					t.Errorf("%s, restart %d, %s: %s, up %v", name, r, u.Kind, n.state, n.up)
				}
				m.act["u"] = conduct{}
				m.send(unit.Event{Op: unit.AskStart, Unit: "u"})
				m.run(7 * time.Second)
				if s := m.node("u").state; s != unit.Ready && (u.Kind != unit.Timer || s != unit.Waiting || m.node("u").why != "") {
					t.Errorf("%s, restart %d, %s: %s after it was asked for", name, r, u.Kind, s)
				}
			}
		}
	}
}

func TestExitNever(t *testing.T) {
	m := newSim(t, service("u"), service("e", essential))
	m.act["u"] = conduct{exitAfter: time.Second, exitStatus: unit.ExitNever << 8}
	m.act["e"] = m.act["u"]
	m.boot().run(2*time.Second).want("u failed", "e back-off")
	if why := m.node("u").why; why != "exit 125: it asks not to be started again" {
		t.Errorf("why is %q", why)
	}
	if d := m.node("e").delay; d != unit.BackOffMost {
		t.Errorf("the essential one backs off for %s", d)
	}
	m.send(unit.Event{Op: unit.AskStart, Unit: "u"})
	m.run(100 * time.Millisecond).want("u ready")
}

func TestReset(t *testing.T) {
	m := newSim(t, service("flappy"), service("failed", restart(unit.Never)), service("fine"), timer("u"),
		timer("never"), service("dep", needs("failed")))
	m.act["flappy"] = conduct{startFails: "no such file"}
	m.act["failed"] = conduct{exitAfter: time.Second, exitStatus: exit1}
	m.act["u"] = m.act["failed"]
	m.act["never"] = conduct{exitAfter: time.Second, exitStatus: unit.ExitNever << 8}
	m.boot()
	due(m, "u")
	due(m, "never")
	m.run(40*time.Second).want("flappy back-off", "failed failed", "fine ready", "u waiting", "never failed", "dep waiting")
	m.act["flappy"] = conduct{}
	for _, name := range []string{"flappy", "failed", "fine", "u", "never", "dep"} {
		m.send(unit.Event{Op: unit.AskReset, Unit: name})
	}
	m.run(100*time.Millisecond).want("flappy ready", "failed inactive", "fine ready", "u waiting", "never waiting", "dep waiting")
	if n := m.node("flappy"); n.restarts != 0 || n.delay != 0 {
		t.Errorf("%d restarts, delay %s", n.restarts, n.delay)
	}
	if r, _ := m.s.Report([]string{"u"}); !r[0].Well() {
		t.Errorf("a timer is not well after a reset: %q", r[0].Why)
	}
	m.send(unit.Event{Op: unit.AskStart, Unit: "dep"}) // and with it what it needs
	m.run(500*time.Millisecond).want("failed ready", "dep ready")
}

func TestPidFileDaemon(t *testing.T) {
	m := newSim(t, service("u", readyBy(unit.ByPidFile)))
	m.act["u"] = conduct{notifyIn: time.Second}
	m.boot().run(500 * time.Millisecond).want("u starting")
	m.run(time.Second).want("u ready")
	run := m.live["u"]
	if r, _ := m.s.Report([]string{"u"}); r[0].Pid != pidOf(run)+10000 {
		t.Errorf("pid %d, want that of the daemon", r[0].Pid)
	}
	m.crash(m.s.Append(nil)) // the keeper no longer knows the run
	m.run(time.Second).want("u ready")
	if m.live["u"] != run || m.starts["u"] != 1 {
		t.Error("started anew")
	}
	m.dispatch(unit.Event{Op: unit.Exited, Unit: "u", Run: run, Status: exit1})
	m.later(0, unit.Event{Op: unit.Empty, Unit: "u", Run: run})
	m.run(100 * time.Millisecond).want("u back-off")

	// It does not get that far.
	m = newSim(t, service("u", readyBy(unit.ByPidFile), restart(unit.Never)))
	m.act["u"] = conduct{notifyIn: -1, exitAfter: 1, exitStatus: exit1}
	m.boot().run(time.Second).want("u failed")
	m = newSim(t, service("u", readyBy(unit.ByPidFile), restart(unit.Never)))
	m.act["u"] = conduct{notifyIn: -1}
	m.boot().run(time.Second).want("u starting")
	m.dispatch(unit.Event{Op: unit.Empty, Unit: "u", Run: m.left["u"]})
	m.run(time.Second).want("u failed")
}

// A server that is replaced by another process of its own (MAINPID=).
func TestMainPid(t *testing.T) {
	m := newSim(t, service("u")).boot().run(time.Second)
	run := m.live["u"]
	m.send(unit.Event{Op: unit.MainPid, Unit: "u", Run: run, Pid: 4711})
	m.forked[run] = 4711
	m.send(unit.Event{Op: unit.Exited, Unit: "u", Run: run, Pid: pidOf(run), Seq: 7}) // the old one
	m.run(time.Second).want("u ready")
	if r, _ := m.s.Report([]string{"u"}); r[0].Pid != 4711 {
		t.Errorf("pid %d", r[0].Pid)
	}
	m.crash(m.s.Append(nil)) // sim checks the pid of Adopt
	m.run(time.Second).want("u ready")
	m.dispatch(unit.Event{Op: unit.Exited, Unit: "u", Run: run})
	m.run(100 * time.Millisecond)
	if m.node("u").state == unit.Ready && m.live["u"] == run {
		t.Error("the end of the new main process was not seen")
	}
}

func TestExtend(t *testing.T) {
	u := service("u", byNotify)
	u.StartTimeout, u.StopTimeout = 10*time.Second, 10*time.Second
	m := newSim(t, u)
	m.act["u"] = conduct{notifyIn: 25 * time.Second, ignoreTerm: true}
	m.boot().run(8 * time.Second)
	m.send(unit.Event{Op: unit.Extend, Unit: "u", Run: m.live["u"], For: 20 * time.Second})
	m.send(unit.Event{Op: unit.Extend, Unit: "u", Run: m.live["u"], For: time.Second}) // never shorter
	m.crash(m.s.Append(nil))                                                           // and it is remembered
	m.run(10 * time.Second).want("u starting")
	m.run(8 * time.Second).want("u ready")
	m.send(unit.Event{Op: unit.AskStop, Unit: "u"})
	m.run(5 * time.Second)
	m.send(unit.Event{Op: unit.Extend, Unit: "u", Run: m.live["u"], For: 1 << 62})
	m.run(23 * time.Hour).want("u stopping")
	m.run(2 * time.Hour).want("u inactive") // a day is the most
}

func TestHealth(t *testing.T) {
	m := newSim(t, service("u")).boot().run(time.Second)
	run := m.live["u"]
	sick := func(force bool, sig int) {
		m.send(unit.Event{Op: unit.Sick, Unit: "u", Run: m.live["u"], Text: "http://[::1]/: 502", Force: force, Signal: sig})
	}
	sick(false, 0)
	sick(false, 0)
	if r, _ := m.s.Report([]string{"u"}); r[0].Sick != "http://[::1]/: 502" || r[0].Well() || r[0].State != unit.Ready {
		t.Errorf("report %+v", r)
	}
	m.crash(m.s.Append(nil))
	m.send(unit.Event{Op: unit.Healthy, Unit: "u", Run: run})
	if r, _ := m.s.Report([]string{"u"}); !r[0].Well() {
		t.Errorf("sick: %q", r[0].Sick)
	}
	if got := strings.Count(strings.Join(m.lines, "\n"), "502"); got != 1 {
		t.Errorf("it was said %d times", got)
	}
	m.act["u"] = conduct{}
	sick(true, 6)
	m.want("u stopping")
	if !slices.Equal(m.signals, []int{6}) {
		t.Errorf("signals %v, want SIGABRT", m.signals)
	}
	m.crash(m.s.Append(nil))
	if !slices.Equal(m.signals, []int{6, 6}) {
		t.Errorf("signals %v after a crash, want SIGABRT again", m.signals)
	}
	m.run(100 * time.Millisecond).want("u back-off")
	if why := m.node("u").why; why != "http://[::1]/: 502" {
		t.Errorf("why is %q", why)
	}
	m.run(time.Second).want("u ready")
	if r, _ := m.s.Report([]string{"u"}); !r[0].Well() || m.live["u"] == run {
		t.Errorf("the new run is sick: %q", r[0].Sick)
	}
	m.send(unit.Event{Op: unit.Sick, Unit: "u", Run: run, Text: "stale", Force: true})
	m.want("u ready")
}

func TestReportNamesWhatIsWaitedFor(t *testing.T) {
	slow := service("slow", byNotify, hooked(pre))
	m := newSim(t, slow, service("absent"), task("bad"), service("off", manual), service("flappy"),
		service("u", needs("slow", "absent", "bad", "flappy", "off")))
	m.act["slow"] = conduct{notifyIn: -1, hook: [unit.Parts]hookConduct{pre: {takes: 10 * time.Second}}}
	m.act["absent"] = conduct{absent: "no /dev/ttyS9"}
	m.act["bad"] = conduct{exitAfter: 1, exitStatus: exit1}
	m.act["flappy"] = conduct{startFails: "no such file"}
	m.boot()
	m.send(unit.Event{Op: unit.AskStop, Unit: "off"})
	text := func() map[string]string {
		r, _ := m.s.Report([]string{"u"})
		all := map[string]string{}
		for _, w := range r[0].Waits {
			all[w.Name] = w.Text
		}
		return all
	}
	m.run(8 * time.Second)
	m.s.now = m.now // the loop does so before it reports
	got := text()
	for name, want := range map[string]string{"slow": "start_pre runs (8 s of 30 s)", "absent": "skipped: no /dev/ttyS9",
		"bad": "failed: exit 1", "off": "inactive"} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if !strings.HasPrefix(got["flappy"], "no such file, again in ") {
		t.Errorf("flappy: %q", got["flappy"])
	}
	m.run(5 * time.Second)
	m.send(unit.Event{Op: unit.Noted, Unit: "slow", Run: m.live["slow"], Text: "replaying the journal"})
	m.s.now = m.now
	if got := text()["slow"]; got != "replaying the journal (3 s of 1 min)" {
		t.Errorf("slow: %q", got)
	}
}

// TestReportCounts: how long a mount has waited for its device is true at each look.
func TestReportCounts(t *testing.T) {
	mount := disk(unit.Mount, "mount:/p")
	mount.StartTimeout = 30 * time.Second
	m := newSim(t, mount)
	m.act["mount:/p"] = conduct{notifyIn: -1}
	m.boot()
	r, _ := m.s.Report(nil)
	m.send(unit.Event{Op: unit.Noted, Unit: "mount:/p", Run: r[0].Run, Text: "device UUID=B61B-19E7"})
	for _, want := range []string{"device UUID=B61B-19E7 (2 s of 30 s)", "device UUID=B61B-19E7 (4 s of 30 s)"} {
		m.run(2 * time.Second)
		m.s.now = m.now
		if r, _ := m.s.Report(nil); r[0].Note != want {
			t.Errorf("%q, want %q", r[0].Note, want)
		}
	}
}
