package devices

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// insertion is one module's way into the kernel. result is valid once done is
// closed.
type insertion struct {
	done   chan struct{}
	result Result
	at     time.Time

	mu     sync.Mutex
	tid    int  // of the polite thread that loads it; else 0
	rushed bool // hurry came first
}

// polite lowers the calling thread's priority, until hurry or its end.
func (in *insertion) polite() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.rushed && unix.Setpriority(unix.PRIO_PROCESS, 0, 10) == nil {
		in.tid = unix.Gettid()
	}
}

// hurry raises it again: the way to the network waits for this module.
func (in *insertion) hurry() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.rushed = true
	if in.tid != 0 {
		_ = unix.Setpriority(unix.PRIO_PROCESS, in.tid, 0) // without the right to, it stays slow
		in.tid = 0
	}
}

// retryAfter is how long a refusal stands; an event for the same device later
// than that tries again.
const retryAfter = 10 * time.Second

// stale reports whether the insertion says nothing of the present any more.
func (in *insertion) stale(l *Loader) bool {
	select {
	case <-in.done:
	default:
		return false
	}
	if in.result.Verdict.Good() {
		return !l.exists(in.result.Module)
	}
	return in.result.Verdict == Late || time.Since(in.at) > retryAfter
}

// insert loads one module without regard to others, once.
func (l *Loader) insert(ctx context.Context, s step, in lane) Result {
	l.mu.Lock()
	one := l.done[s.name]
	first := one == nil || one.stale(l)
	if first {
		one = &insertion{done: make(chan struct{})}
		l.done[s.name] = one
	}
	l.mu.Unlock()
	if !first && in == foreground {
		one.hurry()
	}
	if first {
		select {
		case l.slots[in] <- struct{}{}:
			defer func() { <-l.slots[in] }()
			if ctx.Err() == nil { // both may be ready
				go l.run(one, s, in)
				break
			}
			one.end(late(ctx, s.name))
		case <-ctx.Done():
			one.end(late(ctx, s.name))
		}
	}
	select {
	case <-one.done:
		if !first && one.result.Verdict == Late && ctx.Err() == nil {
			return l.insert(ctx, s, in) // the one we waited for had less time
		}
		return one.result
	case <-ctx.Done():
		return late(ctx, s.name)
	}
}

func late(ctx context.Context, module string) Result {
	return Result{module, Late, &ModuleError{module, context.Cause(ctx)}}
}

func (in *insertion) end(r Result) {
	in.mu.Lock()
	in.tid = 0
	in.mu.Unlock()
	in.result, in.at = r, time.Now()
	close(in.done)
}

// run owns a thread until the kernel has answered, and ends with it: its nice
// value must not reach other goroutines. Nobody can end a finit_module that
// hangs; callers are bound by their contexts, and the slot is theirs.
func (l *Loader) run(one *insertion, s step, in lane) {
	result := Result{s.name, Failed, &ModuleError{s.name, errors.New("loading panicked")}}
	defer func() {
		_ = recover()
		l.debug("module " + s.name + ": " + result.Verdict.String())
		one.end(result)
	}()
	runtime.LockOSThread()
	if in == background {
		one.polite()
	}
	err := l.give(s)
	result = Result{s.name, verdict(err), nil}
	if !result.Verdict.Good() {
		result.Err = &ModuleError{s.name, err}
	}
}
