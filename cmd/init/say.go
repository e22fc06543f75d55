package main

import (
	"fmt"
	"strings"
	"time"

	"hoopy/kmsg"
	"hoopy/unit"
)

// sayer turns transitions into lines of the console and the kernel's log, one
// each:
//
//	link:lan        ready      192.168.1.7/24
type sayer struct {
	log   *kmsg.Log
	now   func() unit.Time
	last  func(name string) string // the last line that a unit said
	began map[string]unit.Time     // when its stop began
	fails map[string]failing       // units that fail again and again
}

// failing is what was said of a unit's failure the last time. The same one again
// is said once more when the wait has grown, so at most seven times; status and
// log have the rest.
type failing struct {
	text  string
	wait  time.Duration
	quiet bool
}

func (s *sayer) say(a unit.Action) {
	name := a.Unit.Name
	text, level := a.Text, kmsg.Info
	state := a.To.String()
	if a.From == a.To {
		// It takes longer than it should, or an edge was dropped. A milestone
		// only waits for what has been named already.
		level = kmsg.Warning
		if a.Unit.Kind == unit.Milestone {
			level = kmsg.Debug
		}
		s.line(level, name, state, text)
		return
	}
	switch a.To {
	case unit.Ready:
		if s.fails[name].quiet {
			level = kmsg.Debug
		}
	case unit.BackOff, unit.Failed, unit.Stuck:
		level = kmsg.Warning
		if a.To == unit.BackOff && a.At != 0 {
			now := failing{text: text, wait: a.At.Sub(s.now())}
			was, again := s.fails[name]
			now.quiet = again && was.text == text && now.wait < was.wait*3/2
			if now.quiet {
				level, now.wait = kmsg.Debug, was.wait
			}
			s.fails[name] = now
			text += fmt.Sprintf(", again in %.1f s", a.At.Sub(s.now()).Seconds())
		}
		if line := s.last(name); line != "" && !strings.Contains(text, line) {
			text += "; it said last: " + line
		}
	case unit.Skipped:
		level = kmsg.Debug
	case unit.Stopping:
		s.began[name] = s.now()
		level = kmsg.Debug
	case unit.Inactive:
		began, stopped := s.began[name]
		delete(s.began, name)
		if a.From != unit.Stopping || !stopped || !a.Unit.Kind.HasProcess() && !acquires[a.Unit.Kind] {
			level = kmsg.Debug
			break
		}
		state = "stopped"
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%.1f s", s.now().Sub(began).Seconds())
	case unit.Waiting:
		level = kmsg.Debug
		if a.Unit.Kind == unit.Timer && text != "" { // its run failed
			level, state = kmsg.Warning, unit.Failed.String()
		}
	case unit.Starting:
		if a.From != unit.Ready { // else it has lost what it had
			level = kmsg.Debug
		}
	}
	s.line(level, name, state, text)
}

// acquires are the kinds without a process whose stop is worth a line.
var acquires = map[unit.Kind]bool{unit.Link: true, unit.Mount: true, unit.Pool: true}

func (s *sayer) line(level kmsg.Level, name, state, text string) {
	s.log.Say(level, strings.TrimRight(fmt.Sprintf("%-15s %-10s %s", name, state, text), " "))
}
