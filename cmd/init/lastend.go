package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"hoopy/control"
	"hoopy/kmsg"
	"hoopy/supervisor"
	"hoopy/unit"
	"hoopy/unit/durable"
)

// The time line of an end is kept on the persistence device, and the next boot
// takes it from there: what svc blame --end finds in control.LastEnd is of the last end, or
// there was none in order. The file is lines of words with tabs between them,
//
//	power-off	2026-11-20T22:14:03Z	4213	asked by root (svc poweroff)
//	pool:tank	pool	120	3220	samba
//
// the end, when it began, how many milliseconds it took so far, who asked; and for
// each unit its kind, when its stop began and was over (empty: it was not), in
// milliseconds, and what it waited for last.
const (
	endFolder = "end"
	endName   = "last"

	endMost   = 256 << 10 // bytes: what /run is not filled with
	endWithin = time.Second
)

// keepEnd writes the time line of the end into dir, if this is one.
func (s *storage) keepEnd(dir string) {
	ctx, cancel := context.WithTimeout(s.m.ctx, endWithin)
	defer cancel()
	text := ""
	if err := s.m.loop.Call(ctx, func(state *supervisor.State) {
		if how, who := state.Ending(); how != 0 {
			text = endText(how, who, state.Spans(), unit.MountUnit(dir), bootTime(), time.Now())
		}
	}); err != nil || text == "" {
		return
	}
	if err := durable.Write(filepath.Join(dir, endFolder), endName, text); err != nil {
		s.m.log.Say(kmsg.Warning, "time line of the end: ", err.Error())
	}
}

// endText leaves out the unit without: that is the device itself.
func endText(how unit.How, who string, spans []unit.Span, without string, now unit.Time, wall time.Time) string {
	from := now
	for i := range spans {
		if at := spans[i].Stopping; at != 0 {
			from = min(from, at)
		}
	}
	ms := func(t unit.Time) string {
		if t == 0 {
			return ""
		}
		return strconv.FormatInt(t.Sub(from).Milliseconds(), 10)
	}
	text := how.String() + "\t" + wall.Add(-now.Sub(from)).UTC().Format(time.RFC3339) + "\t" + ms(now) + "\t" + who + "\n"
	for i := range spans {
		if sp := &spans[i]; sp.Stopping != 0 && sp.Name != without {
			text += sp.Name + "\t" + sp.Kind.String() + "\t" + ms(sp.Stopping) + "\t" + ms(sp.Stopped) + "\t" + sp.StopAfter + "\n"
		}
	}
	return text
}

// takeEnd moves what an earlier boot left in dir to where svc looks; an empty file
// says that there was nothing.
func (s *storage) takeEnd(dir string) {
	if _, err := os.Stat(control.LastEnd); err == nil {
		return // that was done when the device was there before
	}
	folder := filepath.Join(dir, endFolder)
	b, err := os.ReadFile(filepath.Join(folder, endName))
	if err == nil {
		err = durable.Remove(folder, endName)
	}
	if len(b) > endMost {
		b = nil // that is not ours
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.m.log.Say(kmsg.Warning, "time line of the last end: ", err.Error())
	}
	if err := os.WriteFile(control.LastEnd, b, 0o644); err != nil {
		s.m.note(err.Error())
	}
}
