package supervisor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

const exit1 = unit.Status(1 << 8)

func TestNeedsWaitForReadyNotForSpawned(t *testing.T) {
	m := newSim(t, service("db", byNotify), service("web", needs("db")))
	m.act["db"] = conduct{notifyIn: 3 * time.Second}
	m.boot().run(2*time.Second).want("db starting", "web waiting")
	m.run(2*time.Second).want("db ready", "web ready")
	m.order("db: ready", "web: starting")
}

func TestWantsAndAfterGiveAChanceOnly(t *testing.T) {
	m := newSim(t, task("bad"), service("a", wants("bad")), service("b", after("bad")), service("c", after("off")),
		service("off", manual))
	m.act["bad"] = conduct{exitAfter: time.Second, exitStatus: exit1}
	m.boot().run(500*time.Millisecond).want("a waiting", "b waiting", "c ready")
	m.run(time.Second).want("bad failed", "a ready", "b ready", "off inactive")
}

func TestNeedThatFailsHoldsBack(t *testing.T) {
	m := newSim(t, task("bad"), service("a", needs("bad")), service("z", wants("a")))
	m.act["bad"] = conduct{exitAfter: time.Second, exitStatus: exit1}
	m.boot().run(time.Minute).want("bad failed", "a waiting", "z ready")
	if r, _ := m.s.Report([]string{"a"}); len(r[0].Waits) != 1 || r[0].Waits[0].Name != "bad" {
		t.Errorf("a waits for %v, want [bad]", r[0].Waits)
	}
	m.act["bad"] = conduct{}
	m.send(unit.Event{Op: unit.AskStart, Unit: "a"})
	m.send(unit.Event{Op: unit.AskStart, Unit: "bad"})
	m.run(time.Second).want("bad ready", "a ready")
}

func TestLostNeedStopsDependentsFirst(t *testing.T) {
	m := newSim(t, service("db"), service("mid", needs("db")), service("web", needs("mid"))).boot().run(time.Second)
	m.reset().send(unit.Event{Op: unit.AskRestart, Unit: "db"})
	m.run(time.Second).want("db ready", "mid ready", "web ready")
	m.order("web: stopping", "web: waiting", "mid: stopping", "mid: waiting", "db: stopping", "db: waiting", "db: ready", "mid: ready", "web: ready")

	m.reset().dispatch(unit.Event{Op: unit.Exited, Unit: "db", Run: m.live["db"], Status: 9})
	m.later(0, unit.Event{Op: unit.Empty, Unit: "db", Run: m.left["db"]})
	m.run(100*time.Millisecond).want("db back-off", "mid waiting", "web waiting")
	m.run(5*time.Second).want("db ready", "mid ready", "web ready")
	m.order("web: stopping", "mid: stopping", "mid: ready", "web: ready")
}

func TestEssentialStartsAtItsDeadline(t *testing.T) {
	m := newSim(t, service("disk", byNotify), service("sshd", needs("disk"), essential), service("other", needs("disk")))
	m.act["disk"] = conduct{notifyIn: -1}
	m.boot().run(unit.EssentialDeadline - time.Millisecond).want("sshd waiting")
	m.run(2*time.Second).want("sshd ready", "other waiting")
	m.order("sshd: for disk", "sshd: essential: starts after 20 s without disk", "sshd: ready")
}

func TestEssentialOutlivesItsNeed(t *testing.T) {
	m := newSim(t, service("disk"), service("sshd", needs("disk"), essential)).boot().run(time.Second)
	run := m.live["sshd"]
	m.send(unit.Event{Op: unit.AskStop, Unit: "disk"})
	m.run(time.Minute).want("disk inactive", "sshd ready")
	if m.live["sshd"] != run {
		t.Error("sshd was started anew")
	}
}

func TestBackOffDoublesAndResets(t *testing.T) {
	m := newSim(t, service("flappy"))
	m.act["flappy"] = conduct{exitAfter: 100 * time.Millisecond, exitStatus: exit1}
	m.boot()
	var delays []time.Duration
	for range 9 {
		m.run(200 * time.Millisecond).want("flappy back-off")
		n := &m.s.nodes[0]
		delays = append(delays, n.delay)
		if d := n.retry.Sub(n.since); d < n.delay || d > n.delay*11/10 {
			t.Errorf("back-off of %s waits %s", n.delay, d)
		}
		m.run(n.retry.Sub(m.now))
	}
	for k, d := range delays {
		if want := min(500*time.Millisecond<<k, unit.BackOffMost); d != want {
			t.Errorf("delay %d is %s, want %s", k, d, want)
		}
	}
	m.act["flappy"] = conduct{exitAfter: unit.BackOffReset + time.Second, exitStatus: exit1}
	m.run(2 * unit.BackOffMost)
	m.run(time.Minute) // it was up for more than 30 s once
	if got := m.s.nodes[0].restarts; got < 9 {
		t.Errorf("%d restarts, want at least 9", got)
	}
	if m.s.nodes[0].delay > time.Second {
		t.Errorf("delay %s after a long life, want it to start anew", m.s.nodes[0].delay)
	}
}

func TestRestartPolicies(t *testing.T) {
	for _, c := range []struct {
		name   string
		unit   *unit.Unit
		status unit.Status
		want   string
	}{
		{"always, exit 0", service("u"), 0, "back-off"},
		{"always, exit 1", service("u"), exit1, "back-off"},
		{"on-failure, exit 0", service("u", restart(unit.OnFailure)), 0, "inactive"},
		{"on-failure, exit 1", service("u", restart(unit.OnFailure)), exit1, "back-off"},
		{"on-failure, the stop signal", service("u", restart(unit.OnFailure)), 15, "inactive"},
		{"on-failure, another signal", service("u", restart(unit.OnFailure)), 11, "back-off"},
		{"never, exit 0", service("u", restart(unit.Never)), 0, "inactive"},
		{"never, exit 1", service("u", restart(unit.Never)), exit1, "failed"},
		{"never but essential, exit 0", service("u", restart(unit.Never), essential), 0, "back-off"},
		{"task, exit 0", task("u"), 0, "ready"},
		{"task, exit 1", task("u"), exit1, "failed"},
		{"task, on-failure", func() *unit.Unit { u := task("u"); u.Restart = unit.OnFailure; return u }(), exit1, "back-off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newSim(t, c.unit)
			m.act["u"] = conduct{exitAfter: time.Second, exitStatus: c.status}
			m.boot().run(1100 * time.Millisecond).want("u " + c.want)
		})
	}
}

func TestStopEscalatesAndEndsStuck(t *testing.T) {
	m := newSim(t, service("deaf"), service("dead"), service("after", after("dead", "deaf")))
	m.act["deaf"] = conduct{ignoreTerm: true}
	m.act["dead"] = conduct{dState: true}
	m.boot().run(time.Second)
	m.send(unit.Event{Op: unit.AskEnd, How: unit.PowerOff})
	m.run(9*time.Second).want("deaf stopping", "dead stopping", "after inactive")
	m.run(2*time.Second).want("deaf inactive", "dead stopping")
	if m.over != 0 {
		t.Error("the end did not wait for dead")
	}
	m.run(5 * time.Second).want("dead stuck")
	if m.over != unit.PowerOff {
		t.Error("a stuck unit holds up the end")
	}
	m.order("deaf: still ending (5 s of 10 s", "deaf: did not end within 10 s, killed", "dead: stuck")
}

func TestStuckIsLeftWhenTheDiskAnswers(t *testing.T) {
	m := newSim(t, service("u"))
	m.act["u"] = conduct{dState: true}
	m.boot().run(time.Second)
	m.send(unit.Event{Op: unit.AskRestart, Unit: "u"})
	m.run(20 * time.Second).want("u stuck")
	run := m.left["u"]
	m.dispatch(unit.Event{Op: unit.Exited, Unit: "u", Run: run, Status: 9})
	m.dispatch(unit.Event{Op: unit.Empty, Unit: "u", Run: run})
	m.run(time.Second).want("u ready")
}

func TestEndGoesInReverse(t *testing.T) {
	m := newSim(t, link("link:lan"), milestone("network"), milestone("boot"), service("sshd", after("network"), essential),
		service("db"), service("web", needs("db", "network")))
	m.boot().run(time.Second).want("network ready", "boot ready", "web ready")
	m.reset().send(unit.Event{Op: unit.AskEnd, How: unit.Reboot, Text: "test"})
	m.run(time.Second)
	m.order("web: stopping", "web: inactive", "db: stopping", "db: inactive")
	m.order("web: inactive", "network: inactive", "link:lan: stopping", "link:lan: inactive")
	m.order("sshd: inactive", "network: inactive")
	if m.over != unit.Reboot {
		t.Errorf("ended as %v, want reboot", m.over)
	}
	m.send(unit.Event{Op: unit.AskStart, Unit: "db"})
	m.run(time.Second).want("db inactive")
}

// persist makes a mount the persistence device.
func persist(u *unit.Unit) { u.Mount = &unit.MountConfig{Persist: true} }

// Those who are of no unit go after the services, before what they stand on, and
// see the machine's answer; the persistence device is last.
func TestEndClearsTheWay(t *testing.T) {
	for _, c := range []struct {
		name  string
		crowd time.Duration
		db    conduct
		asked []int
		after time.Duration // when the end is through, at most
		order []string
	}{
		{"nobody", 0, conduct{}, []int{0, sigTerm}, 400 * time.Millisecond, []string{"pool:tank: inactive", "mount:/persist: stopping"}},
		{"somebody", 50 * time.Millisecond, conduct{}, []int{0, sigTerm}, farewell + 400*time.Millisecond, []string{"sshd: inactive", "pool:tank: stopping", "mount:/persist: stopping"}},
		{"somebody who stays", -1, conduct{}, []int{0, sigTerm}, goAfter + 400*time.Millisecond, []string{"sshd: inactive", "pool:tank: stopping", "mount:/persist: stopping"}},
		{"a slow service", time.Second, conduct{ignoreTerm: true}, []int{0, sigTerm}, 30*time.Second + 400*time.Millisecond, []string{"pool:tank: inactive", "db: inactive", "mount:/persist: stopping"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := service("db")
			db.StopTimeout = 30 * time.Second
			m := newSim(t, disk(unit.Mount, "mount:/persist", persist), disk(unit.Pool, "pool:tank", after("unlock")), task("unlock"),
				link("link:lan"), service("sshd", stopMain, essential), db)
			m.act["db"], m.act["unlock"] = c.db, conduct{}
			m.boot().run(time.Second).want("pool:tank ready", "db ready", "unlock ready")
			m.crowd = c.crowd
			m.reset().send(unit.Event{Op: unit.AskEnd, How: unit.PowerOff})
			m.run(c.after)
			if m.over != unit.PowerOff {
				t.Fatalf("it is not over\n%s", strings.Join(m.lines, "\n"))
			}
			if !slices.Equal(m.asked, c.asked) {
				t.Errorf("they were asked %v, want %v", m.asked, c.asked)
			}
			m.order(c.order...)
		})
	}
}

func TestEndWithoutPatience(t *testing.T) {
	m := newSim(t, service("deaf"))
	m.act["deaf"] = conduct{ignoreTerm: true}
	m.boot().run(time.Second)
	m.send(unit.Event{Op: unit.AskEnd, How: unit.Reboot})
	m.run(10 * time.Millisecond)
	m.send(unit.Event{Op: unit.AskEnd, How: unit.Reboot}) // the key bounces
	m.run(3 * time.Second).want("deaf stopping")
	m.crowd = 4 * time.Second
	m.send(unit.Event{Op: unit.AskEnd, How: unit.PowerOff})
	m.run(time.Second).want("deaf inactive")
	if want := []int{0, sigKill}; !slices.Equal(m.asked, want) {
		t.Errorf("those of no unit were asked %v, want %v", m.asked, want)
	}
	if m.over != unit.PowerOff {
		t.Errorf("ended as %v, want the last wish", m.over)
	}
}

func TestEndIsBounded(t *testing.T) {
	slow := service("slow")
	slow.StopTimeout = time.Hour
	m := newSim(t, slow)
	m.act["slow"] = conduct{ignoreTerm: true}
	m.boot().run(time.Second)
	m.send(unit.Event{Op: unit.AskEnd, How: unit.Halt})
	m.run(unit.EndTimeout - time.Second)
	if m.over != 0 {
		t.Fatal("ended too early")
	}
	m.run(2 * time.Second)
	if m.over != unit.Halt {
		t.Error("the end has no bound")
	}
}

func TestStopMainLeavesSessions(t *testing.T) {
	m := newSim(t, service("sshd", stopMain))
	m.boot().run(time.Second)
	run := m.live["sshd"]
	m.send(unit.Event{Op: unit.AskRestart, Unit: "sshd"})
	// The main process goes; a session stays in its cgroup: no Empty.
	m.due = nil
	m.later(time.Millisecond, unit.Event{Op: unit.Exited, Unit: "sshd", Run: run, Status: 15})
	m.run(time.Second).want("sshd ready")
	if m.live["sshd"] == run {
		t.Error("sshd was not started anew")
	}
}

func TestMilestones(t *testing.T) {
	m := newSim(t, milestone("devices"), milestone("network"), milestone("online"), milestone("boot"),
		link("link:lan"), link("link:dmz"), service("vpn", needs("network")), service("ntp", needs("online")),
		service("last", after("boot")))
	m.act["link:dmz"] = conduct{notifyIn: -1}
	m.act["link:lan"] = conduct{notifyIn: time.Second}
	m.boot().run(500*time.Millisecond).want("network waiting", "vpn waiting", "devices waiting")
	m.run(time.Second).want("network ready", "vpn ready", "online waiting", "boot waiting", "last waiting")
	m.send(unit.Event{Op: unit.IsReady, Unit: "devices"})
	m.want("devices ready")
	// dmz gives up waiting after 30 s and is then no reason to wait for more.
	m.run(30*time.Second).want("link:dmz back-off", "boot ready", "last ready", "ntp waiting")
	if r, _ := m.s.Report([]string{unit.Online}); r[0].Note != "for a default route" {
		t.Errorf("online does not say what it waits for: %+v", r[0])
	}
	m.send(unit.Event{Op: unit.IsReady, Unit: "online"})
	m.run(time.Second).want("ntp ready")
	// A milestone stays reached, and what needs it stays, when the link goes.
	m.send(unit.Event{Op: unit.Lost, Unit: "link:lan", Run: m.left["link:lan"], Text: "no carrier"})
	m.run(time.Second).want("link:lan starting", "network ready", "vpn ready")
	m.run(time.Minute).want("link:lan back-off")
	m.send(unit.Event{Op: unit.IsReady, Unit: "link:lan", Run: m.left["link:lan"]})
	m.want("link:lan ready")
	m.send(unit.Event{Op: unit.IsReady, Unit: "link:dmz", Run: m.left["link:dmz"]})
	m.want("link:dmz ready")
}

func TestAbsentIsSkipped(t *testing.T) {
	m := newSim(t, service("getty@ttyS9"), milestone("boot"))
	m.act["getty@ttyS9"] = conduct{absent: "no console ttyS9"}
	m.boot().run(time.Second).want("getty@ttyS9 skipped", "boot ready")
	for _, s := range m.s.Spans() {
		if s.Name == "getty@ttyS9" && (s.Began != 0 || s.Failed == 0) {
			t.Errorf("its conditions count as a start: %+v", s)
		}
	}
}

// There are 2^40 ways from the last layer to the first, which fails.
func TestManyWays(t *testing.T) {
	units := []*unit.Unit{task("first"), milestone("boot"), service("wanting"), service("after-boot", after("boot"))}
	prev := []string{"first"}
	for i := range 40 {
		var layer []string
		for _, side := range []string{"a", "b"} {
			name := fmt.Sprintf("%s%02d", side, i)
			units = append(units, service(name, needs(prev...)))
			layer = append(layer, name)
		}
		prev = layer
	}
	units[2].Wants = prev
	m := newSim(t, units...)
	m.act["first"] = conduct{exitAfter: time.Second, exitStatus: exit1}
	m.boot().run(500*time.Millisecond).want("wanting waiting", "boot waiting", "a39 waiting")
	m.run(time.Second).want("first failed", "a39 waiting", "wanting ready", "boot ready", "after-boot ready")
	m.act["first"] = conduct{}
	m.send(unit.Event{Op: unit.AskStart, Unit: "first"})
	m.run(time.Second).want("a39 ready", "b39 ready")
	m.reset().send(unit.Event{Op: unit.AskEnd, How: unit.PowerOff})
	m.run(time.Second)
	m.order("a39: inactive", "a20: inactive", "a00: inactive")
}

// What a unit said of itself does not outlive its run.
func TestNoteEndsWithTheRun(t *testing.T) {
	m := newSim(t, service("u")).boot().run(time.Second)
	m.send(unit.Event{Op: unit.Noted, Unit: "u", Run: m.live["u"], Text: "listening on 22"})
	if note := m.s.nodes[0].note; note != "listening on 22" {
		t.Errorf("note %q", note)
	}
	m.send(unit.Event{Op: unit.AskStop, Unit: "u"})
	m.run(time.Second).want("u inactive")
	if note := m.s.nodes[0].note; note != "" {
		t.Errorf("note %q of a unit that is stopped", note)
	}
}

func TestStartTimeout(t *testing.T) {
	m := newSim(t, service("u", byNotify))
	m.act["u"] = conduct{notifyIn: -1}
	m.boot().run(60*time.Second + 100*time.Millisecond).want("u back-off")
	if why := m.s.nodes[0].why; why != "not ready within 1 min" {
		t.Errorf("why is %q", why)
	}
}

func TestStopDuringStart(t *testing.T) {
	m := newSim(t, service("u", byNotify))
	m.act["u"] = conduct{notifyIn: -1}
	m.boot()
	m.send(unit.Event{Op: unit.AskStop, Unit: "u"}) // before it was even spawned
	m.run(time.Second).want("u inactive")
	m.send(unit.Event{Op: unit.AskStart, Unit: "u"})
	m.send(unit.Event{Op: unit.AskStop, Unit: "u"})
	m.send(unit.Event{Op: unit.AskStart, Unit: "u"})
	m.act["u"] = conduct{}
	m.run(time.Second)
	if s := m.s.nodes[0].state; s != unit.Starting && s != unit.Ready {
		t.Errorf("u is %s after start, stop, start", s)
	}
}

func TestRefusal(t *testing.T) {
	m := newSim(t, service("db"), service("web", needs("db")), service("sshd", needs("db"), essential)).boot().run(time.Second)
	if got := strings.Join(m.s.Dependents("db"), " "); got != "web" {
		t.Errorf("a stop of db takes down %q, want web alone", got)
	}
	m = newSim(t, link("link:lan"), link("link:dmz"), service("web")).boot().run(time.Second)
	if m.s.LastLink("link:lan") || m.s.LastLink("web") {
		t.Error("one of two links is the last")
	}
	m.send(unit.Event{Op: unit.AskStop, Unit: "link:dmz"})
	m.run(time.Second).want("link:dmz inactive")
	if !m.s.LastLink("link:lan") || m.s.LastLink("link:dmz") {
		t.Error("the last link is none")
	}
	if got := (&Refusal{Unit: "link:lan"}).Error(); !strings.Contains(got, "cut off") {
		t.Error(got)
	}
}

func TestSafeModeStartsEssentialOnly(t *testing.T) {
	m := newSim(t, service("disk"), service("sshd", needs("disk"), essential), service("app"), milestone("boot"))
	m.s = NewState(m.graph(), 4, true)
	m.boot().run(time.Second).want("sshd ready", "app inactive", "disk inactive", "boot ready")
	m.send(unit.Event{Op: unit.AskStart, Unit: "app"}) // the operator may
	m.run(time.Second).want("app ready")
}

func TestHeadStart(t *testing.T) {
	units := []*unit.Unit{link("link:lan"), milestone("network"), task("keys"), service("sshd", essential, needs("keys"), byNotify),
		service("app"), service("vpn", needs("network"))}
	m := newSim(t, units...)
	m.act["sshd"] = conduct{notifyIn: 300 * time.Millisecond}
	m.act["link:lan"] = conduct{notifyIn: 100 * time.Millisecond}
	m.carryOut(m.s.Begin(m.now, time.Second))
	m.run(250*time.Millisecond).want("keys ready", "network ready", "sshd starting", "app waiting", "vpn waiting")
	m.run(200*time.Millisecond).want("sshd ready", "app waiting", "vpn waiting")
	m.run(firstLogin).want("app ready", "vpn ready")

	m = newSim(t, units...) // a cable that is not there holds nobody for long
	m.act["link:lan"] = conduct{notifyIn: -1}
	m.carryOut(m.s.Begin(m.now, time.Second))
	m.run(900*time.Millisecond).want("sshd ready", "app waiting")
	m.run(200*time.Millisecond).want("app ready", "vpn waiting")

	m = newSim(t, units...) // nor does what this machine has no need of
	m.act["keys"] = conduct{absent: "/etc/key is there"}
	m.act["sshd"] = conduct{notifyIn: 300 * time.Millisecond}
	m.act["link:lan"] = conduct{notifyIn: 100 * time.Millisecond}
	units[2].Essential, units[3].Needs, units[3].Wants = true, nil, []string{"keys"}
	m.s = NewState(m.graph(), 1, false)
	m.carryOut(m.s.Begin(m.now, time.Second))
	m.run(350*time.Millisecond).want("keys skipped", "sshd ready", "app waiting")
	m.run(firstLogin).want("app ready")
}

func TestStaleEventsChangeNothing(t *testing.T) {
	m := newSim(t, service("u")).boot().run(time.Second)
	run := m.live["u"]
	for _, ev := range []unit.Event{
		{Op: unit.Exited, Unit: "u", Run: run - 1, Status: 9, Seq: 5},
		{Op: unit.Empty, Unit: "u", Run: run - 1},
		{Op: unit.StartFailed, Unit: "u", Run: run - 1},
		{Op: unit.TimerFired, Unit: "u", Timer: unit.StartTimer, Gen: 1},
		{Op: unit.TimerFired, Unit: "u", Timer: unit.StopTimer, Gen: 0},
		{Op: unit.Exited, Unit: "stranger", Run: 3, Seq: 6},
	} {
		m.send(ev)
		m.want("u ready")
	}
	if len(m.uncommi) != 0 {
		t.Errorf("events left uncommitted: %v", m.uncommi)
	}
}
