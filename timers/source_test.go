package timers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"hoopy/unit"
	"hoopy/unit/schedule"
)

// fakeClock goes by the bubble's time; its wall clock can be set. The machine
// booted a second ago.
type fakeClock struct {
	mu     sync.Mutex
	booted time.Time
	offset time.Duration // from Unix time of the bubble to wall time
	timer  *time.Timer
	token  chan struct{}
}

func newFakeClock(t *testing.T, wall string) *fakeClock {
	c := &fakeClock{booted: time.Now().Add(-time.Second), token: make(chan struct{}, 1)}
	c.offset = time.Until(at(t, wall))
	return c
}

func at(t *testing.T, wall string) time.Time {
	t.Helper()
	w, err := time.Parse(time.DateTime, wall)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (c *fakeClock) now() schedule.Now {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	return schedule.Now{Boot: now.Sub(c.booted), Wall: time.Duration(now.Add(c.offset).UnixNano()), Zone: time.UTC}
}

func (c *fakeClock) set(t *testing.T, wall string) {
	c.mu.Lock()
	c.offset = time.Until(at(t, wall))
	c.mu.Unlock()
	c.wake()
}

func (c *fakeClock) wake() {
	select {
	case c.token <- struct{}{}:
	default:
	}
}

func (c *fakeClock) arm(at time.Duration) {
	if c.timer != nil {
		c.timer.Stop()
	}
	if at > 0 {
		c.timer = time.AfterFunc(at-c.now().Boot, c.wake)
	}
}

func (c *fakeClock) woken() <-chan struct{} { return c.token }

func (c *fakeClock) close() { c.arm(0) }

// bench is a running source and what it has said.
type bench struct {
	*Source
	clock *fakeClock
	end   func()

	mu     sync.Mutex
	events []string
	lines  []string
}

func start(t *testing.T, clock *fakeClock, before func(*Source)) *bench {
	t.Helper()
	b := &bench{clock: clock}
	b.Source = New(Config{
		Emit: func(ev unit.Event) {
			now := clock.now()
			line := now.Boot.Truncate(time.Second).String() + " due " + ev.Unit + ": " + ev.Text
			if ev.Op == unit.Planned {
				line = "planned " + ev.Unit + ": " + ev.Text
				if before, after, ok := strings.Cut(ev.Text, " ("); ok {
					line = "planned " + ev.Unit + ": " + strings.TrimSuffix(after, ")")
					if want := time.Unix(0, ev.Wall).UTC().Format("Mon 2 Jan 15:04"); before != want {
						t.Errorf("planned for %q, in nanoseconds %q", before, want)
					}
					line += " " + time.Unix(0, ev.Wall).UTC().Format(time.DateTime)
				}
			}
			b.mu.Lock()
			b.events = append(b.events, line)
			b.mu.Unlock()
			if ev.Op == unit.Due {
				b.Ran(ev.Unit, unit.Time(now.Boot))
			}
		},
		Log: func(line string) {
			b.mu.Lock()
			b.lines = append(b.lines, line)
			b.mu.Unlock()
		},
		Fault:         func(what any, stack []byte) { t.Errorf("panic: %v\n%s", what, stack) },
		testOnlyClock: clock,
	})
	before(b.Source)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	b.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	synctest.Wait()
	return b
}

// take gives the events since the last take whose text has word in it.
func (b *bench) take(word string) (events []string) {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ev := range b.events {
		if strings.Contains(ev, word) {
			events = append(events, ev)
		}
	}
	b.events = nil
	return events
}

func (b *bench) want(t *testing.T, word string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, b.take(word)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func timerUnit(name string, c unit.TimerConfig) *unit.Unit {
	return &unit.Unit{Name: name, Kind: unit.Timer, Timer: &c}
}

func TestDueAndPlanned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newFakeClock(t, "2026-11-21 01:00:00"), func(s *Source) {
			s.Configure([]*unit.Unit{
				{Name: "sshd"},
				timerUnit("poll", unit.TimerConfig{Every: 40 * time.Minute}),
				timerUnit("night", unit.TimerConfig{Cron: []string{"0 2 * * *"}}),
				timerUnit("once", unit.TimerConfig{OnBoot: time.Minute}),
			})
		})
		defer b.end()
		b.want(t, "", "planned poll: every 40m 2026-11-21 01:39:59", "planned night: cron 2026-11-21 02:00:00",
			"planned once: on boot 2026-11-21 01:00:59")
		time.Sleep(time.Hour)
		b.want(t, "", "1m0s due once: on boot", "planned once: ",
			"40m0s due poll: every 40m", "planned poll: every 40m 2026-11-21 02:19:59",
			"1h0m1s due night: cron", "planned night: cron 2026-11-22 02:00:00")
		b.Ran("poll", unit.Time(b.clock.now().Boot)) // somebody started it
		b.want(t, "", "planned poll: every 40m 2026-11-21 02:40:00")
		b.Configure([]*unit.Unit{timerUnit("poll", unit.TimerConfig{Every: time.Hour}),
			timerUnit("night", unit.TimerConfig{Cron: []string{"59 1 * * *"}}), timerUnit("new", unit.TimerConfig{Cron: []string{"30 1 * * *"}})})
		b.want(t, "", "planned poll: every 1h 2026-11-21 03:00:00", "planned night: cron 2026-11-22 01:59:00",
			"planned new: cron 2026-11-22 01:30:00")
		time.Sleep(time.Hour)
		b.want(t, "", "2h0m1s due poll: every 1h", "planned poll: every 1h 2026-11-21 04:00:00")
	})
}

func TestClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		units := []*unit.Unit{timerUnit("poll", unit.TimerConfig{Every: time.Hour})}
		for i := range 50 {
			units = append(units, timerUnit("cron"+strconv.Itoa(i), unit.TimerConfig{Cron: []string{strconv.Itoa(i) + " * * * *"}}))
		}
		b := start(t, newFakeClock(t, "1976-11-21 01:00:00"), func(s *Source) { s.Configure(units) })
		defer b.end()
		b.want(t, "cron7:", "planned cron7: when the clock is set")
		time.Sleep(2 * time.Minute)
		b.want(t, "due")
		b.clock.set(t, "2026-11-21 03:17:02")
		b.want(t, "due")
		b.clock.set(t, "2026-11-21 03:17:05")
		b.want(t, "due")
		time.Sleep(2 * time.Minute)
		b.want(t, "due", "2m56s due cron18: cron", "3m56s due cron19: cron")
		b.clock.set(t, "2026-11-21 03:18:30")
		time.Sleep(2 * time.Minute)
		b.want(t, "due", "5m31s due cron20: cron")
		b.clock.set(t, "1976-11-21 03:17:30")
		time.Sleep(time.Minute)
		b.want(t, "due") // a clock that shows 1976 is none
		b.clock.set(t, "2026-11-21 03:21:30")
		time.Sleep(time.Minute)
		b.want(t, "due", "7m31s due cron22: cron")
	})
}

func TestCatchUpOverBoots(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "timers")
	night := []*unit.Unit{timerUnit("night", unit.TimerConfig{Cron: []string{"0 2 * * *"}, CatchUp: true}),
		timerUnit("dull", unit.TimerConfig{Cron: []string{"0 2 * * *"}})}
	file := func() string {
		b, err := os.ReadFile(filepath.Join(dir, "night"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	boot := func(wall string, during func(*bench)) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			b := start(t, newFakeClock(t, wall), func(s *Source) { s.Configure(night) })
			defer b.end()
			during(b)
		})
	}
	boot("2026-11-19 01:00:00", func(b *bench) { // never seen before
		b.Persist(dir)
		time.Sleep(10 * time.Minute)
		b.want(t, "due")
		if got := file(); got != "2026-11-19T00:59:59Z" {
			t.Errorf("first seen at %s", got)
		}
	})
	boot("1970-01-01 00:00:00", func(b *bench) { // on after two, and the disk takes its time
		time.Sleep(29 * time.Second)
		b.Persist(dir)
		time.Sleep(30 * time.Second)
		b.want(t, "due")
		b.clock.set(t, "2026-11-19 09:00:00")
		time.Sleep(time.Minute)
		b.want(t, "due", "1m0s due night: catch-up: missed today 02:00")
		if got := file(); got != "2026-11-19T09:00:00Z" {
			t.Errorf("ran at %s", got)
		}
	})
	boot("2026-11-19 10:00:00", func(b *bench) { // nothing missed; then on through the night
		b.Persist(dir)
		time.Sleep(20 * time.Hour)
		b.want(t, "due", "16h0m1s due night: cron", "16h0m1s due dull: cron")
		if got := file(); got != "2026-11-20T02:00:00Z" {
			t.Errorf("ran at %s", got)
		}
		b.clock.set(t, "2026-11-20 16:00:00") // it had been ten hours slow
		synctest.Wait()
		if got := file(); got != "2026-11-20T12:00:00Z" {
			t.Errorf("ran at %s, by the right clock", got)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("%v %v: one timer catches up", entries, err)
		}
	})
}

func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		clock := newFakeClock(t, "2026-11-21 01:00:00")
		time.Sleep(time.Hour + time.Minute)
		b := start(t, clock, func(s *Source) {
			s.Configure([]*unit.Unit{
				timerUnit("night", unit.TimerConfig{Cron: []string{"0 2 * * *"}, CatchUp: true}),
				timerUnit("poll", unit.TimerConfig{Every: 40 * time.Minute}),
				timerUnit("once", unit.TimerConfig{OnBoot: time.Minute}),
				timerUnit("earlier", unit.TimerConfig{Cron: []string{"30 1 * * *"}}),
				timerUnit("meanwhile", unit.TimerConfig{Cron: []string{"1 2 * * *"}}),
			})
			s.Persist(dir)
			s.Ran("night", unit.Time(time.Hour+time.Second))
			s.Ran("poll", unit.Time(50*time.Minute))
			s.Ran("once", unit.Time(time.Minute))
		})
		defer b.end()
		b.want(t, "", "planned night: cron 2026-11-22 02:00:00", "planned poll: every 40m 2026-11-21 02:29:59", "planned once: ",
			"planned earlier: cron 2026-11-22 01:30:00", "1h1m1s due meanwhile: cron",
			"planned meanwhile: cron 2026-11-22 02:01:00")
	})
}

// TestStorm: the shortest timer there is, with everything asked of the source a
// thousand times, is due once a second at most.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newFakeClock(t, "2026-11-21 01:00:00"), func(s *Source) {
			s.Configure([]*unit.Unit{timerUnit("busy", unit.TimerConfig{Every: time.Second, CatchUp: true, Jitter: time.Second})})
			s.Persist(filepath.Join(t.TempDir(), "none", "there"))
		})
		defer b.end()
		for i := range 1000 {
			b.Ran("busy", unit.Time(i))
			b.Ran("unknown", 1)
			b.Persist("")
			b.clock.wake()
		}
		time.Sleep(time.Minute)
		if n := len(b.take("due")); n < 30 || n > 60 {
			t.Errorf("due %d times in a minute", n)
		}
	})
}
