package main

import (
	"context"
	"math"
	"time"

	"hoopy/control"
	"hoopy/process/ring"
	"hoopy/supervisor"
)

// Logs hands out the last n lines of a unit, and with follow what comes.
func (b *backend) Logs(ctx context.Context, q control.LogQuery, emit func([]control.Line) error) error {
	name, n, follow := q.Names[0], q.N, q.Follow
	var missing []string
	if err := b.loop.Call(ctx, func(s *supervisor.State) { _, missing = s.Report([]string{name}) }); err != nil {
		return err
	}
	if len(missing) > 0 {
		return unknown(missing)
	}
	r, err := b.ring(ctx, name, follow)
	if r == nil {
		return err
	}
	more, stop := r.Follow()
	defer stop()
	if n < 0 {
		n = math.MaxInt32
	}
	tail := r.Lines(max(n, 1))
	if k := len(tail); follow && k > 0 && tail[k-1].Open {
		tail = tail[:k-1] // it comes when it is whole
	}
	var seq uint64
	if k := len(tail); k > 0 {
		seq = tail[k-1].Seq
	}
	for n > 0 && len(tail) > 0 {
		k := min(len(tail), logBatch)
		if err := emit(b.lines(name, tail[:k], 0)); err != nil {
			return err
		}
		tail = tail[k:]
	}
	for follow {
		for {
			lines, lost := r.Since(seq, logBatch)
			if len(lines) == 0 {
				break
			}
			seq = lines[len(lines)-1].Seq
			if err := emit(b.lines(name, lines, lost)); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
		}
	}
	return nil
}

const (
	logBatch = 256                    // lines in one answer
	logLook  = 500 * time.Millisecond // how often a unit without a log is looked at
)

// ring is the unit's log. One that has never run has none: with follow, its
// first is waited for.
func (b *backend) ring(ctx context.Context, name string, follow bool) (*ring.Ring, error) {
	tick := time.NewTicker(logLook)
	defer tick.Stop()
	for {
		if r := b.procs.Logs(name); r != nil || !follow {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// lines gives each line the wall clock's time of its stamp, as the clock goes
// now: a clock that was set since boot does not tear the log apart.
func (b *backend) lines(name string, lines []ring.Line, lost uint64) []control.Line {
	boot := time.Now().Add(-time.Duration(b.now()))
	out := make([]control.Line, len(lines))
	for i, l := range lines {
		out[i] = control.Line{Seq: l.Seq, Stamp: l.Stamp, Wall: boot.Add(time.Duration(l.Stamp)).UnixNano(), Unit: name, Text: l.Text}
	}
	if len(out) > 0 {
		out[0].Lost = lost
	}
	return out
}
