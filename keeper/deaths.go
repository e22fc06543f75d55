package keeper

// mode is how far the supervisor is trusted.
type mode uint8

const (
	normal mode = iota
	safe        // OpTable says so; only essential units are started
	rescue      // a shell on the console; a supervisor is tried now and then
)

// deathsMost within the window lead to the next mode.
const deathsMost = 3

// deaths decides the mode from the moments at which supervisors died.
type deaths struct {
	mode   mode
	window Duration
	at     [deathsMost]Duration
	n      int

	wished [deathsMost]Duration // of fresh starts
	wishes int
}

// died takes one death and reports whether the mode changed.
func (d *deaths) died(now Duration) bool {
	d.at[d.n%deathsMost] = now
	d.n++
	if d.mode == rescue || d.n < deathsMost || now-d.at[d.n%deathsMost] > d.window {
		return false
	}
	d.mode++
	d.n = 0
	return true
}

// lived takes note of a supervisor that has been well for as long as the
// window: rescue is over, and safe mode is what it left.
func (d *deaths) lived() bool {
	if d.mode != rescue {
		return false
	}
	d.mode = safe
	d.n = 0
	return true
}

// freshWindow bounds fresh starts: no more than deathsMost in it.
const freshWindow = 10 * Second

// fresh is a supervisor's own wish for a normal start (it exited with 0). Taken
// without end it would be a loop: what goes beyond freshWindow's bound is
// refused, and counts as a death.
func (d *deaths) fresh(now Duration) bool {
	oldest := d.wished[d.wishes%deathsMost]
	if d.wishes >= deathsMost && now-oldest < freshWindow {
		return false
	}
	d.wished[d.wishes%deathsMost] = now
	d.wishes++
	d.mode = normal
	d.n = 0
	return true
}
