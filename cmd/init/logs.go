package main

import (
	"context"
	"time"

	"hoopy/control"
	"hoopy/process/klog"
	"hoopy/process/ring"
	"hoopy/supervisor"
	"hoopy/unit"
)

const (
	logBatch = 256                    // lines in one answer
	logBytes = 256 << 10              // and bytes of text, beyond which no line is added
	logLook  = 500 * time.Millisecond // how often a unit without a log is looked at
)

// Logs hands out lines of the logs that are asked for, merged by time, and with
// follow what comes. Without follow it ends with what was there at its beginning.
func (b *backend) Logs(ctx context.Context, q control.LogQuery, emit func([]control.Line) error) error {
	if err := b.haveLogs(ctx, q.Names); err != nil {
		return err
	}
	f := &logs{b: b, q: q, emit: emit, more: make(chan struct{}, 1), rings: make(map[string]*ring.Ring)}
	defer f.close()
	if q.Kernel {
		k, err := klog.Open("/dev/kmsg")
		if err != nil {
			return err
		}
		f.stops = append(f.stops, k.Close)
		f.merge.Add("", k)
		if q.Follow {
			k.Follow(f.more)
		}
	}
	f.attach()
	f.merge.Seek(q.Since)
	if q.N >= 0 {
		f.merge.Last(q.N)
	}
	return f.run(ctx)
}

// haveLogs refuses names that neither a unit nor a log has.
func (b *backend) haveLogs(ctx context.Context, names []string) error {
	var missing []string
	if err := b.loop.Call(ctx, func(s *supervisor.State) {
		if len(names) > 0 {
			_, missing = s.Report(names)
		}
	}); err != nil {
		return err
	}
	unknownTo := missing[:0]
	for _, name := range missing {
		if b.procs.Logs(name) == nil {
			unknownTo = append(unknownTo, name)
		}
	}
	if len(unknownTo) > 0 {
		return unknown(unknownTo)
	}
	return nil
}

// logs is one answer under way.
type logs struct {
	b     *backend
	q     control.LogQuery
	emit  func([]control.Line) error
	merge ring.Merge
	more  chan struct{}
	rings map[string]*ring.Ring // that are read
	stops []func()
}

func (f *logs) close() {
	for _, stop := range f.stops {
		stop()
	}
}

// attach adds the logs that are wanted and not read yet: that of a unit which
// has never run begins with its first run.
func (f *logs) attach() {
	names := f.q.Names
	if f.q.All {
		names = f.b.procs.LogNames()
	}
	for _, name := range names {
		r := f.b.procs.Logs(name)
		if r == nil || f.rings[name] == r {
			continue
		}
		f.rings[name] = r
		c := r.Oldest()
		c.Open = !f.q.Follow // with follow it comes when it is whole
		f.merge.Add(name, c)
		if f.q.Follow {
			f.stops = append(f.stops, r.Follow(f.more))
		}
	}
}

func (f *logs) run(ctx context.Context) error {
	end := f.b.now()
	if !f.q.Follow {
		return f.drain(ctx, end)
	}
	look := time.NewTicker(logLook)
	defer look.Stop()
	for {
		if err := f.drain(ctx, 1<<63-1); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.more:
		case <-look.C:
			f.attach()
		}
	}
}

// drain emits what there is, in order, up to the stamp end: a log that grows
// faster than it is read has no other.
func (f *logs) drain(ctx context.Context, end unit.Time) error {
	f.merge.Poll()
	boot := time.Now().Add(-time.Duration(f.b.now()))
	var batch []control.Line
	size := 0
	for {
		name, l, ok := f.merge.Next()
		ok = ok && l.Stamp <= end
		if len(batch) > 0 && (!ok || len(batch) == logBatch || size > logBytes) {
			if err := f.emit(batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
		if !ok || ctx.Err() != nil {
			return ctx.Err()
		}
		// The wall clock's time of the stamp, as the clock goes now: a clock that was
		// set since boot does not tear the log apart.
		batch = append(batch, control.Line{Seq: l.Seq, Stamp: l.Stamp, Wall: boot.Add(time.Duration(l.Stamp)).UnixNano(),
			Unit: name, Text: l.Text, Severity: l.Severity, Lost: l.Lost})
		size += len(l.Text)
	}
}
