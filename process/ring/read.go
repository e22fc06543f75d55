package ring

import (
	"bytes"
	"math"

	"hoopy/unit"
)

// walk stands between two records of a ring.
type walk struct {
	pos   uint64 // of the next record
	begin uint64 // of the first record of the line under way; pos: there is none
}

// extent is a line, found but not read.
type extent struct {
	from, to uint64 // its first record, and behind its last
	last     record // its last
	open     bool
}

// next walks over the next line that ends. When no more has ended, it is the
// line under way, open, and the walk stands before it still.
func (r *Ring) next(w *walk) (e extent, ok bool) {
	at := *w
	for at.pos < r.head {
		rec, sound := r.record(at.pos)
		if !sound {
			return extent{}, false
		}
		pos, under := at.pos, at.begin < at.pos
		at.pos += rec.size()
		switch {
		case rec.flags&flagApart != 0:
			if !under {
				at.begin = at.pos
			}
			*w = at
			return extent{from: pos, to: at.pos, last: rec}, true
		case rec.flags&flagCont == 0:
			at.begin = pos
		}
		e = extent{from: at.begin, to: at.pos, last: rec, open: rec.flags&flagMore != 0}
		if !e.open {
			at.begin = at.pos
			*w = at
			return e, true
		}
	}
	if e.open {
		return e, true
	}
	if at.begin < at.pos { // a line under way, and apart ones after its last record
		return r.under(at.begin)
	}
	return extent{}, false
}

// under is the line under way, which begins at pos.
func (r *Ring) under(pos uint64) (e extent, ok bool) {
	e = extent{from: pos, open: true}
	for pos < r.head {
		rec, sound := r.record(pos)
		if !sound {
			return extent{}, false
		}
		pos += rec.size()
		if rec.flags&flagApart == 0 {
			e.to, e.last = pos, rec
		}
	}
	return e, e.to > 0
}

// line reads a line.
func (r *Ring) line(e extent) Line {
	l := Line{Seq: e.last.seq, Stamp: unit.Time(e.last.stamp), Open: e.open}
	if e.open {
		l.Seq = r.seq
	}
	e.last.say(&l)
	apart := e.last.flags & flagApart
	var text []byte
	for pos := e.from; pos < e.to; {
		rec, ok := r.record(pos)
		if !ok {
			break
		}
		if k := len(text); rec.flags&flagApart == apart && k+int(rec.length) <= 2*StageSize {
			text = append(text, make([]byte, rec.length)...)
			r.read(pos+recordSize, text[k:])
		}
		pos += rec.size()
	}
	if !e.open { // sshd -e ends its lines as a terminal wants them
		text = bytes.TrimSuffix(text, []byte("\r"))
	}
	l.Text = string(text)
	return l
}

// Lines returns the last n lines, oldest first, the unfinished one included.
func (r *Ring) Lines(n int) (lines []Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n <= 0 {
		return nil
	}
	last := r.seq // of the line under way
	if !r.open {
		last--
	}
	for w := (walk{r.tail, r.tail}); len(lines) < n; {
		e, ok := r.next(&w)
		if !ok {
			break
		}
		if e.open || e.last.seq+uint64(min(n, math.MaxInt32)) > last {
			lines = append(lines, r.line(e))
		}
		if e.open {
			break
		}
	}
	return lines
}

// Since returns at most n finished lines that come after the line seq, oldest
// first, and how many between seq and the first of them were dropped because
// the ring was full. Since(0, …) begins with the oldest line there is.
func (r *Ring) Since(seq uint64, n int) (lines []Line, lost uint64) {
	for c := r.After(seq); len(lines) < n; {
		l, ok := c.Next()
		if !ok {
			break
		}
		lost += l.Lost
		lines = append(lines, l)
	}
	return lines, lost
}

// Lost is the number of lines that were dropped because the ring was full.
func (r *Ring) Lost() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tail == r.head {
		return 0
	}
	rec, _ := r.record(r.tail)
	return max(rec.seq, 1) - 1
}

// Follow has a value sent to more, without waiting, after new lines have come;
// several may be told by one value, so more has room for one. Stop ends it.
func (r *Ring) Follow(more chan<- struct{}) (stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watch == nil {
		r.watch = make(map[chan<- struct{}]struct{})
	}
	r.watch[more] = struct{}{}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watch, more)
	}
}

func (r *Ring) tell() {
	for ch := range r.watch {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
