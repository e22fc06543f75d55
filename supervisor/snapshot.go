package supervisor

import (
	"encoding/binary"
	"errors"
	"time"

	"hoopy/unit"
)

// The snapshot is what a new epoch knows of the last one. It holds no
// configuration: nodes are found by name, and one whose unit is gone from the
// configuration is dropped with a word about it.

const snapshotVersion = 3

var errSnapshot = errors.New("snapshot: not readable")

// Append encodes the state after b.
func (s *State) Append(b []byte) []byte {
	b = append(b, snapshotVersion, byte(s.ending), flags(s.endSent, s.told, s.cleared))
	b = appendString(b, s.endedBy)
	b = binary.AppendVarint(b, int64(s.endAt))
	b = binary.AppendVarint(b, int64(s.endFor))
	b = binary.AppendVarint(b, int64(s.bootAt))
	b = binary.AppendUvarint(b, uint64(len(s.byName)))
	for i := range s.nodes {
		if s.nodes[i].Unit != hole {
			b = s.nodes[i].append(b)
			b = s.appendHistory(b, i)
		}
	}
	return b
}

func (n *node) append(b []byte) []byte {
	b = appendString(b, n.Name)
	b = append(b, byte(n.state), byte(n.reload), byte(n.hook.part),
		flags(n.up, n.main, n.rest, n.moved, n.stopping, n.again, n.never, n.absent),
		flags(n.dropped, n.begun, n.mainDone, n.preDone, n.postDone, n.broken != ""))
	b = binary.AppendUvarint(b, uint64(n.run))
	for _, v := range [...]int64{int64(n.pid), int64(n.since), int64(n.readyAt), int64(n.killAt), int64(n.phase),
		int64(n.limit), int64(n.retry), int64(n.dueAt), int64(n.lastRun), int64(n.lastTook), int64(n.delay),
		int64(n.restarts), int64(n.signal), int64(n.exit)} {
		b = binary.AppendVarint(b, v)
	}
	for _, v := range [...]string{n.fault, n.why, n.note, n.sick} {
		b = appendString(b, v)
	}
	h := &n.hook
	b = binary.AppendUvarint(b, uint64(h.run))
	if h.part != 0 {
		b = append(b, flags(h.main, h.killed, h.stuck))
		b = binary.AppendVarint(b, int64(h.at))
		b = binary.AppendVarint(b, int64(h.limit))
		b = appendString(b, h.fault)
	}
	return b
}

// load fills the state from what Append wrote. On an error the state is as if
// nothing had been read.
func (s *State) load(b []byte) error {
	r := reader{b: b}
	if r.byte() != snapshotVersion {
		return errSnapshot
	}
	t := *s
	t.nodes = append([]node(nil), s.nodes...)
	t.ending = unit.How(r.byte())
	r.flags(&t.endSent, &t.told, &t.cleared)
	t.endedBy = r.string()
	t.endAt, t.endFor, t.bootAt = unit.Time(r.varint()), time.Duration(r.varint()), unit.Time(r.varint())
	for range r.uvarint() {
		var n node
		name, broken := r.node(&n)
		n.history = r.history(t.byName)
		if r.bad || int(n.state) >= len(unit.States) || n.reload > overdue || n.hook.part >= unit.Parts || t.ending > unit.Halt {
			return errSnapshot
		}
		if i, ok := t.byName[name]; ok {
			was := &t.nodes[i]
			n.Unit, n.out, n.in, n.broken, n.late, n.added = was.Unit, was.out, was.in, was.broken, was.late, was.added
			n.known = true
			if broken && n.broken == "" && n.state == unit.Failed {
				n.state, n.why = unit.Waiting, "" // what it needs is there by now
			}
			t.nodes[i] = n
		}
	}
	if r.bad || len(r.b) != 0 {
		return errSnapshot
	}
	*s = t
	return nil
}

// node reads what node.append wrote. broken: its edges were wrong then.
func (r *reader) node(n *node) (name string, broken bool) {
	name = r.string()
	n.state, n.reload, n.hook.part = unit.State(r.byte()), reload(r.byte()), unit.Part(r.byte())
	r.flags(&n.up, &n.main, &n.rest, &n.moved, &n.stopping, &n.again, &n.never, &n.absent)
	r.flags(&n.dropped, &n.begun, &n.mainDone, &n.preDone, &n.postDone, &broken)
	n.run = unit.Run(r.uvarint())
	n.pid = int(r.varint())
	for _, v := range [...]*unit.Time{&n.since, &n.readyAt, &n.killAt, &n.phase, &n.limit, &n.retry, &n.dueAt, &n.lastRun} {
		*v = unit.Time(r.varint())
	}
	n.lastTook, n.delay = time.Duration(r.varint()), time.Duration(r.varint())
	n.restarts, n.signal, n.exit = int(r.varint()), int(r.varint()), unit.Status(r.varint())
	n.fault, n.why, n.note, n.sick = r.string(), r.string(), r.string(), r.string()
	h := &n.hook
	h.run = unit.Run(r.uvarint())
	if h.part != 0 {
		r.flags(&h.main, &h.killed, &h.stuck)
		h.at, h.limit = unit.Time(r.varint()), unit.Time(r.varint())
		h.fault = r.string()
	}
	return name, broken
}

func flags(set ...bool) (b byte) {
	for i, v := range set {
		if v {
			b |= 1 << i
		}
	}
	return b
}

func appendString(b []byte, v string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// reader takes values off b; after the first that is not there, bad stays set
// and every value is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) byte() byte {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) flags(to ...*bool) {
	v := r.byte()
	for i := range to {
		*to[i] = v&(1<<i) != 0
	}
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.take(n)
	if r.bad {
		return 0
	}
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.take(n)
	return v
}

func (r *reader) string() string {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return ""
	}
	return string(r.take(int(n)))
}
