package schedule

import "time"

// Grace is how long after the boot a wall clock that must be wrong is waited
// for. Later it counts as it is: a machine without a battery and without a
// network has no other.
const Grace = 10 * time.Minute

// oldest is before the first release of this program: no clock that is right
// shows less.
var oldest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Clock watches the wall clock. Its zero value has not looked yet.
type Clock struct {
	floor  time.Time
	offset time.Duration // from the boot's zero to wall time, since 1970
	looked bool
	right  bool
}

// Floor tells of a moment that has been: a clock that shows less is wrong.
func (c *Clock) Floor(t time.Time) { c.floor = later(c.floor, t) }

// Look says by how much the wall clock was set since the last look, less than a
// second being nothing, and whether it was wrong until now.
func (c *Clock) Look(now Now) (by time.Duration, wrong bool) {
	offset := now.Wall.Sub(time.Unix(0, 0)) - now.Boot
	right := c.Right(now)
	if c.looked {
		if by = offset - c.offset; by.Abs() < time.Second {
			by = 0
		}
		wrong = by.Abs() > Jump || right && !c.right
	}
	c.looked, c.offset, c.right = true, offset, right
	return by, wrong
}

// Right says whether the wall clock may be right, or is all that there will be.
func (c *Clock) Right(now Now) bool {
	return now.Boot >= Grace || !now.Wall.Before(oldest) && !now.Wall.Before(c.floor)
}
