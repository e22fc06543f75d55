package schedule

import (
	"math/bits"
	"time"
)

const (
	// Jump is how far the wall clock may be moved and still count as the same
	// clock: what falls into an hour that is skipped runs late, once. A clock
	// that is moved further was wrong before, and what it skips never was. The
	// three hours are those of cron(8).
	Jump = 3 * time.Hour
	// Soon is how long after the boot what was missed begins, at the earliest.
	Soon = time.Minute
)

// Timer is when a unit is to run. What is zero is not asked for.
type Timer struct {
	Name string // gives each timer a jitter of its own
	Cron []Cron
	// Every counts from the start of the last run. The first run of a boot is
	// OnBoot after it, or Every after it if there is no OnBoot.
	Every, OnBoot time.Duration
	// Jitter delays each run by less than it, and less than to the next.
	Jitter time.Duration
	// CatchUp makes up, once, for what was missed since the last run that
	// anybody remembers.
	CatchUp bool
}

// Now is one look at both clocks. Boot is CLOCK_BOOTTIME, Wall has the time zone
// in which cron expressions are meant.
type Now struct {
	Boot time.Duration
	Wall time.Time
}

// wall is what the wall clock of today would have shown at a moment of this boot.
func (n Now) wall(boot time.Duration) time.Time { return n.Wall.Add(boot - n.Boot) }

// boot is the moment of a wall time; negative if it was before the boot.
func (n Now) boot(wall time.Time) time.Duration { return n.Boot + wall.Sub(n.Wall) }

// Past is what is known of a timer's runs. Moments of this boot are on
// CLOCK_BOOTTIME; 0: none. A run, whoever began it, stands for all that was due
// before.
//
// Where the clock was put forward by up to Jump, what it skipped since the last
// run is due at once; where further, nothing is. Where it was put back, the next
// run comes no sooner than one period after the last, however far back that was.
type Past struct {
	// Last is the start of the last run in an earlier boot, as the wall clock
	// had it, or when the timer was first seen; zero: not known.
	Last time.Time
	// Ran is the start of the last run in this boot, Due when the last was due.
	Ran, Due time.Duration
	// Occasion is the time of the cron expression for which that was.
	Occasion time.Time
	// From: what cron had due before does not count: the clock was wrong then,
	// or nobody was there; only CatchUp looks behind it. See Moved. It may lie
	// before the boot.
	From time.Duration
}

// Moved tells what Clock.Look said at boot.
func (p *Past) Moved(by time.Duration, wrong bool, boot time.Duration) {
	if wrong {
		p.From = boot
		return
	}
	p.From = min(p.From-by, boot) // the same wall time as before
}

// Next is the next run of a timer.
type Next struct {
	At   time.Duration // on CLOCK_BOOTTIME; it may have passed
	Wall time.Time
	// Occasion is the time that a cron expression gives, for Past; zero if the
	// run is not cron's.
	Occasion time.Time

	missed time.Time // what is caught up with
	every  time.Duration
}

// Why says by what the run is due, for people.
func (n Next) Why(now Now) string {
	switch {
	case !n.missed.IsZero():
		return "catch-up: missed " + moment(n.missed, now.Wall)
	case !n.Occasion.IsZero():
		return "cron"
	case n.every != 0:
		return "every " + short(n.every)
	default:
		return "on boot"
	}
}

// Next is when the timer is due next, false if never. With clock false, wall
// time is not to be trusted yet: cron and catching up wait.
//
// Once the run was due, Past.Due and Past.Occasion are to be set; then the answer
// lies behind now.
func (t *Timer) Next(p Past, now Now, clock bool) (next Next, ok bool) {
	take := func(n Next) {
		n.Wall = now.wall(n.At)
		if !ok || n.At < next.At {
			next, ok = n, true
		}
	}
	last := max(p.Ran, p.Due)
	if t.OnBoot > 0 {
		if at := t.OnBoot + t.jitter(t.Jitter, 0); last < at {
			take(Next{At: at})
		}
	}
	if t.Every > 0 && (last > 0 || t.OnBoot == 0) {
		take(t.nextEvery(p, last, now, clock))
	}
	if !clock {
		return next, ok
	}
	for _, c := range t.Cron {
		if n, comes := t.nextCron(c, p, last, now); comes {
			take(n)
		}
	}
	return next, ok
}

func (t *Timer) nextEvery(p Past, last time.Duration, now Now, clock bool) Next {
	n := Next{every: t.Every}
	if last == 0 && t.CatchUp && clock && !p.Last.IsZero() && !p.Last.After(now.Wall) {
		due := p.Last.Add(t.Every)
		jitter := t.jitter(t.Every, p.Last.Unix())
		if n.At = now.boot(due) + jitter; n.At < Soon {
			n.At = Soon + jitter
		}
		if now.boot(due) < 0 {
			n.missed = due
		}
		return n
	}
	n.At = last + t.Every + t.jitter(t.Every, int64(last))
	return n
}

func (t *Timer) nextCron(c Cron, p Past, last time.Duration, now Now) (Next, bool) {
	occasion, ok := c.Next(t.since(c, p, last, now))
	if !ok {
		return Next{}, false
	}
	jitter := t.jitter(period(c, occasion), occasion.Unix())
	n := Next{At: now.boot(occasion), Occasion: occasion}
	if n.At < p.From {
		n.missed = occasion
		n.At = max(p.From, Soon)
	}
	n.At += jitter
	return n, true
}

// since is the wall time up to which c has nothing more to say.
func (t *Timer) since(c Cron, p Past, last time.Duration, now Now) time.Time {
	const instant = time.Nanosecond // what comes exactly a period later may
	p.Last = p.Last.In(now.Wall.Location())
	switch {
	case last > 0 && p.Occasion.After(now.wall(last)): // the clock was put back
		return later(now.wall(last).Add(period(c, p.Occasion)-instant), now.wall(p.From).Add(-instant))
	case last == 0 && p.Last.After(now.Wall): // the same, between two boots
		if p.Last.Sub(now.Wall) <= period(c, p.Last) {
			return p.Last
		}
		p.Last = time.Time{} // that clock was never right
	}
	since := p.Last
	if last > 0 {
		since = now.wall(last)
	}
	if last > 0 || !t.CatchUp || since.IsZero() {
		since = later(since, now.wall(p.From).Add(-instant))
	}
	if !t.CatchUp {
		since = later(since, now.Wall.Add(-Jump-t.Jitter))
	}
	return since
}

// period is how long after from c comes again.
func period(c Cron, from time.Time) time.Duration {
	next, ok := c.Next(from)
	if !ok {
		return 0
	}
	return next.Sub(from)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// jitter is the delay of one run, below Jitter and most: the same each time that
// it is asked for, another for another timer or another run.
func (t *Timer) jitter(most time.Duration, run int64) time.Duration {
	most = min(most, t.Jitter)
	if most <= 0 {
		return 0
	}
	// FNV-1a, and the last step of splitmix64 to spread what differs in the low
	// bits alone.
	h := uint64(14695981039346656037)
	for i := range len(t.Name) {
		h = (h ^ uint64(t.Name[i])) * 1099511628211
	}
	h = (h ^ uint64(run)) * 1099511628211
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	share, _ := bits.Mul64(h^h>>31, uint64(most))
	return time.Duration(share)
}
