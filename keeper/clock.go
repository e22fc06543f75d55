package keeper

import "golang.org/x/sys/unix"

// Time-outs run on the monotonic clock, which stands still while the machine
// is suspended: waking up is no reason to kill a supervisor. Moments that are
// told to others are on CLOCK_BOOTTIME.

func mono() Duration     { return clock(unix.CLOCK_MONOTONIC) }
func boottime() Duration { return clock(unix.CLOCK_BOOTTIME) }

func clock(id int32) Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(id, &ts) // fails only for an unknown clock
	return Duration(ts.Nano())
}

// millis is the time-out for poll(2) that ends at the deadline, at most a
// minute from now.
func millis(now, deadline Duration) int {
	left := min(deadline-now, Minute)
	if deadline <= now {
		return 0
	}
	return int((left + Millisecond - 1) / Millisecond)
}
