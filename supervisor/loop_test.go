package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"hoopy/unit"
)

// echo is an arm whose units are ready as soon as they start.
type echo struct {
	loop    *Loop
	started []string
	panics  bool
}

func (e *echo) Do(a unit.Action) {
	switch a.Op {
	case unit.Start:
		if e.panics {
			panic("injected")
		}
		e.started = append(e.started, a.Unit.Name)
		e.loop.Send(unit.Event{Op: unit.Spawned, Unit: a.Unit.Name, Run: a.Run, Pid: 9})
		e.loop.Send(unit.Event{Op: unit.IsReady, Unit: a.Unit.Name, Run: a.Run})
	case unit.Clear:
		e.loop.Send(unit.Event{Op: unit.Cleared})
	case unit.Stop, unit.Kill:
		e.loop.Send(unit.Event{Op: unit.Exited, Unit: a.Unit.Name, Run: a.Run, Status: 15, Seq: 1})
		e.loop.Send(unit.Event{Op: unit.Empty, Unit: a.Unit.Name, Run: a.Run})
	}
}

// testLoop is a loop in a synctest bubble whose clock is the bubble's.
func testLoop(t *testing.T, units ...*unit.Unit) (*Loop, *echo, *[]string) {
	g, err := unit.NewGraph(units)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var log []string
	arm := &echo{}
	l := NewLoop(Config{
		State: NewState(g, 1, false),
		Arms:  map[unit.Kind]Arm{unit.Service: arm, unit.Task: arm, unit.Link: arm},
		Save:  func([]byte) { log = append(log, "save") },
		Say: func(a unit.Action) {
			if a.From != a.To {
				log = append(log, a.Unit.Name+" "+a.To.String())
			}
		},
		End:   func(how unit.How, who string, now bool) { log = append(log, fmt.Sprint(how, " ", now)) },
		Now:   func() unit.Time { return unit.Time(time.Since(began)) + 1 },
		Fault: func(what any, stack []byte) { log = append(log, fmt.Sprint("fault ", what)) },
	})
	arm.loop = l
	return l, arm, &log
}

func TestLoopBootsAnswersAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, log := testLoop(t, service("a"), service("b", needs("a")))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); l.Run(ctx, l.State.Begin(1, 0)...) }()
		if err := l.WaitSettled(ctx, []string{"a", "b"}); err != nil {
			t.Fatal(err)
		}
		var reports []unit.Report
		if err := l.Call(ctx, func(s *State) { reports, _ = s.Report([]string{"b"}) }); err != nil {
			t.Fatal(err)
		}
		if len(reports) != 1 || reports[0].State != unit.Ready || reports[0].Pid != 9 {
			t.Errorf("report %+v", reports)
		}
		l.Send(unit.Event{Op: unit.AskEnd, How: unit.Reboot})
		synctest.Wait()
		stop()
		<-done
		if !slices.Contains(*log, "reboot true") {
			t.Errorf("no end in\n%q", *log)
		}
	})
}

// A snapshot is published before the first action of its batch is carried out.
func TestLoopSavesBeforeItActs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, arm, log := testLoop(t, service("a"))
		arm.panics = true
		l.Run(t.Context(), l.State.Begin(1, 0)...)
		if len(*log) < 2 || (*log)[0] != "save" || (*log)[len(*log)-1] != "fault injected" {
			t.Errorf("log %q, want save first and the fault last", *log)
		}
	})
}

func TestLoopTimersFire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, _ := testLoop(t, service("slow"), service("sshd", needs("slow"), essential))
		l.Arms = map[unit.Kind]Arm{unit.Service: deaf{}}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go l.Run(ctx, l.State.Begin(1, 0)...)
		time.Sleep(unit.EssentialDeadline + time.Second)
		var state unit.State
		if err := l.Call(ctx, func(s *State) { state = s.nodes[s.byName["sshd"]].state }); err != nil {
			t.Fatal(err)
		}
		if state != unit.Starting {
			t.Errorf("sshd is %s after its deadline, want starting", state)
		}
	})
}

type deaf struct{}

func (deaf) Do(unit.Action) {}

// brief is an arm whose commands and hooks are ready at once and over after two
// seconds.
type brief struct{ loop *Loop }

func (b brief) Do(a unit.Action) {
	if a.Op != unit.Start {
		return
	}
	send := func(ev unit.Event) {
		ev.Unit, ev.Run = a.Unit.Name, a.Run
		b.loop.Send(ev)
	}
	send(unit.Event{Op: unit.Spawned, Pid: 9})
	if a.Part != unit.Main || a.Unit.ReadyBy == unit.ByExit {
		time.AfterFunc(2*time.Second, func() {
			send(unit.Event{Op: unit.Exited})
			send(unit.Event{Op: unit.Empty})
		})
	}
}

func TestWaitSettledOutlastsARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, _ := testLoop(t, timer("u"), service("v", hooked(unit.Reload)))
		l.Arms = map[unit.Kind]Arm{unit.Service: brief{l}, unit.Timer: brief{l}}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go l.Run(ctx, l.State.Begin(1, 0)...)
		for _, ev := range []unit.Event{{Op: unit.AskStart, Unit: "u"}, {Op: unit.Due, Unit: "u"}, {Op: unit.AskReload, Unit: "v"}} {
			if err := l.WaitSettled(ctx, []string{ev.Unit}); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			l.Send(ev)
			if err := l.WaitSettled(ctx, []string{ev.Unit}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != 2*time.Second {
				t.Errorf("event %d of %s settled after %s, want 2 s", ev.Op, ev.Unit, took)
			}
		}
	})
}

func TestWaitSettledIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, _ := testLoop(t, service("a"))
		l.Arms = map[unit.Kind]Arm{unit.Service: deaf{}}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go l.Run(ctx, l.State.Begin(1, 0)...)
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := l.WaitSettled(short, []string{"a"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("WaitSettled of a unit that never starts: %v", err)
		}
		synctest.Wait()
		if err := l.Call(ctx, func(*State) {}); err != nil {
			t.Fatal(err)
		}
		if len(l.waiters) != 0 {
			t.Error("a waiter was left behind")
		}
	})
}
