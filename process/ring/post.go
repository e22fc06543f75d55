package ring

// Post adds one whole line that did not come through the pipe; it does not touch
// a line under way. Severity and facility are as in Line; a text longer than
// LineMax is cut.
//
// A caller that has the line from somewhere that must be told, without loss and
// without doubling, keeps a plan: begin is called with the line's stamp before
// anything is written, and done as soon as the line is in the ring; nobody else
// writes in between. If the caller dies there, Posted says what has become of it.
// Both may be nil. The error is ErrFenced or
// ErrClosed.
func (r *Ring) Post(text []byte, severity, facility int8, begin func(stamp uint64), done func()) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	if r.isFenced() {
		return ErrFenced
	}
	stamp := max(now(), r.last+1) // no other line's
	if begin != nil {
		begin(stamp)
	}
	r.step()
	flags := uint32(flagApart) | uint32(severity&0xf)<<severityShift | uint32(facility&0x1f)<<facilityShift
	r.put(text[:min(len(text), LineMax)], flags, stamp)
	if !r.publish(0) {
		return ErrFenced
	}
	if done != nil {
		done()
	}
	r.tell()
	return nil
}

// Posted says whether the ring holds the line that was posted with stamp.
func (r *Ring) Posted(stamp uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for pos := r.tail; pos < r.head; {
		rec, ok := r.record(pos)
		if !ok {
			return false
		}
		if rec.flags&flagApart != 0 && rec.stamp == stamp {
			return true
		}
		pos += rec.size()
	}
	return false
}
