package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"hoopy/control"
	"hoopy/unit"
)

// blame prints the time line of the boot or of the end.
func (a *app) blame(o options) error {
	got, err := a.ask(control.Request{Op: control.Blame}, control.StatusTimeout+slack)
	if err != nil {
		return err
	}
	l := newTimeline(got.Spans, o.has("end"))
	if o.has("end") && len(l.bars) == 0 {
		if got.Spans, l, err = a.lastEnd(); err != nil {
			return err
		}
	}
	switch {
	case o.has("json"):
		return a.json(struct {
			Spans    []unit.Span `json:"spans"`
			Critical []string    `json:"critical"` // first to last
		}{got.Spans, l.critical})
	case len(l.bars) == 0 && o.has("end"):
		fmt.Fprintln(a.out, l.last)
	case len(l.bars) == 0:
		fmt.Fprintln(a.out, "nothing has started yet")
	case o.has("svg"):
		fmt.Fprint(a.out, l.svg())
	default:
		fmt.Fprint(a.out, l.text(a.look))
	}
	return nil
}

// timeline is what happened when, on CLOCK_BOOTTIME.
type timeline struct {
	end      bool   // of the machine, not its boot
	last     string // about an end that is over; empty: it is not
	bars     []bar
	from, to unit.Time
	booted   unit.Time // when the boot was reached; 0: not yet
	done     bool      // that, or everything is stopped
	critical []string  // first to last
	later    int       // units that came after the boot
}

// bar is one unit: it waited from asked to began, and took from began to over.
type bar struct {
	name               string
	asked, began, over unit.Time
	open, failed       bool // still under way; never got there
	skipped            bool // nothing of it began
	after              string
	critical           bool
}

func newTimeline(spans []unit.Span, end bool) *timeline {
	l := &timeline{end: end}
	if !end {
		for _, s := range spans {
			if s.Name == unit.Boot && s.Ready > 0 {
				l.booted, l.to, l.done = s.Ready, s.Ready, true
			}
		}
	}
	for _, s := range spans {
		b := bar{name: s.Name, asked: s.Asked, began: s.Began, over: cmp.Or(s.Ready, s.Failed), failed: s.Ready == 0 && s.Failed > 0 && s.Began > 0, skipped: s.Ready == 0 && s.Failed > 0 && s.Began == 0, after: s.After}
		if end {
			b = bar{name: s.Name, asked: s.Stopping, began: s.Stopping, over: s.Stopped, after: s.StopAfter}
		}
		b.asked = cmp.Or(b.asked, b.began, b.over)
		if b.asked == 0 {
			continue
		}
		if !end && l.done && b.asked > l.booted {
			l.later++
			continue
		}
		b.open = b.over == 0
		l.bars = append(l.bars, b)
	}
	if len(l.bars) == 0 {
		return l
	}
	l.from = l.bars[0].asked
	for _, b := range l.bars {
		l.from = min(l.from, b.asked)
		l.to = max(l.to, b.over, b.began)
	}
	if end {
		l.done = !slices.ContainsFunc(l.bars, func(b bar) bool { return b.open })
	}
	for i := range l.bars {
		if b := &l.bars[i]; b.open {
			b.over = l.to
		}
		if b := &l.bars[i]; b.began == 0 {
			b.began = b.over // it waited all the time
		}
	}
	l.walk()
	slices.SortStableFunc(l.bars, func(a, b bar) int {
		return cmp.Or(cmp.Compare(a.began, b.began), cmp.Compare(a.over, b.over), strings.Compare(a.name, b.name))
	})
	return l
}

// walk finds the critical path: from the boot milestone, or what was last, back
// over what each waited for last.
func (l *timeline) walk() {
	at := -1
	for i, b := range l.bars {
		if !l.end && b.name == unit.Boot {
			at = i
			break
		}
		if at < 0 || b.over > l.bars[at].over {
			at = i
		}
	}
	for at >= 0 && !l.bars[at].critical {
		b := &l.bars[at]
		b.critical = true
		l.critical = append(l.critical, b.name)
		at = slices.IndexFunc(l.bars, func(o bar) bool { return o.name == b.after })
	}
	slices.Reverse(l.critical)
}

// Widths of a bar, in columns.
const (
	barLeast = 10
	barMost  = 60
	barPlain = 40 // where there is no terminal
)

// text is the time line with a bar for each unit.
func (l *timeline) text(look look) string {
	var b strings.Builder
	b.WriteString(l.head() + "\n\n")
	name := len("UNIT")
	for _, r := range l.bars {
		name = max(name, columns(escape(r.name)))
	}
	name = min(name, 32)
	width := barPlain
	if look.width > 0 {
		width = max(barLeast, min(barMost, look.width-(2+name+2+9+2+9+2)-1))
	}
	at := "READY AT"
	if l.end {
		at = "GONE AT"
	}
	b.WriteString(look.paint(dim, "  UNIT"+strings.Repeat(" ", name-4)+gap+padLeft(at, 9)+gap+padLeft("TOOK", 9)) + "\n")
	base := unit.Time(0)
	if l.end {
		base = l.from
	}
	for _, r := range l.bars {
		mark, c := "  ", plain
		if r.critical {
			mark, c = "* ", bold
		}
		when := exact(r.over.Sub(base))
		switch {
		case r.open && l.last != "":
			when = "left"
		case r.open:
			when = "not yet"
		case r.failed:
			when = "failed"
		case r.skipped:
			when = "not run"
		}
		n := cut(escape(r.name), name)
		line := mark + look.paint(c, n) + strings.Repeat(" ", name-columns(n)) + gap + padLeft(when, 9) + gap + padLeft(exact(r.over.Sub(r.began)), 9) + gap
		b.WriteString(strings.TrimRight(line+l.bar(&r, width, look), " ") + "\n")
	}
	if len(l.critical) > 1 {
		b.WriteString("\n" + wrap("* "+l.path(), "", look.width))
	}
	if l.later > 0 {
		b.WriteString("\n" + count(l.later, "unit") + " came after the boot\n")
	}
	return b.String()
}

// path is the critical path, with what each on it took itself.
func (l *timeline) path() string {
	steps := make([]string, len(l.critical))
	for i, name := range l.critical {
		steps[i] = escape(name)
		for _, b := range l.bars {
			if took := b.over.Sub(b.began); b.name == name && took >= time.Millisecond {
				steps[i] += " " + exact(took)
			}
		}
	}
	return strings.Join(steps, " → ")
}

// head says how long it took.
func (l *timeline) head() string {
	switch {
	case l.last != "":
		return l.last
	case l.end && l.done:
		return "everything stopped in " + exact(l.to.Sub(l.from))
	case l.end:
		return "the machine is ending, for " + exact(l.to.Sub(l.from)) + " so far"
	case l.done:
		return "booted in " + exact(time.Duration(l.booted)) + " since the kernel started, " + exact(l.booted.Sub(l.from)) + " of it for units"
	}
	return "still booting"
}

func exact(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }

// bar is dots while the unit waited and full while it took its time; what there
// was has at least one column.
func (l *timeline) bar(r *bar, width int, look look) string {
	whole := max(1, l.to-l.from)
	column := func(t unit.Time) int { return int(int64(t-l.from) * int64(width) / int64(whole)) }
	asked, began, over := column(r.asked), column(r.began), column(r.over)
	began = min(began, width-1)
	over = max(over, began+1)
	glyph, c := "█", plain
	switch {
	case r.skipped:
		glyph = "·"
	case r.failed:
		glyph, c = "▒", red
	case r.open:
		glyph, c = "░", yellow
	case r.critical:
		c = green
	}
	return strings.Repeat(" ", min(asked, began)) + look.paint(dim, strings.Repeat("·", max(0, began-asked))) + look.paint(c, strings.Repeat(glyph, over-began))
}
