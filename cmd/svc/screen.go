package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hoopy/control"
	"hoopy/unit"
)

// screen is what svc status shows.
type screen struct {
	look    look
	machine *control.Machine
	units   []unit.Report
	all     bool // fold nothing
}

// foldFrom is how many units fit one screen: up to that, only reached
// milestones fold into "4 more ready".
const foldFrom = 24

// String is the whole screen.
func (s *screen) String() string {
	var b strings.Builder
	units := slices.Clone(s.units)
	slices.SortStableFunc(units, func(x, y unit.Report) int {
		return cmp.Or(cmp.Compare(rank(x.Kind), rank(y.Kind)), strings.Compare(x.Name, y.Name))
	})
	var shown, unwell []unit.Report
	folded := map[unit.State]int{}
	for _, u := range units {
		if !u.Well() && u.Kind != unit.Milestone { // what it waits for says more
			unwell = append(unwell, u)
		}
		if s.all || !s.dull(&u, len(units)) {
			shown = append(shown, u)
		} else {
			folded[u.State]++
		}
	}
	s.head(&b, len(unwell))
	if len(shown) > 0 {
		s.table(&b, shown)
	}
	s.foot(&b, folded, unwell)
	return b.String()
}

// rank orders the kinds: what the rest stands on comes first.
func rank(k unit.Kind) int {
	return slices.Index([]unit.Kind{unit.Link, unit.Device, unit.Mount, unit.Pool, unit.Milestone, unit.Service, unit.Timer, unit.Task}, k)
}

// dull says whether a unit is worth no line of its own.
func (s *screen) dull(u *unit.Report, of int) bool {
	if !u.Well() {
		return false
	}
	if u.Kind == unit.Milestone {
		return true
	}
	return of > foldFrom && !u.Essential && u.Note == "" && u.Restarts == 0 && u.Kind != unit.Timer
}

// head is the machine in a line, and what is wrong with it in more.
func (s *screen) head(b *strings.Builder, unwell int) {
	m := s.machine
	parts := []string{s.look.paint(bold, cmp.Or(escape(m.Hostname), "(no name)")) + "  up " + uptime(time.Duration(m.Uptime))}
	if m.Image != "" {
		parts = append(parts, "image "+escape(m.Image))
	}
	if m.Boot > 0 {
		parts = append(parts, "booted in "+seconds(m.Boot))
	} else {
		parts = append(parts, s.look.paint(yellow, "still booting"))
	}
	if unwell > 0 {
		parts = append(parts, s.look.paint(red, fmt.Sprintf("%d of %s not well", unwell, count(len(s.units), "unit"))))
	} else {
		parts = append(parts, s.look.paint(green, count(len(s.units), "unit")+" well"))
	}
	s.fill(b, parts)
	note := func(c colour, text string) { b.WriteString(s.look.paint(c, cut(text, s.look.width)) + "\n") }
	if m.Ending != "" {
		note(yellow, "the machine is ending: "+escape(m.Ending))
	}
	if m.Safe {
		note(red, "safe mode: only essential units are started; svc reload ends it")
	}
	if n := len(m.Mistakes); n > 0 {
		note(red, "the configuration has "+count(n, "mistake")+"; svc check lists them:")
		for _, line := range m.Mistakes[:min(n, 3)] {
			note(plain, "  "+escape(line))
		}
	}
	for _, line := range m.Notes {
		note(yellow, escape(line))
	}
}

// fill writes parts in as many lines as they need.
func (s *screen) fill(b *strings.Builder, parts []string) {
	const between = "   "
	used := 0
	for i, p := range parts {
		wide := columns(s.look.strip(p))
		switch {
		case i == 0:
		case s.look.width > 0 && used+len(between)+wide > s.look.width:
			b.WriteString("\n" + gap)
			used = len(gap)
		default:
			b.WriteString(between)
			used += len(between)
		}
		b.WriteString(p)
		used += wide
	}
	b.WriteString("\n")
}

var titles = []string{"UNIT", "STATE", "SINCE", "PID", "MEM", "RESTARTS", "NOTE"}

// right are the columns of numbers.
var right = [...]bool{3: true, 4: true, 5: true, 6: false}

// gap stands between columns and before the first.
const gap = "  "

func (s *screen) table(b *strings.Builder, units []unit.Report) {
	rows := [][]string{titles}
	for i := range units {
		rows = append(rows, s.row(&units[i]))
	}
	widths := make([]int, len(titles))
	for n, row := range rows {
		for i, cell := range row {
			if n > 0 || s.look.width == 0 { // a terminal has no room for empty columns
				widths[i] = max(widths[i], columns(cell))
			}
		}
	}
	before := len(gap)
	for i, w := range widths[:len(widths)-1] {
		if w > 0 {
			widths[i] = max(w, columns(titles[i]))
			before += widths[i] + len(gap)
		}
	}
	b.WriteString("\n")
	for n, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			c := plain
			switch {
			case n == 0:
				c = dim
			case i == 1:
				c = stateColour(&units[n-1])
			}
			last := i == len(row)-1
			if widths[i] == 0 && !last {
				continue
			}
			line.WriteString(gap)
			switch {
			case last:
				if s.look.width > 0 {
					cell = cut(cell, max(8, s.look.width-before))
				}
				line.WriteString(s.look.paint(c, cell))
			case right[i]:
				line.WriteString(padLeft(cell, widths[i]))
			default: // the blanks after the colour, that it does not count
				line.WriteString(s.look.paint(c, cell) + strings.Repeat(" ", widths[i]-columns(cell)))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		if n > 0 && !units[n-1].Well() {
			indent := gap + strings.Repeat(" ", widths[0]) + gap + "| "
			for _, l := range units[n-1].LastLines {
				if s.look.width > 0 {
					l = cut(escape(l), max(8, s.look.width-len(indent)))
				}
				b.WriteString(indent + escape(l) + "\n")
			}
		}
	}
}

func stateColour(u *unit.Report) colour {
	switch {
	case u.Sick != "" || u.State == unit.BackOff || u.State == unit.Failed || u.State == unit.Stuck:
		return red
	case u.State == unit.Ready:
		return green
	case u.Well():
		return dim
	}
	return yellow
}

// row are the cells of one unit.
func (s *screen) row(u *unit.Report) []string {
	row := []string{escape(u.Name), u.State.String(), "", "", size(u.Memory), "", note(u, s.machine.Uptime)}
	if u.Since > 0 {
		row[2] = span(s.machine.Uptime.Sub(u.Since))
		switch u.State {
		case unit.BackOff, unit.Failed, unit.Stuck: // a moment, not a state that lasts
			row[2] += " ago"
		}
	}
	if u.Pid > 0 {
		row[3] = strconv.Itoa(u.Pid)
	}
	if u.Restarts > 0 {
		row[5] = strconv.Itoa(u.Restarts)
	}
	return row
}

// note is what a person wants to know about a unit in this state; now is 0
// when it is not known.
func note(u *unit.Report, now unit.Time) string {
	var parts []string
	add := func(text string) {
		if text = escape(text); text != "" && !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	if u.Sick != "" {
		add("sick: " + u.Sick)
	}
	switch u.State {
	case unit.Ready:
		add(u.Note)
		if u.Sessions > 0 {
			add(count(u.Sessions, "session"))
		}
		if u.Kind == unit.Task && u.LastTook > 0 {
			add("took " + seconds(u.LastTook))
		}
		add(u.Why)
	case unit.Waiting:
		if len(u.Waits) > 0 {
			add("for " + waits(u.Waits))
		}
		add(u.NextText)
		if u.Kind == unit.Timer || u.Kind == unit.Milestone {
			add(u.Note) // of the last run: "left out: …"; what no unit stands for
		}
		add(u.Why)
	default:
		add(u.Why)
		if u.State == unit.BackOff && u.Retry > 0 && now > 0 {
			add("again in " + span(u.Retry.Sub(now)))
		}
		if u.Part != unit.Main {
			add("in " + u.Part.String())
		}
		add(u.Note)
	}
	return strings.Join(parts, ", ")
}

// waits lists a few of what a unit waits for, and how many more there are.
func waits(on []unit.Wait) string {
	all := make([]string, len(on))
	for i, w := range on {
		all[i] = w.Name
		if w.Text != "" {
			all[i] += " (" + w.Text + ")"
		}
	}
	const most = 4
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most-1], ", "), len(all)-most+1)
}

// foot is what was folded, and where to go on.
func (s *screen) foot(b *strings.Builder, folded map[unit.State]int, unwell []unit.Report) {
	var parts []string
	for _, st := range unit.States {
		if n := folded[st]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d more %s", n, st))
		}
	}
	slices.Reverse(parts) // ready before inactive
	if len(parts) > 0 {
		b.WriteString(gap + s.look.paint(dim, strings.Join(parts, ", ")+" (svc status -a)") + "\n")
	}
	switch n := len(unwell); {
	case n == 1:
		u := &unwell[0]
		fmt.Fprintf(b, "\n%s is not well: svc why %[1]s", escape(u.Name))
		if u.Kind.HasProcess() && u.State != unit.Waiting {
			fmt.Fprintf(b, ", svc logs %s", escape(u.Name))
		}
		b.WriteString("\n")
	case n > 1:
		var more []string
		for i := range unwell[:min(n, 3)] {
			more = append(more, "svc why "+escape(unwell[i].Name))
		}
		if n > 3 {
			more = append(more, "…")
		}
		fmt.Fprintf(b, "\n%d units are not well: %s\n", n, strings.Join(more, ", "))
	}
}
