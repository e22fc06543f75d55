package supervisor

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"hoopy/unit"
)

// Arm carries out the actions of one or more kinds of units: Start, Adopt,
// Stop, Kill, Release and Commit. Do must return at once; what comes of it is
// told by events.
type Arm interface {
	Do(unit.Action)
}

// Config is what a Loop works with. Every field but Fault is needed.
type Config struct {
	State *State
	Arms  map[unit.Kind]Arm
	// Save publishes a snapshot; when it returns, a later epoch will find it.
	Save func([]byte)
	// Say takes the lines for the console and the log.
	Say func(unit.Action)
	// End tells the keeper that the end has begun, or (now) that it is the
	// keeper's turn.
	End func(how unit.How, who string, now bool)
	// Now reads CLOCK_BOOTTIME.
	Now func() unit.Time
	// Fault is told of a panic in the loop before Run returns; the process is
	// expected to end then, and the next epoch to go on from the snapshot.
	Fault func(what any, stack []byte)
}

// Loop owns the State and lets one event after the other into it.
type Loop struct {
	Config
	timers timers
	begun  bool // the end was announced

	mu     sync.Mutex
	events []unit.Event
	calls  []func(*State)
	wake   chan struct{} // of size 1: there is something in events or calls

	buf     []byte
	waiters []waiter
}

// waiter is somebody who wants to know when something holds.
type waiter struct {
	holds func(*State) bool
	done  chan struct{}
}

// NewLoop is a loop that Run will turn.
func NewLoop(c Config) *Loop {
	return &Loop{Config: c, wake: make(chan struct{}, 1)}
}

// Send lets an event in. It never blocks and may be called from anywhere.
func (l *Loop) Send(ev unit.Event) {
	l.mu.Lock()
	l.events = append(l.events, ev)
	l.mu.Unlock()
	l.rouse()
}

func (l *Loop) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Call runs f inside the loop, where the state may be read, and waits for it
// until ctx ends.
func (l *Loop) Call(ctx context.Context, f func(*State)) error {
	done := make(chan struct{})
	l.Async(func(s *State) { f(s); close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the supervisor's loop: %w", context.Cause(ctx))
	}
}

// Async runs f inside the loop, soon.
func (l *Loop) Async(f func(*State)) {
	l.mu.Lock()
	l.calls = append(l.calls, f)
	l.mu.Unlock()
	l.rouse()
}

// Act runs f inside the loop and carries out the actions that it returns, as
// after an event: the snapshot comes first. It waits for that until ctx ends.
func (l *Loop) Act(ctx context.Context, f func(s *State, now unit.Time) []unit.Action) error {
	return l.Call(ctx, func(s *State) { l.carryOut(f(s, l.Now())) })
}

// WaitSettled waits until every named unit has settled (State.Settled), or
// until ctx ends.
func (l *Loop) WaitSettled(ctx context.Context, names []string) error {
	return l.Wait(ctx, func(s *State) bool {
		for _, name := range names {
			if !s.Settled(name) {
				return false
			}
		}
		return true
	})
}

// Wait waits until holds says yes, or until ctx ends. It is asked in the loop,
// after each turn.
func (l *Loop) Wait(ctx context.Context, holds func(*State) bool) error {
	w := waiter{holds, make(chan struct{})}
	l.Async(func(*State) { l.waiters = append(l.waiters, w) })
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		l.Async(func(*State) { l.forget(w) })
		return context.Cause(ctx)
	}
}

// Run carries out the actions of the beginning (of Restore and Begin), then
// turns until ctx ends. It returns early only after a panic, which it hands to
// Config.Fault.
func (l *Loop) Run(ctx context.Context, first ...unit.Action) {
	defer func() {
		if p := recover(); p != nil {
			l.Fault(p, debug.Stack())
		}
	}()
	l.carryOut(first)
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	for {
		wait := time.Hour
		if at, ok := l.timers.next(); ok {
			wait = at.Sub(l.Now())
		}
		clock.Reset(max(wait, 0))
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		case <-clock.C:
		}
		l.turn()
	}
}

// turn takes everything that is there, snapshots, then acts.
func (l *Loop) turn() {
	l.mu.Lock()
	events, calls := l.events, l.calls
	l.events, l.calls = nil, nil
	l.mu.Unlock()

	now := l.Now()
	events = append(events, l.timers.fired(now)...)
	var acts []unit.Action
	for _, ev := range events {
		ev.Now = now
		acts = append(acts, l.State.Step(ev)...)
	}
	if len(events) > 0 {
		l.carryOut(acts)
	}
	l.State.now = now
	for _, f := range calls {
		f(l.State)
	}
	l.tellWaiters()
}

func (l *Loop) carryOut(acts []unit.Action) {
	l.buf = l.State.Append(l.buf[:0])
	l.Save(l.buf)
	if how, who := l.State.Ending(); how != 0 && !l.begun {
		l.begun = true
		l.End(how, who, false)
	}
	for _, a := range acts {
		switch a.Op {
		case unit.Say:
			l.Say(a)
		case unit.SetTimer:
			l.timers.add(a)
		case unit.EndNow:
			l.End(a.How, a.Text, true)
		default:
			if arm := l.Arms[a.Unit.Kind]; arm != nil {
				arm.Do(a)
			}
		}
	}
}

func (l *Loop) tellWaiters() {
	kept := l.waiters[:0]
	for _, w := range l.waiters {
		if w.holds(l.State) {
			close(w.done)
		} else {
			kept = append(kept, w)
		}
	}
	clear(l.waiters[len(kept):])
	l.waiters = kept
}

func (l *Loop) forget(w waiter) {
	for i := range l.waiters {
		if l.waiters[i].done == w.done {
			l.waiters = append(l.waiters[:i], l.waiters[i+1:]...)
			return
		}
	}
}
