package ring

import "hoopy/unit"

// Source is a log that Merge reads. Stamps never fall from one line to the next.
type Source interface {
	// Next gives the next line, false when there is none yet.
	Next() (Line, bool)
	// Seek goes on to the first line that is not older than the stamp.
	Seek(unit.Time)
	// Stamps calls yield with the stamps of the lines that Next would give.
	Stamps(yield func(unit.Time))
}

// Merge reads several logs as one, in the order of their stamps; of equal ones
// the log that was added first comes first. It holds one line of each, whatever
// their size. It belongs to one goroutine.
type Merge struct{ logs []merged }

type merged struct {
	name   string
	source Source
	line   Line // the next, if full
	full   bool
}

// Add adds a log under a name.
func (m *Merge) Add(name string, s Source) { m.logs = append(m.logs, merged{name: name, source: s}) }

// Seek goes on to the lines that are not older than stamp. It comes before Poll.
func (m *Merge) Seek(stamp unit.Time) {
	for i := range m.logs {
		m.logs[i].source.Seek(stamp)
	}
}

const (
	buckets = 1024
	passes  = 8 // a stamp has 64 bits, each pass settles 10, but the last may be left
	fewLeft = 64
)

// Last goes on to the last n lines of what is there now. It comes before Poll.
//
// Lines cannot be walked backwards. So their stamps are counted in a histogram of
// the time between the oldest and the newest, then in one of the bucket where the
// n-th last lies, and so on: it costs no memory, and two or three passes over the
// heads of the records.
func (m *Merge) Last(n int) {
	total, least, most := 0, unit.Time(1<<63-1), unit.Time(0)
	m.stamps(func(t unit.Time) { total, least, most = total+1, min(least, t), max(most, t) })
	skip, in := total-max(n, 0), total // lines to pass, and lines from least to most
	if skip <= 0 {
		return
	}
	var count [buckets]int
	for pass := 0; pass < passes && in > fewLeft && least < most; pass++ {
		clear(count[:])
		width := (most-least)/buckets + 1
		m.stamps(func(t unit.Time) {
			if least <= t && t <= most {
				count[(t-least)/width]++
			}
		})
		b := 0
		for ; b < buckets-1 && skip >= count[b]; b++ {
			skip -= count[b]
		}
		least += unit.Time(b) * width
		most, in = min(most, least+width-1), count[b]
	}
	m.Seek(least)
	m.Poll()
	for ; skip > 0; skip-- {
		if _, _, ok := m.Next(); !ok {
			return
		}
	}
}

func (m *Merge) stamps(yield func(unit.Time)) {
	for i := range m.logs {
		m.logs[i].source.Stamps(yield)
	}
}

// Poll looks at the logs that had no more lines.
func (m *Merge) Poll() {
	for i := range m.logs {
		if l := &m.logs[i]; !l.full {
			l.line, l.full = l.source.Next()
		}
	}
}

// Next gives the oldest line and the name of its log, false when all that the
// last Poll had found, and what came to the same logs since, is given.
func (m *Merge) Next() (name string, l Line, ok bool) {
	var first *merged
	for i := range m.logs {
		if c := &m.logs[i]; c.full && (first == nil || c.line.Stamp < first.line.Stamp) {
			first = c
		}
	}
	if first == nil {
		return "", Line{}, false
	}
	l = first.line
	first.line, first.full = first.source.Next()
	return first.name, l, true
}
