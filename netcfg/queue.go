package netcfg

import "slices"

// What the sources put into the queue, beside unit.Action.
type (
	changed struct{}                // an interface
	loaded  struct{ module string } // or given up
	fired   struct {                // a timer of a link
		l     *link
		timer linkTimer
		gen   uint32
	}
	arrived struct { // a packet; or, without one, the end of a socket
		l *link
		c conn
		b []byte
	}
)

// post puts v into the queue.
func (a *Arm) post(v any) {
	a.mu.Lock()
	a.queue = append(a.queue, v)
	a.mu.Unlock()
	select {
	case a.signal <- struct{}{}:
	default:
	}
}

// postPacket puts a packet into the queue, unless too many wait already: a
// flood is dropped, DHCP asks again.
func (a *Arm) postPacket(v arrived) {
	a.mu.Lock()
	full := a.packets >= mostPackets
	if !full {
		a.packets++
	}
	a.mu.Unlock()
	if !full {
		a.post(v)
	}
}

// take empties the queue; several changed become one.
func (a *Arm) take() []any {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.queue
	a.queue, a.packets = nil, 0
	seen := false
	return slices.DeleteFunc(q, func(v any) bool {
		_, is := v.(changed)
		again := is && seen
		seen = seen || is
		return again
	})
}
