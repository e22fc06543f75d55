package supervisor

import (
	"encoding/binary"

	"hoopy/unit"
)

// history is the way of one node through the boot and the end, as unit.Span has
// it. What a node has been through once stays: a unit that is started again
// later was ready when it first was.
type history struct {
	asked, began, ready, failed unit.Time
	stopping, stopped           unit.Time
	after, stopAfter            int32 // index + 1 of what it waited for last; 0: nothing
}

// record notes a transition of node i to the state to, before it is taken.
func (s *State) record(i int, to unit.State) {
	h := &s.nodes[i].history
	first := func(t *unit.Time) bool {
		if *t != 0 {
			return false
		}
		*t = s.now
		return true
	}
	switch {
	case s.ending != 0 && to == unit.Stopping:
		if first(&h.stopping) {
			h.stopAfter = s.lastOf(s.nodes[i].in, func(o *history) unit.Time { return o.stopped })
		}
	case s.ending != 0 && to == unit.Inactive && h.stopping != 0:
		first(&h.stopped)
	case s.ending != 0:
	case to == unit.Waiting:
		first(&h.asked)
	case to == unit.Starting:
		if first(&h.began) {
			h.after = s.lastOf(s.nodes[i].out, (*history).settled)
		}
	case to == unit.Ready:
		if first(&h.ready) && s.nodes[i].Kind == unit.Milestone {
			h.after = s.lastBefore(i)
		}
	case to == unit.Failed || to == unit.BackOff || to == unit.Skipped:
		first(&h.failed)
		if to == unit.Skipped && h.ready == 0 {
			h.began = 0 // that was the look at its conditions
		}
	}
}

// settled is when the node was ready, or else had failed, for the first time.
func (h *history) settled() unit.Time {
	if h.ready != 0 {
		return h.ready
	}
	return h.failed
}

// lastOf is the index + 1 of the node at whose moment the last of the edges was
// met; 0: none was.
func (s *State) lastOf(edges []unit.Edge, moment func(*history) unit.Time) int32 {
	last, at := int32(0), unit.Time(0)
	for _, e := range edges {
		if t := moment(&s.nodes[e.To].history); t > at {
			last, at = int32(e.To)+1, t
		}
	}
	return last
}

// lastBefore is the index + 1 of what a milestone waited for last.
func (s *State) lastBefore(i int) int32 {
	n := &s.nodes[i]
	last, at := s.lastOf(n.out, (*history).settled), unit.Time(0)
	if last > 0 {
		at = s.nodes[last-1].history.settled()
	}
	for k := range s.nodes {
		m := &s.nodes[k]
		counts := n.Name == unit.Boot && m.Kind != unit.Milestone && !m.late ||
			(n.Name == unit.Network || n.Name == unit.Online) && m.Kind == unit.Link
		if t := s.nodes[k].history.settled(); counts && t > at {
			last, at = int32(k)+1, t
		}
	}
	return last
}

// Spans is the way of every unit through the boot and the end, in graph order.
func (s *State) Spans() []unit.Span {
	name := func(i int32) string {
		if i == 0 {
			return ""
		}
		return s.nodes[i-1].Name
	}
	spans := make([]unit.Span, 0, len(s.nodes))
	for i := range s.nodes {
		if s.nodes[i].Unit == hole {
			continue
		}
		h := &s.nodes[i].history
		spans = append(spans, unit.Span{Name: s.nodes[i].Name, Kind: s.nodes[i].Kind,
			Asked: h.asked, Began: h.began, Ready: h.ready, Failed: h.failed, Stopping: h.stopping, Stopped: h.stopped,
			After: name(h.after), StopAfter: name(h.stopAfter)})
	}
	return spans
}

// appendHistory encodes the history of node i after b.
func (s *State) appendHistory(b []byte, i int) []byte {
	h := &s.nodes[i].history
	last := unit.Time(0)
	for _, t := range [...]unit.Time{h.asked, h.began, h.ready, h.failed, h.stopping, h.stopped} {
		b = binary.AppendVarint(b, int64(t-last)) // one follows the other: a small number
		last = t
	}
	for _, on := range [...]int32{h.after, h.stopAfter} {
		name := ""
		if on != 0 {
			name = s.nodes[on-1].Name
		}
		b = appendString(b, name)
	}
	return b
}

// history reads what appendHistory wrote.
func (r *reader) history(byName map[string]int) (h history) {
	last := unit.Time(0)
	for _, t := range [...]*unit.Time{&h.asked, &h.began, &h.ready, &h.failed, &h.stopping, &h.stopped} {
		last += unit.Time(r.varint())
		*t = last
	}
	for _, on := range [...]*int32{&h.after, &h.stopAfter} {
		if i, ok := byName[r.string()]; ok {
			*on = int32(i) + 1
		}
	}
	return h
}
