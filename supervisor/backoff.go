package supervisor

import (
	"hash/fnv"
	"hoopy/unit"
	"time"
)

// nextDelay is the back-off after the one of last: unit.BackOffFirst, doubling
// up to unit.BackOffMost. A run that was up for unit.BackOffReset starts anew.
func nextDelay(last, up time.Duration) time.Duration {
	if last == 0 || up >= unit.BackOffReset {
		return unit.BackOffFirst
	}
	return min(2*last, unit.BackOffMost)
}

// jitter lengthens d by up to a tenth, so that units that fell together do not
// come back together. It depends on nothing but its arguments: a schedule can
// be replayed.
func jitter(d time.Duration, name string, restarts int) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(name))
	h.Write([]byte{byte(restarts), byte(restarts >> 8)})
	return d + d/10*time.Duration(h.Sum32()%1000)/1000
}
