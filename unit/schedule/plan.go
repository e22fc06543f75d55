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

// Now is one look at both clocks: CLOCK_BOOTTIME, and the wall clock, since 1970.
// Zone is that in which cron expressions are meant.
type Now struct {
	Boot, Wall time.Duration
	Zone       *time.Location
}

// wall is what the wall clock of today would have shown at a moment of this boot.
func (n *Now) wall(boot time.Duration) time.Duration { return n.Wall + boot - n.Boot }

// boot is the moment of a wall time; negative if it was before the boot.
func (n *Now) boot(wall time.Duration) time.Duration { return n.Boot + wall - n.Wall }

// Time is a wall time in the zone, for calendars.
func (n *Now) Time(wall time.Duration) time.Time { return time.Unix(0, int64(wall)).In(n.Zone) }

// Past is what is known of a timer's runs. Moments of this boot are on
// CLOCK_BOOTTIME, wall times since 1970; 0: none. A run, whoever began it, stands for all that was due
// before.
//
// Where the clock was put forward by up to Jump, what it skipped since the last
// run is due at once; where further, nothing is. Where it was put back, the next
// run comes no sooner than one period after the last, however far back that was.
type Past struct {
	// Last is the start of the last run in an earlier boot, as the wall clock
	// had it, or when the timer was first seen.
	Last time.Duration
	// Ran is the start of the last run in this boot, Due when the last was due.
	Ran, Due time.Duration
	// Occasion is the wall time of the cron expression for which that was.
	Occasion time.Duration
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
	Wall time.Duration // the same, since 1970
	// Occasion is the wall time that a cron expression gives, for Past; 0 if the
	// run is not cron's.
	Occasion time.Duration

	missed time.Duration // what is caught up with
	every  time.Duration
}

// Why says by what the run is due, for people.
func (n *Next) Why(now *Now) string {
	switch {
	case n.missed != 0:
		return "catch-up: missed " + moment(now.Time(n.missed), now.Time(now.Wall))
	case n.Occasion != 0:
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
func (t *Timer) Next(p *Past, now *Now, clock bool) (next Next, ok bool) {
	last := max(p.Ran, p.Due)
	if t.OnBoot > 0 {
		if at := t.OnBoot + t.jitter(t.Jitter, 0); last < at {
			next, ok = Next{At: at}, true
		}
	}
	if t.Every > 0 && (last > 0 || t.OnBoot == 0) {
		if n := t.nextEvery(p, last, now, clock); !ok || n.At < next.At {
			next, ok = n, true
		}
	}
	for i := range t.Cron {
		if !clock {
			break
		}
		if n, comes := t.nextCron(&t.Cron[i], p, last, now); comes && (!ok || n.At < next.At) {
			next, ok = n, true
		}
	}
	next.Wall = now.wall(next.At)
	return next, ok
}

func (t *Timer) nextEvery(p *Past, last time.Duration, now *Now, clock bool) Next {
	n := Next{every: t.Every}
	if last == 0 && t.CatchUp && clock && p.Last != 0 && p.Last <= now.Wall {
		due := p.Last + t.Every
		jitter := t.jitter(t.Every, int64(p.Last))
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

func (t *Timer) nextCron(c *Cron, p *Past, last time.Duration, now *Now) (Next, bool) {
	occasion, ok := now.next(c, t.since(c, p, last, now))
	if !ok {
		return Next{}, false
	}
	jitter := t.jitter(now.period(c, occasion), int64(occasion))
	n := Next{At: now.boot(occasion), Occasion: occasion}
	if n.At < p.From {
		n.missed = occasion
		n.At = max(p.From, Soon)
	}
	n.At += jitter
	return n, true
}

// since is the wall time up to which c has nothing more to say.
func (t *Timer) since(c *Cron, p *Past, last time.Duration, now *Now) time.Duration {
	const instant = 1 // ns: what comes exactly a period later may
	since := p.Last
	switch {
	case last > 0 && p.Occasion > now.wall(last): // the clock was put back
		return max(now.wall(last)+now.period(c, p.Occasion), now.wall(p.From)) - instant
	case last > 0:
		since = now.wall(last)
	case p.Last > now.Wall: // put back between two boots
		if p.Last-now.Wall <= now.period(c, p.Last) {
			return p.Last
		}
		since = 0 // that clock was never right
	}
	if last > 0 || !t.CatchUp || since == 0 {
		since = max(since, now.wall(p.From)-instant)
	}
	if !t.CatchUp {
		since = max(since, now.Wall-Jump-t.Jitter)
	}
	return since
}

// next is Cron.Next for wall times.
func (n *Now) next(c *Cron, after time.Duration) (time.Duration, bool) {
	t, ok := c.Next(n.Time(after))
	return time.Duration(t.UnixNano()), ok
}

// period is how long after from c comes again.
func (n *Now) period(c *Cron, from time.Duration) time.Duration {
	next, ok := n.next(c, from)
	if !ok {
		return 0
	}
	return next - from
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
