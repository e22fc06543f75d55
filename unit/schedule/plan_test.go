package schedule

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// life is one boot of a machine: when it is at which uptime, and how its clock
// is moved.
type life struct {
	start string // wall time at boot
	sets  []set
	until time.Duration
}

type set struct {
	at time.Duration
	to string
}

const layout = "2006-01-02 15:04"

func wall(t testing.TB, text string) time.Time {
	t.Helper()
	w, err := time.Parse(layout, text)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func since1970(t testing.TB, text string) time.Duration {
	return time.Duration(wall(t, text).UnixNano())
}

func crons(t testing.TB, exprs ...string) (all []Cron) {
	t.Helper()
	for _, expr := range exprs {
		c, err := Parse(expr)
		if err != nil {
			t.Fatalf("%q: %v", expr, err)
		}
		all = append(all, c)
	}
	return all
}

// run lives a life as the source of timers does, and gives each run as "uptime
// why". A plan that moves while nothing has happened is an error.
func run(t *testing.T, timer *Timer, p Past, l life) (runs []string, at []time.Duration) {
	t.Helper()
	var clock Clock
	clock.Floor(p.Last)
	boot, sets := time.Second, slices.Clone(l.sets)
	w := since1970(t, l.start) + boot
	for boot <= l.until {
		now := &Now{boot, w, time.UTC}
		by, wrong := clock.Look(now)
		p.Moved(by, wrong, boot)
		next, ok := timer.Next(&p, now, clock.Right(now))
		if ok && next.At <= boot {
			runs = append(runs, boot.Truncate(time.Second).String()+" "+next.Why(now))
			at = append(at, boot)
			p.Due, p.Occasion = boot, next.Occasion
			if len(runs) > 10_000 {
				t.Fatalf("a storm: %v", runs[:20])
			}
			if again, ok := timer.Next(&p, now, clock.Right(now)); ok && again.At <= boot {
				t.Fatalf("due at %v, and again at %v", boot, again.At)
			}
			continue
		}
		till := l.until + 1
		if ok {
			till = min(till, next.At)
			mid := boot + (next.At-boot)/2
			if between, still := timer.Next(&p, &Now{mid, w + mid - boot, time.UTC}, clock.Right(now)); !still || between.At != next.At {
				t.Fatalf("at %v the plan is %v, at %v it is %v", boot, next.At, mid, between.At)
			}
		}
		if boot < Grace {
			till = min(till, Grace)
		}
		if len(sets) > 0 && sets[0].at <= till {
			w, boot = since1970(t, sets[0].to), sets[0].at
			sets = sets[1:]
			continue
		}
		w, boot = w+till-boot, till
	}
	return runs, at
}

func TestPlans(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name  string
		timer Timer
		last  string
		life  life
		want  []string
	}{
		{"every, from boot", Timer{Every: 15 * time.Minute}, "", life{start: "2026-11-21 03:17", until: 50 * time.Minute},
			[]string{"15m0s every 15m", "30m0s every 15m", "45m0s every 15m"}},
		{"every after on_boot", Timer{Every: time.Hour, OnBoot: 2 * time.Minute}, "", life{start: "2026-11-21 03:17", until: 2 * time.Hour},
			[]string{"2m0s on boot", "1h2m0s every 1h"}},
		{"on_boot alone", Timer{OnBoot: time.Minute}, "", life{start: "2026-11-21 03:17", until: 100 * day}, []string{"1m0s on boot"}},
		{"every does not mind the clock", Timer{Every: time.Hour}, "",
			life{start: "1970-01-01 00:00", sets: []set{{20 * time.Second, "2026-11-21 03:17"}, {90 * time.Minute, "1999-01-01 00:00"}}, until: 150 * time.Minute},
			[]string{"1h0m0s every 1h", "2h0m0s every 1h"}},
		{"cron", Timer{Cron: crons(t, "0 2 * * *", "30 5 * * *")}, "", life{start: "2026-11-21 01:00", until: day},
			[]string{"1h0m0s cron", "4h30m0s cron"}},
		{"what was before the boot is past", Timer{Cron: crons(t, "0 2 * * *")}, "", life{start: "2026-11-21 02:01", until: 12 * time.Hour}, nil},
		{"nothing known, nothing missed", Timer{Cron: crons(t, "0 2 * * *"), CatchUp: true}, "", life{start: "2026-11-21 02:01", until: 12 * time.Hour}, nil},
		{"catch-up, once", Timer{Cron: crons(t, "0 2 * * *"), CatchUp: true}, "2026-11-11 02:00", life{start: "2026-11-21 01:00", until: 2 * time.Hour},
			[]string{"1m0s catch-up: missed 12 Nov 02:00", "1h0m0s cron"}},
		{"nothing missed", Timer{Cron: crons(t, "0 2 * * *"), CatchUp: true}, "2026-11-21 02:00", life{start: "2026-11-21 02:30", until: 12 * time.Hour}, nil},
		{"every, over a boot", Timer{Every: day, CatchUp: true}, "2026-11-20 12:00", life{start: "2026-11-21 11:00", until: 2 * day},
			[]string{"1h0m0s every 24h", "25h0m0s every 24h"}},
		{"every, missed", Timer{Every: day, CatchUp: true}, "2026-11-18 12:00", life{start: "2026-11-21 11:00", until: day},
			[]string{"1m0s catch-up: missed Thursday 12:00"}},

		{"50 years forward", Timer{Cron: crons(t, "*/5 * * * *", "0 2 * * *", "@monthly")}, "",
			life{start: "1976-11-21 03:16", sets: []set{{9*time.Minute + 30*time.Second, "2026-11-21 03:17"}}, until: 14 * time.Minute},
			[]string{"12m30s cron"}},
		{"50 years forward, caught up", Timer{Cron: crons(t, "0 2 * * *"), CatchUp: true}, "2026-11-20 02:00",
			life{start: "1970-01-01 00:00", sets: []set{{20 * time.Second, "2026-11-21 03:17"}}, until: 12 * time.Hour},
			[]string{"1m0s catch-up: missed today 02:00"}},
		{"50 years forward after hours", Timer{Cron: crons(t, "0 2 * * *"), CatchUp: true}, "2026-11-20 02:00",
			life{start: "1970-01-01 01:00", sets: []set{{5 * time.Hour, "2026-11-21 01:00"}}, until: 12 * time.Hour},
			[]string{"1h0m0s cron", "6h0m0s cron"}},
		{"never a clock", Timer{Cron: crons(t, "*/5 * * * *")}, "", life{start: "1970-01-01 00:02", until: 21 * time.Minute},
			[]string{"13m0s cron", "18m0s cron"}},
		{"the clock is before the last run, and stays there", Timer{Cron: crons(t, "0 * * * *"), CatchUp: true}, "2075-01-01 00:00",
			life{start: "2026-11-21 03:17", until: 2 * time.Hour}, []string{"43m0s cron", "1h43m0s cron"}},
		{"the clock is a little before the last run", Timer{Cron: crons(t, "0 2 * * *"), CatchUp: true}, "2026-11-21 02:00",
			life{start: "2026-11-21 01:30", until: 26 * time.Hour}, []string{"24h30m0s cron"}},
		{"on at two, an hour too late", Timer{Cron: crons(t, "0 2 * * *")}, "",
			life{start: "2026-11-21 01:30", sets: []set{{20 * time.Minute, "2026-11-21 02:50"}}, until: 12 * time.Hour}, []string{"20m0s cron"}},
		{"on at two, five hours too late", Timer{Cron: crons(t, "0 2 * * *")}, "",
			life{start: "2026-11-21 01:30", sets: []set{{20 * time.Minute, "2026-11-21 06:50"}}, until: 12 * time.Hour}, nil},
		{"two seconds over two o'clock", Timer{Cron: crons(t, "0 2 * * *")}, "",
			life{start: "2026-11-21 01:30", sets: []set{{30*time.Minute - time.Second, "2026-11-21 02:00"}}, until: 12 * time.Hour}, []string{"29m59s cron"}},
		{"one minute back over two o'clock", Timer{Cron: crons(t, "0 2 * * *")}, "",
			life{start: "2026-11-21 01:30", sets: []set{{30*time.Minute + time.Second, "2026-11-21 01:59"}}, until: 25 * time.Hour},
			[]string{"30m0s cron", "24h31m1s cron"}},
		{"one hour back, quarters", Timer{Cron: crons(t, "*/15 * * * *")}, "",
			life{start: "2026-11-21 01:59", sets: []set{{6 * time.Minute, "2026-11-21 01:05"}}, until: 22 * time.Minute},
			[]string{"1m0s cron", "16m0s cron"}},
		{"50 years back, daily", Timer{Cron: crons(t, "0 2 * * *")}, "",
			life{start: "2076-11-21 01:30", sets: []set{{time.Hour, "2026-11-21 01:45"}}, until: 3 * day},
			[]string{"30m0s cron", "25h15m0s cron", "49h15m0s cron"}},
		{"suspended over the night", Timer{Cron: crons(t, "0 2 * * *"), CatchUp: true}, "",
			life{start: "2026-11-21 01:00", until: 2 * time.Hour}, []string{"1h0m0s cron"}},
	} {
		p := Past{}
		if c.last != "" {
			p.Last = since1970(t, c.last)
		}
		c.timer.Name = c.name
		got, _ := run(t, &c.timer, p, c.life)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
}

// TestSleep: the machine slept over the time; both clocks went on.
func TestSleep(t *testing.T) {
	for _, c := range []struct {
		catchUp bool
		slept   time.Duration
		now     bool
	}{{false, 2 * time.Hour, true}, {false, 5 * time.Hour, false}, {true, 5 * time.Hour, true}} {
		timer := Timer{Name: "night", Cron: crons(t, "0 2 * * *"), CatchUp: c.catchUp}
		now := &Now{time.Hour + c.slept, since1970(t, "2026-11-21 01:00") + c.slept, time.UTC}
		next, ok := timer.Next(&Past{Ran: time.Minute}, now, true)
		if !ok || (next.At <= now.Boot) != c.now {
			t.Errorf("%+v: due at %v, it is %v", c, next.At, now.Boot)
		}
	}
}

// TestRandomClocks: however a clock is put back, no three runs of a timer come
// within a period (two may, where the first is late: what was due when the clock
// moved); and in whichever way it is moved, there are no more runs than the time
// and the number of moves allow.
func TestRandomClocks(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 7))
		every := []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour}[seed%3]
		expr := []string{"*/5 * * * *", "0 * * * *", "0 2 * * *"}[seed%3]
		timer := Timer{Name: "random", Cron: crons(t, expr), CatchUp: r.IntN(2) == 0}
		jitter := time.Duration(0)
		if r.IntN(2) == 0 {
			timer.Jitter = time.Duration(r.Int64N(int64(every)))
			jitter = timer.Jitter
		}
		onlyBack := r.IntN(2) == 0
		now := wall(t, "2026-11-21 01:30")
		l := life{start: now.Format(layout), until: 10 * every}
		for at := time.Duration(0); ; {
			step := time.Duration(r.Int64N(int64(4 * every)))
			if at += step; at >= l.until {
				break
			}
			by := time.Duration(r.Int64N(int64([]time.Duration{time.Minute, 2 * every, 50 * 365 * 24 * time.Hour}[r.IntN(3)])))
			if onlyBack || r.IntN(2) == 0 {
				by = -by
			}
			now = now.Add(step + by)
			if now.Year() < 1970 || now.Year() > 2200 {
				now = wall(t, "2027-01-01 00:00")
				if onlyBack {
					break
				}
			}
			l.sets = append(l.sets, set{at, now.Format(layout)})
		}
		runs, at := run(t, &timer, Past{}, l)
		if most := 11 + 2*len(l.sets); len(at) > most {
			t.Fatalf("seed %d: %q ran %d times in ten periods, moved %d times", seed, expr, len(at), len(l.sets))
		}
		for i := 2; onlyBack && i < len(at); i++ {
			if apart := at[i] - at[i-2]; apart < every-jitter-time.Minute { // sets are to the minute
				t.Fatalf("seed %d: %q (jitter %v) ran at %v and %v: %v; %+v", seed, expr, jitter, at[i-2], at[i], runs, l)
			}
		}
	}
}

func TestJitter(t *testing.T) {
	timer := Timer{Name: "a", Jitter: time.Hour}
	other := Timer{Name: "b", Jitter: time.Hour}
	var quarters [4]int
	same := 0
	for run := range int64(4000) {
		j := timer.jitter(24*time.Hour, run)
		if j < 0 || j >= time.Hour || j != timer.jitter(24*time.Hour, run) {
			t.Fatalf("jitter of run %d: %v", run, j)
		}
		if short := timer.jitter(time.Minute, run); short < 0 || short >= time.Minute {
			t.Fatalf("jitter of a timer of a minute: %v", short)
		}
		if j == other.jitter(24*time.Hour, run) {
			same++
		}
		quarters[j/(15*time.Minute)]++
	}
	for _, n := range quarters {
		if n < 900 || n > 1100 {
			t.Errorf("not uniform: %v", quarters)
		}
	}
	if same > 0 {
		t.Errorf("two timers have %d of 4000 in common", same)
	}
}

func TestPlanWithJitterIsCaughtUpLater(t *testing.T) {
	timer := Timer{Name: "scrub", Cron: crons(t, "0 2 * * sun"), CatchUp: true, Jitter: time.Hour}
	runs, at := run(t, &timer, Past{Last: since1970(t, "2026-11-08 02:10")}, life{start: "2026-11-21 01:00", until: 5 * time.Hour})
	if len(runs) != 1 || !strings.HasSuffix(runs[0], "catch-up: missed Sunday 02:00") || at[0] < Soon || at[0] > Soon+time.Hour {
		t.Errorf("%v", runs)
	}
}

// TestLastRunIsInLocalTime: files have UTC, cron has not.
func TestLastRunIsInLocalTime(t *testing.T) {
	timer := Timer{Name: "night", Cron: crons(t, "0 2 * * *"), CatchUp: true}
	now := &Now{time.Hour, since1970(t, "2026-11-21 00:30"), zone(t, "Europe/Berlin")} // half past one
	for _, last := range []string{"2026-11-20 01:00", "2026-11-21 01:00"} {
		next, ok := timer.Next(&Past{Last: since1970(t, last)}, now, true)
		want := since1970(t, last) + 24*time.Hour
		if !ok || next.Wall != want {
			t.Errorf("after %s: %v, want %v", last, next.Wall, want)
		}
	}
}
