package netcfg

// What the sources put into the queue, beside unit.Action.
type (
	changed struct { // an interface
		dark []int // of these, by index, one was seen without a carrier
	}
	loaded struct{ module string } // or given up
	fired  struct {                // a timer of a link
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

// take empties the queue; several changed become one, in the place of the first.
func (a *Arm) take() []any {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.queue
	a.queue, a.packets = nil, 0
	first := -1
	var all changed
	kept := q[:0]
	for _, v := range q {
		c, ok := v.(changed)
		if ok {
			all.dark = append(all.dark, c.dark...)
		}
		if ok && first >= 0 {
			continue
		}
		if ok {
			first = len(kept)
		}
		kept = append(kept, v)
	}
	if first >= 0 {
		kept[first] = all
	}
	return kept
}
