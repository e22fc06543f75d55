package seedrng

import (
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Config configures New.
type Config struct {
	// SkipCredit: seeds are used, and none counts as entropy.
	SkipCredit bool
	Log        func(string) // one line; from any goroutine
	// Fault is told of a panic, with its stack.
	Fault func(what any, stack []byte)

	testOnlySystem system
}

const (
	bound    = 4 * time.Second // for what is asked of a disk
	daily    = 24 * time.Hour
	hungMost = 8 // pieces of work that a disk does not answer
)

// Arm keeps the seed in one folder at a time. Its methods may be called from any
// goroutine.
type Arm struct {
	config Config
	seed   seed

	mu   sync.Mutex
	dir  string        // empty: there is nowhere to keep a seed
	busy chan struct{} // of work that somebody waits for: closed at its end
	hung int           // pieces of work that nobody waits for any more
}

// New makes an arm that knows no folder.
func New(c Config) *Arm {
	a := &Arm{config: c, seed: seed{system: c.testOnlySystem, skipCredit: c.SkipCredit}}
	if a.seed.system == nil {
		a.seed.system = linux{}
	}
	return a
}

// task is what is asked of a folder.
type task uint8

const (
	arrive task = iota // restore, and keep a seed there from now on
	stay               // renew
	depart             // renew for the last time
)

// Persisted tells that dir ("/persist/seedrng") is on a disk that was just
// mounted: the seed in it is given to the kernel, and a new one written, now and
// each day. It returns after 5 s at most; a disk that answers later has its seed
// used then. The note says in a line what was done, and so does the log.
func (a *Arm) Persisted(dir string) (note string) {
	r, err := a.do(dir, arrive)
	if err != nil {
		note = "no seed used: " + err.Error()
	} else {
		note = r.note()
	}
	a.config.Log("seed: " + note)
	return note
}

// Leaving tells that the disk of dir is about to be unmounted: a last seed is
// written, and none after it. It returns after 5 s at most, at once if dir is not
// what Persisted was told of. What goes wrong is logged.
func (a *Arm) Leaving(dir string) { a.renew(dir, depart) }

// Run renews the seed each day until ctx ends; the error is ctx's cause. Work
// that a disk does not answer outlives it.
func (a *Arm) Run(ctx context.Context) error {
	t := time.NewTicker(daily)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.C:
			a.mu.Lock()
			dir := a.dir
			a.mu.Unlock()
			a.renew(dir, stay)
		}
	}
}

func (a *Arm) renew(dir string, what task) {
	r, err := a.do(dir, what)
	switch {
	case err != nil:
		a.config.Log("seed: not renewed: " + err.Error())
	case len(r.wrong) > 0:
		a.config.Log("seed: not renewed" + r.errors())
	}
}

var (
	errSilent = errors.New("the disk does not answer")
	errHung   = errors.New("too much waits for disks that do not answer")
	errPanic  = errors.New("a mistake of hoopy's, see the log")
)

// do carries out a task in a goroutine of its own, after the one before it, and
// waits for its end, both together no longer than bound. The folder's lock keeps
// it from work that is still under way in there, although nobody waits for it.
func (a *Arm) do(dir string, what task) (report, error) {
	limit := time.NewTimer(bound)
	defer limit.Stop()
	a.mu.Lock()
	switch {
	case what == arrive:
		a.dir = dir
	case dir == "" || dir != a.dir:
		a.mu.Unlock()
		return report{}, nil
	case what == depart:
		a.dir = ""
	}
	for a.busy != nil {
		before := a.busy
		a.mu.Unlock()
		select {
		case <-before:
		case <-limit.C:
			return report{}, errSilent
		}
		a.mu.Lock()
	}
	defer a.mu.Unlock()
	if what == stay && dir != a.dir { // it left meanwhile
		return report{}, nil
	}
	if a.hung >= hungMost {
		return report{}, errHung
	}
	w := &work{done: make(chan struct{})}
	a.busy = w.done
	go a.work(dir, what, w)
	a.mu.Unlock()
	select {
	case <-w.done:
	case <-limit.C:
	}
	a.mu.Lock()
	if a.busy != w.done {
		return w.report, w.err
	}
	a.busy = nil
	a.hung++
	return report{}, errSilent
}

// work is one task under way. Its end is under the arm's mutex.
type work struct {
	done   chan struct{}
	report report
	err    error
}

func (a *Arm) work(dir string, what task, w *work) {
	r, err := report{}, errPanic
	defer func() {
		if v := recover(); v != nil {
			a.config.Fault(v, debug.Stack())
		}
		a.mu.Lock()
		w.report, w.err = r, err
		late := a.busy != w.done
		if late {
			a.hung--
		} else {
			a.busy = nil
		}
		a.mu.Unlock()
		close(w.done)
		if late && what == arrive && err == nil {
			a.config.Log("seed: the disk answers at last: " + r.note())
		}
	}()
	if what == arrive {
		r = a.seed.restore(dir)
	} else {
		r = a.seed.renew(dir)
	}
	err = nil
}

// SkipFile in an image says that seeds are not to be credited.
const SkipFile = "/etc/seedrng.skip-credit"

// Skip says whether seeds are not to be credited: the image has SkipFile, or one
// of words, those of the kernel's command line, is SEEDRNG_SKIP_CREDIT=1, or
// true, yes or y, which is the variable that the first seedrng looks for.
func Skip(words []string) bool {
	for _, w := range words {
		if v, ok := strings.CutPrefix(w, "SEEDRNG_SKIP_CREDIT="); ok {
			switch strings.ToLower(v) {
			case "1", "true", "yes", "y":
				return true
			}
		}
	}
	return unix.Access(SkipFile, unix.F_OK) == nil
}
