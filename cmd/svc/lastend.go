package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"hoopy/unit"
)

// What is known where there is no time line.
const (
	noEndYet = "nothing is known of the last end: its time line is kept on the persistence device, and none is mounted"
	noEnd    = "the last end was none in order (a power cut, a reset), or this persistence device has seen none yet"
)

// lastEnd is the time line of the end before this boot; without bars, its last says
// why there is none.
func (a *app) lastEnd() ([]unit.Span, *timeline, error) {
	b, err := os.ReadFile(a.lastEndPath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &timeline{end: true, last: noEndYet}, nil
	case err != nil:
		return nil, nil, err
	}
	head, rest, _ := strings.Cut(string(b), "\n")
	words := strings.SplitN(head, "\t", 4)
	if len(words) < 4 {
		return nil, &timeline{end: true, last: noEnd}, nil
	}
	spans := endSpans(rest)
	l := newTimeline(spans, true)
	l.last = "last end: " + words[0]
	if at, err := time.Parse(time.RFC3339, words[1]); err == nil {
		l.last += " at " + at.Local().Format("2006-01-02 15:04:05")
	}
	took, _ := milliseconds(words[2])
	l.last += fmt.Sprintf(", %.1f s", took.Seconds())
	longest := -1
	for i, b := range l.bars {
		if longest < 0 || b.over.Sub(b.began) > l.bars[longest].over.Sub(l.bars[longest].began) {
			longest = i
		}
	}
	if longest >= 0 {
		b := l.bars[longest]
		l.last += fmt.Sprintf(", longest: %s %.1f s", escape(b.name), b.over.Sub(b.began).Seconds())
	}
	if words[3] != "" {
		l.last += ", asked by " + escape(words[3])
	}
	return spans, l, nil
}

// endSpans reads the lines of units; what is none is passed over.
func endSpans(text string) (spans []unit.Span) {
	for line := range strings.Lines(text) {
		words := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(words) != 5 || words[0] == "" {
			continue
		}
		s := unit.Span{Name: words[0], StopAfter: words[4]}
		began, ok := milliseconds(words[2])
		if !ok || s.Kind.UnmarshalText([]byte(words[1])) != nil {
			continue
		}
		s.Stopping = unit.Time(began) + 1 // 0 would be: it never stopped
		if over, ok := milliseconds(words[3]); ok {
			s.Stopped = max(unit.Time(over)+1, s.Stopping)
		}
		spans = append(spans, s)
	}
	return spans
}

// milliseconds reads a length of time; more than a day is none.
func milliseconds(text string) (time.Duration, bool) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 24*60*60*1000 {
		return 0, false
	}
	return time.Duration(n) * time.Millisecond, true
}
