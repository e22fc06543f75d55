package supervisor

import (
	"context"
	"errors"
	"fmt"
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
		last := (*log)[len(*log)-1]
		if last != "reboot true" {
			t.Errorf("the log ends with %q:\n%q", last, *log)
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

// BenchmarkBoot is the start decision: Begin, then every unit spawned.
func BenchmarkBoot(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var units []*unit.Unit
			for i := range n {
				u := service(fmt.Sprintf("u%04d", i))
				if i > 0 {
					u.Needs = []string{fmt.Sprintf("u%04d", i/2)}
					if i/2 == i {
						u.Needs = nil
					}
					u.After = []string{fmt.Sprintf("u%04d", i/3)}
				}
				units = append(units, u)
			}
			units = append(units, milestone("boot"))
			g, err := unit.NewGraph(units)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				s := NewState(g, 1, false)
				acts := append([]unit.Action(nil), s.Begin(1, 0)...)
				for len(acts) > 0 {
					a := acts[0]
					acts = acts[1:]
					if a.Op == unit.Start {
						acts = append(acts, s.Step(unit.Event{Op: unit.Spawned, Unit: a.Unit.Name, Run: a.Run, Now: 2})...)
					}
				}
				if s.bootAt == 0 {
					b.Fatal("not booted")
				}
			}
		})
	}
}

func BenchmarkSnapshot(b *testing.B) {
	var units []*unit.Unit
	for i := range 1000 {
		units = append(units, service(fmt.Sprintf("u%04d", i)))
	}
	g, _ := unit.NewGraph(units)
	s := NewState(g, 1, false)
	var buf []byte
	for b.Loop() {
		buf = s.Append(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}
