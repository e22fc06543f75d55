package timers

import (
	"context"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"hoopy/unit"
	"hoopy/unit/schedule"
)

// Config configures New.
type Config struct {
	// Emit takes Due and Planned; Run calls it. It must not block.
	Emit func(unit.Event)
	Log  func(string) // one line; from any goroutine
	// Fault is told of a panic, with its stack. Nothing goes on after it.
	Fault func(what any, stack []byte)

	testOnlyClock clock
}

const (
	takeOver = time.Minute // is enough for one supervisor to follow another
	shortest = time.Second // between two runs of a timer
)

// Source plans timers. Its methods other than Run may be called from any
// goroutine, before Run too, and never block.
type Source struct {
	config Config
	store  *store
	wake   chan struct{} // holds one token while asked is not empty

	mu    sync.Mutex
	asked []func()

	// Run's own.
	timers []*timer
	clock  schedule.Clock
	dir    string // where last runs are kept; empty: nowhere yet

	running bool // there was a turn
}

// timer is one unit of kind timer.
type timer struct {
	schedule.Timer
	past   schedule.Past
	begun  bool // past.From is set
	looked bool // into dir, for its last run
	unkept bool // past.Ran is not in its file, or with another time
	said   planned
}

// planned is what was last said of a plan.
type planned struct {
	wall time.Duration
	why  string
	any  bool
}

// New makes a source that knows no timers yet.
func New(c Config) *Source {
	s := &Source{config: c, wake: make(chan struct{}, 1)}
	s.store = newStore(c.Log, func(last map[string]time.Duration) {
		s.ask(func() { s.remember(last) })
	})
	return s
}

// Configure says which units there are; those that are no timers are passed
// over. What is known of the runs of a timer stays with its name. Planned follows
// for each.
func (s *Source) Configure(units []*unit.Unit) {
	s.ask(func() { s.configure(units) })
}

// Ran tells that a run of the timer began, whoever asked for it. A supervisor
// that takes over from another one tells it of the last runs of this boot,
// between Configure and Run.
func (s *Source) Ran(name string, at unit.Time) {
	s.ask(func() {
		if t := s.find(name); t != nil {
			t.past.Ran, t.unkept = max(t.past.Ran, time.Duration(at)), true
		}
	})
}

// Persist says in which folder last runs are kept from now on; empty: in none
// any more. The folder is made if only its last part is missing. Timers that
// catch up do so when it is known.
func (s *Source) Persist(dir string) {
	s.ask(func() {
		s.dir = dir
		for _, t := range s.timers {
			t.looked = false
		}
		s.store.use(dir)
		s.look()
	})
}

func (s *Source) ask(f func()) {
	s.mu.Lock()
	s.asked = append(s.asked, f)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Source) take() []func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// Run says what is due and planned until ctx ends; the error is ctx's cause, or
// that the kernel has no timer for us.
func (s *Source) Run(ctx context.Context) error {
	defer func() {
		if v := recover(); v != nil {
			s.config.Fault(v, debug.Stack())
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clock := s.config.testOnlyClock
	if clock == nil {
		var err error
		if clock, err = openClock(func(err error) { cancel(err) }, s.config.Fault); err != nil {
			return err
		}
	}
	defer clock.close()
	go func() { // ends with ctx, later if its disk hangs
		defer func() {
			if v := recover(); v != nil {
				s.config.Fault(v, debug.Stack())
			}
		}()
		s.store.run(ctx)
	}()
	for {
		for _, f := range s.take() {
			f()
		}
		now := clock.now()
		clock.arm(s.turn(&now))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.wake:
		case <-clock.woken():
		}
	}
}

// turn looks at the clocks, says what has to be said, and gives the moment when
// it is to be called next; 0: not unless something happens.
func (s *Source) turn(now *schedule.Now) time.Duration {
	by, wrong := s.clock.Look(now)
	right := s.clock.Right(now)
	if by.Abs() > schedule.Jump {
		s.config.Log("timers: the clock was set to " + now.Time(now.Wall).Format(time.DateTime) + "; planning anew")
	}
	for _, t := range s.timers {
		if !t.begun {
			s.begin(t, now)
		}
		if by != 0 || wrong {
			t.past.Moved(by, wrong, now.Boot)
			t.unkept = t.past.Ran > 0
		}
	}
	s.running = true
	var wake time.Duration
	if !right {
		wake = schedule.Grace
	}
	for _, t := range s.timers {
		if t.CatchUp && t.looked && right {
			s.keep(t, now)
		}
		next, ok := t.Next(&t.past, now, right)
		if ok && next.At <= now.Boot {
			s.config.Emit(unit.Event{Op: unit.Due, Unit: t.Name, Text: next.Why(now)})
			t.past.Due, t.past.Occasion = now.Boot, next.Occasion
			next, ok = t.Next(&t.past, now, right)
			next.At = max(next.At, now.Boot+shortest)
		}
		s.plan(t, &next, ok, now, right)
		if ok && (wake == 0 || next.At < wake) {
			wake = next.At
		}
	}
	return wake
}

// plan tells of a plan that differs from what was told.
func (s *Source) plan(t *timer, next *schedule.Next, ok bool, now *schedule.Now, right bool) {
	p := planned{any: true}
	ev := unit.Event{Op: unit.Planned, Unit: t.Name}
	switch {
	case ok:
		wall := now.Time(next.Wall)
		layout := "Mon 2 Jan 15:04" // right whenever it is read
		if wall.Year() != now.Time(now.Wall).Year() {
			layout = "Mon 2 Jan 2006 15:04"
		}
		p.wall, p.why = next.Wall, next.Why(now)
		ev.Wall, ev.Text = int64(next.Wall), wall.Format(layout)+" ("+p.why+")"
	case !right && len(t.Cron) > 0:
		p.why = "when the clock is set"
		ev.Text = p.why
	}
	if t.said.any && t.said.why == p.why && (t.said.wall-p.wall).Abs() < time.Second {
		return
	}
	t.said = p
	s.config.Emit(ev)
}

// keep has the last run of this boot written to its file, in the time of a clock
// that is right; of a timer without a past, the moment at which it was first seen.
func (s *Source) keep(t *timer, now *schedule.Now) {
	last := now.Wall + t.past.From - now.Boot
	switch {
	case t.unkept:
		t.unkept = false
		last = now.Wall + t.past.Ran - now.Boot
		if (last - t.past.Last).Abs() < 2*time.Second { // an earlier epoch wrote it
			return
		}
	case t.past.Ran > 0 || t.past.Last != 0:
		return
	}
	t.past.Last = last
	s.store.put(t.Name, last)
}

// begin says from when on a timer counts: for one that has come while others
// ran, from now; for the first ones of a supervisor, a little earlier, when its
// forerunner may have been dead already.
func (s *Source) begin(t *timer, now *schedule.Now) {
	t.begun = true
	t.past.From = now.Boot
	if !s.running {
		t.past.From = max(0, now.Boot-takeOver)
	}
}

func (s *Source) find(name string) *timer {
	for _, t := range s.timers {
		if t.Name == name {
			return t
		}
	}
	return nil
}

func (s *Source) configure(units []*unit.Unit) {
	var timers []*timer
	for _, u := range units {
		if u.Kind != unit.Timer || u.Timer == nil {
			continue
		}
		t := &timer{Timer: schedule.Timer{
			Name: u.Name, Every: u.Timer.Every, OnBoot: u.Timer.OnBoot, Jitter: u.Timer.Jitter, CatchUp: u.Timer.CatchUp,
		}}
		for _, expr := range u.Timer.Cron {
			c, err := schedule.Parse(expr)
			if err != nil { // the file was checked when it was read
				s.config.Log("unit " + u.Name + ": cron = " + expr + ": " + err.Error())
				continue
			}
			t.Cron = append(t.Cron, c)
		}
		if old := s.find(u.Name); old != nil {
			t.past, t.looked, t.unkept = old.past, old.looked, old.unkept
			t.begun = old.begun && slices.Equal(old.Cron, t.Cron)
		}
		timers = append(timers, t)
	}
	s.timers = timers
	s.look()
}

// look has the store find what is not known yet of earlier boots.
func (s *Source) look() {
	if s.dir == "" {
		return
	}
	var names []string
	for _, t := range s.timers {
		if t.CatchUp && !t.looked {
			names = append(names, t.Name)
		}
	}
	if len(names) > 0 {
		s.store.look(names)
	}
}

// remember takes what the store found.
func (s *Source) remember(last map[string]time.Duration) {
	for name, at := range last {
		s.clock.Floor(at)
		if t := s.find(name); t != nil {
			t.looked, t.past.Last = true, at
		}
	}
}
