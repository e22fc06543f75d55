package main

import (
	"strconv"
	"strings"
	"time"

	"hoopy/unit"
)

// detail is what svc status NAME shows: everything about one unit.
type detail struct {
	look look
	now  unit.Time
	unit *unit.Report

	text strings.Builder
}

// nameWidth is how wide the names of rows are.
const nameWidth = 10

// row is one fact; an empty value is none.
func (d *detail) row(name, value string) {
	if value == "" {
		return
	}
	if d.look.width > 0 {
		value = cut(value, max(8, d.look.width-2*len(gap)-nameWidth))
	}
	d.text.WriteString(gap + d.look.paint(dim, name) + strings.Repeat(" ", nameWidth-columns(name)) + gap + value + "\n")
}

// String is the whole page.
func (d *detail) String() string {
	u := d.unit
	head := d.look.paint(bold, escape(u.Name)) + gap + d.look.paint(stateColour(u), u.State.String())
	if u.Since > 0 {
		switch u.State {
		case unit.BackOff, unit.Failed, unit.Stuck:
			head += " " + span(d.now.Sub(u.Since)) + " ago"
		default:
			head += " for " + span(d.now.Sub(u.Since))
		}
	}
	d.text.WriteString(head + "\n")
	d.row("is", escape(u.Description))
	d.row("kind", d.kind())
	d.row("file", escape(u.File))
	d.row("why", escape(u.Why))
	d.row("sick", escape(u.Sick))
	d.row("says", escape(u.Note))
	for _, w := range u.Waits {
		d.row("waits for", escape(waits([]unit.Wait{w})))
	}
	if u.State == unit.BackOff && u.Retry > 0 {
		d.row("again in", span(u.Retry.Sub(d.now)))
	}
	if u.Part != unit.Main {
		d.row("runs", u.Part.String())
	}
	if u.Pid > 0 {
		d.row("pid", strconv.Itoa(u.Pid))
	}
	if u.Processes > 0 {
		d.row("processes", strconv.Itoa(u.Processes))
	}
	d.row("memory", size(u.Memory))
	if u.Sessions > 0 {
		d.row("sessions", strconv.Itoa(u.Sessions))
	}
	if u.Restarts > 0 {
		d.row("restarts", strconv.Itoa(u.Restarts))
	}
	d.row("last exit", exitText(u.Exit))
	d.row("next run", escape(strings.TrimPrefix(u.NextText, "next ")))
	d.row("last run", d.lastRun())
	d.row("time-outs", timeouts(u))
	for i, l := range u.LastLines {
		if i == 0 {
			d.text.WriteString("\n")
		}
		l = escape(l)
		if d.look.width > 0 {
			l = cut(l, max(8, d.look.width-len(gap)-2))
		}
		d.text.WriteString(gap + "| " + l + "\n")
	}
	if !u.Well() {
		d.text.WriteString("\nsvc why " + escape(u.Name))
		if u.Kind.HasProcess() {
			d.text.WriteString(", svc logs " + escape(u.Name))
		}
		d.text.WriteString("\n")
	}
	return d.text.String()
}

func (d *detail) kind() string {
	u := d.unit
	s := u.Kind.String()
	if u.Essential {
		s += ", essential"
	}
	if !u.Up && u.State != unit.Inactive {
		s += ", not wanted"
	}
	if u.Up && u.State == unit.Inactive {
		s += ", wanted"
	}
	return s
}

func (d *detail) lastRun() string {
	u := d.unit
	if u.LastRun == 0 {
		return ""
	}
	s := span(d.now.Sub(u.LastRun)) + " ago"
	if u.LastTook > 0 {
		s += ", took " + seconds(u.LastTook)
	}
	return s
}

// exitText says how a process ended; empty: well, or not yet.
func exitText(s unit.Status) string {
	if sig, ok := s.Signal(); ok {
		if name, known := unit.SignalName(sig); known {
			return "signal " + name
		}
		return "signal " + strconv.Itoa(sig)
	}
	if code, ok := s.Exit(); ok && code != 0 {
		return "exit " + strconv.Itoa(code)
	}
	return ""
}

func timeouts(u *unit.Report) string {
	var parts []string
	add := func(name string, d time.Duration) {
		if d > 0 {
			parts = append(parts, name+" "+short(d))
		}
	}
	add("start", u.StartTimeout)
	add("stop", u.StopTimeout)
	return strings.Join(parts, ", ")
}

// short writes a duration of a file without its empty parts: 1m, not 1m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
