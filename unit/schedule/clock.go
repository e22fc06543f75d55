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
}

// Floor tells of a moment that has been: a clock that shows less is wrong.
func (c *Clock) Floor(t time.Time) { c.floor = later(c.floor, t) }

// Look says whether the wall clock was moved, by at least a second, since the
// last look, and whether by so much that it was wrong before.
func (c *Clock) Look(now Now) (moved, wrong bool) {
	offset := now.Wall.Sub(time.Unix(0, 0)) - now.Boot
	by := (offset - c.offset).Abs()
	first := !c.looked
	c.looked, c.offset = true, offset
	return !first && by >= time.Second, !first && by > Jump
}

// Right says whether the wall clock may be right, or is all that there will be.
func (c *Clock) Right(now Now) bool {
	return now.Boot >= Grace || !now.Wall.Before(oldest) && !now.Wall.Before(c.floor)
}
