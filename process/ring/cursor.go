package ring

import "hoopy/unit"

// Cursor reads the lines of a ring one by one, oldest first, while others write
// it. Each has its own place, so that the next line costs the same however full
// the ring is. It belongs to one goroutine.
type Cursor struct {
	// Open: the last line is given even if it is unfinished, and nothing after it.
	Open bool

	ring *Ring
	seq  uint64 // of the last line given
	walk walk
	end  bool
}

// After is a cursor behind the line seq; 0: before the first line ever written.
func (r *Ring) After(seq uint64) *Cursor { return &Cursor{ring: r, seq: seq} }

// headStart is the part of a full ring that a reader leaves out: what is dropped
// next would be dropped while it begins to read, and leave a gap behind its first
// lines.
const headStart = 16

// Oldest is a cursor before the oldest line that the ring still has; of a full
// ring, a sixteenth is passed.
func (r *Ring) Oldest() *Cursor {
	c := r.After(r.Lost())
	r.mu.Lock()
	defer r.mu.Unlock()
	size := uint64(len(r.data))
	if r.head-r.tail <= size-size/headStart {
		return c
	}
	for w, end := c.walk, r.tail+size/headStart; ; c.walk = w {
		e, ok := c.next(&w)
		if !ok || e.open || e.to > end {
			return c
		}
		c.seq = e.last.seq
	}
}

// Next gives the next line, false when there is none yet.
func (c *Cursor) Next() (l Line, ok bool) {
	c.ring.mu.Lock()
	defer c.ring.mu.Unlock()
	e, ok := c.next(&c.walk)
	if !ok {
		return Line{}, false
	}
	l = c.ring.line(e)
	l.Lost = l.Seq - c.seq - 1
	c.seq, c.end = l.Seq, e.open
	return l, true
}

// next walks to the next line that the cursor has not given.
func (c *Cursor) next(w *walk) (e extent, ok bool) {
	r := c.ring
	if c.end {
		return extent{}, false
	}
	if w.begin < r.tail { // what stood there was dropped
		*w = walk{r.tail, r.tail}
	}
	for {
		e, ok = r.next(w)
		switch {
		case !ok, e.open && !c.Open:
			return extent{}, false
		case e.open || e.last.seq > c.seq:
			return e, true
		}
	}
}

// Seek goes on to the first line that is not older than stamp. What is passed
// does not count as lost.
func (c *Cursor) Seek(stamp unit.Time) {
	c.ring.mu.Lock()
	defer c.ring.mu.Unlock()
	for w := c.walk; ; c.walk = w {
		e, ok := c.next(&w)
		if !ok || e.open || e.last.stamp >= uint64(stamp) {
			if ok && !e.open {
				c.seq = max(c.seq, e.last.seq-1)
			}
			return
		}
		c.seq = e.last.seq
	}
}

// Stamps calls yield with the stamp of each line that Next would give. Yield
// must not use the ring.
func (c *Cursor) Stamps(yield func(unit.Time)) {
	c.ring.mu.Lock()
	defer c.ring.mu.Unlock()
	for w := c.walk; ; {
		e, ok := c.next(&w)
		if !ok {
			return
		}
		yield(unit.Time(e.last.stamp))
		if e.open {
			return
		}
	}
}
