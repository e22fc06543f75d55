package process

import (
	"strconv"
	"time"

	"hoopy/unit"
)

// The watchdog of a run: WATCHDOG=1 must come again and again once it is ready.
//
// It counts on CLOCK_MONOTONIC, which stands still while the machine is
// suspended: on CLOCK_BOOTTIME every service would have fallen silent when it
// wakes up. A tick that comes late tells of a machine, or a supervisor, that was
// stopped itself; the service then gets its time anew. So does one that a new
// epoch takes over. The keeper's key for it has the period that the service
// asked for last, and that it was ready.

// dog is the watchdog of a run.
type dog struct {
	dogAt    time.Time     // when it has been silent for too long; zero: nobody counts
	dogEvery time.Duration // 0: it has none
	dogKey   string        // under which the keeper knows of it; empty: it does not
	bitten   bool          // Sick was said
}

// dogLate is how late a tick may come before it tells of a machine that stood
// still.
const dogLate = 2 * time.Second

const sigAbort = 6

func sick(text string) unit.Event {
	return unit.Event{Op: unit.Sick, Force: true, Signal: sigAbort, Text: text}
}

// startDog begins to count: the run is ready.
func (a *Arm) startDog(r *run) {
	if r.part != unit.Main || r.notify < 0 || r.dogKey != "" {
		return
	}
	if r.dogEvery == 0 {
		r.dogEvery = r.unit.Watchdog
	}
	a.setDog(r, r.dogEvery)
}

// setDog sets the period, 0 for none, and counts from now on.
func (a *Arm) setDog(r *run, every time.Duration) {
	key := ""
	if every > 0 {
		key = "dog:" + runName(r.id) + ":" + strconv.FormatInt(every.Microseconds(), 10)
	}
	if key != r.dogKey {
		a.dropDog(r)
		if key != "" {
			a.cfg.Keeper.Store(key, a.null) // the key is all that counts
		}
	}
	r.dogEvery, r.dogKey, r.dogAt = every, key, time.Time{}
	a.resumeDog(r)
}

func (a *Arm) dropDog(r *run) {
	if r.dogKey != "" {
		a.cfg.Keeper.Drop(r.dogKey)
	}
}

// takeDog is the watchdog that an earlier epoch had begun.
func (a *Arm) takeDog(r *run, key, period string) {
	if d, ok := microseconds(period); ok && d > 0 {
		r.dogEvery, r.dogKey = d, key
	}
}

// resumeDog counts from now on, if it has begun to count at all.
func (a *Arm) resumeDog(r *run) {
	if r.dogKey != "" && !r.exited {
		r.dogAt = time.Now().Add(r.dogEvery)
	}
}

// pet: the run lives.
func (a *Arm) pet(r *run) {
	if !r.dogAt.IsZero() {
		a.resumeDog(r)
	}
}

// watchDog looks whether the run has been silent for too long.
func (a *Arm) watchDog(r *run, now time.Time) {
	if r.dogAt.IsZero() || now.Before(r.dogAt) {
		return
	}
	was := r.dogAt
	a.notices(r) // it may have spoken while this process was busy
	switch {
	case r.dogAt != was: // it has
	case r.exited || r.bitten || r.dogKey == "":
		r.dogAt = time.Time{}
	case r.notifySeq != 0 || !r.notifyAt.IsZero() || now.Sub(was) > dogLate:
		// Its word may wait behind one that no snapshot holds yet.
		a.resumeDog(r)
	default:
		r.bitten, r.dogAt = true, time.Time{}
		a.emit(r, sick("watchdog: nothing heard for "+seconds(r.dogEvery)))
	}
}

func seconds(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + " s"
	}
	return d.String()
}
