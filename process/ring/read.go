package ring

import (
	"bytes"

	"hoopy/unit"
)

// Lines returns the last n lines, oldest first, the unfinished one included.
func (r *Ring) Lines(n int) []Line {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n <= 0 {
		return nil
	}
	from := uint64(1)
	last := r.seq // of the line under way
	if !r.open {
		last--
	}
	if last >= uint64(n) {
		from = last - uint64(n) + 1
	}
	lines, _ := r.collect(r.tail, from, n)
	return lines
}

// Since returns at most n finished lines that come after the line seq, oldest
// first, and how many between seq and the first of them were dropped because
// the ring was full. Since(0, …) begins with the oldest line there is.
func (r *Ring) Since(seq uint64, n int) (lines []Line, lost uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pos := r.tail
	if r.hintSeq == seq && r.hintPos >= r.tail && r.hintPos <= r.head {
		pos = r.hintPos
	}
	lines, next := r.collect(pos, seq+1, n)
	if k := len(lines); k > 0 && lines[k-1].Open {
		lines = lines[:k-1]
	} else if k > 0 {
		r.hintSeq, r.hintPos = lines[k-1].Seq, next
	}
	if len(lines) > 0 {
		lost = lines[0].Seq - seq - 1
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

// collect joins the records from pos on into at most n lines whose sequence is
// at least from. Next is the position behind the last line.
func (r *Ring) collect(pos, from uint64, n int) (lines []Line, next uint64) {
	var text []byte
	next = pos
	started := false
	var stamp unit.Time
	for pos < r.head && len(lines) < n {
		rec, ok := r.record(pos)
		if !ok {
			break
		}
		at := pos + recordSize
		pos += rec.size()
		if rec.seq < from {
			continue
		}
		if rec.flags&flagCont == 0 || !started {
			text, started, stamp = text[:0], true, unit.Time(rec.stamp)
		}
		k := len(text)
		if k+int(rec.length) <= 2*StageSize {
			text = append(text, make([]byte, rec.length)...)
			r.read(at, text[k:])
		}
		if rec.flags&flagMore != 0 {
			if pos >= r.head {
				lines = append(lines, Line{Seq: rec.seq, Stamp: stamp, Text: string(text), Open: true})
			}
			continue
		}
		// sshd -e ends its lines as a terminal wants them.
		lines = append(lines, Line{Seq: rec.seq, Stamp: stamp, Text: string(bytes.TrimSuffix(text, []byte("\r")))})
		started, next = false, pos
	}
	return lines, next
}

// Follow returns a channel that gets a value after new lines have come; several
// may be told by one value. Stop ends it and may be called once.
func (r *Ring) Follow() (more <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watch == nil {
		r.watch = make(map[chan struct{}]struct{})
	}
	r.watch[ch] = struct{}{}
	return ch, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watch, ch)
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
