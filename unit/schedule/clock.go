package schedule

import "time"

// Grace is how long after the boot a wall clock that must be wrong is waited
// for. Later it counts as it is: a machine without a battery and without a
// network has no other.
const Grace = 10 * time.Minute

// oldest is 2026, before the first release of this program: no clock that is
// right shows less.
const oldest = 1767225600 * time.Second

// Clock watches the wall clock. Its zero value has not looked yet.
type Clock struct {
	floor  time.Duration // since 1970
	offset time.Duration // when the machine booted, since 1970
	looked bool
	right  bool
}

// Floor tells of a wall time that has been: a clock that shows less is wrong.
func (c *Clock) Floor(wall time.Duration) { c.floor = max(c.floor, wall) }

// Look says by how much the wall clock was set since the last look, less than a
// second being nothing, and whether it was wrong until now.
func (c *Clock) Look(now *Now) (by time.Duration, wrong bool) {
	offset := now.Wall - now.Boot
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
func (c *Clock) Right(now *Now) bool {
	return now.Boot >= Grace || now.Wall >= max(oldest, c.floor)
}
