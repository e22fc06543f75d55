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

// fresh is a supervisor's own wish for a normal start (it exited with 0).
// Taken often it would be a loop: one that lived for less than a second is
// refused, and counts as a death.
func (d *deaths) fresh(lifetime Duration) bool {
	if lifetime < Second {
		return false
	}
	d.mode = normal
	d.n = 0
	return true
}
