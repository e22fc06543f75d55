package devices

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// loadLimit bounds a worker's wait for one device's modules.
	loadLimit = 30 * time.Second
	// coldplugLimit bounds the wait for all modules of a coldplug; what still
	// loads then goes on loading.
	coldplugLimit = 60 * time.Second
	// rounds bounds the walks of one coldplug: modules bring new devices, which
	// ask for modules; the deepest seen so far took 4.
	rounds = 10
	// againAfter delays the coldplug that answers lost events, so that many
	// losses cost one.
	againAfter = time.Second
	// ahead is how many events the reader may be ahead of the subscriber. The
	// rest waits in the socket's buffer: of all places, only the kernel loses
	// events, and says so.
	ahead = 256
)

// Config configures New. The zero value is the running machine, nothing
// loaded by name, nothing logged.
type Config struct {
	Root    string       // folder that stands for "/"; empty is "/"
	Release string       // empty is uname -r
	Cmdline string       // text of /proc/cmdline
	Log     func(string) // what an operator should read; called from any goroutine; nil drops it
	Debug   func(string) // what became of each module; likewise
	// Catalog is told of every event before the subscriber is, and of the end of
	// the first coldplug, which is through when the catalog says so. nil: there is
	// none. It outlives the source.
	Catalog *Catalog
	// Resumed: another source, in a process that has died, may have left devices
	// without a driver.
	Resumed bool

	testOnlyKernel kernel
	testOnlyReader reader
}

// reader is the socket, or a test's.
type reader interface {
	read() (Uevent, error)
	close()
}

// Source tells of devices and loads their modules. New opens the socket, so
// that no event is lost before Run is called.
type Source struct {
	config  Config
	sys     string
	socket  reader
	loader  *Loader
	events  chan Uevent
	jobs    *jobs
	again   chan struct{} // one token: coldplug once more
	scans   chan bool     // scan the classes; true at the end of the first coldplug
	through chan struct{} // closed with the first coldplug
	booted  atomic.Bool
	lost    atomic.Bool // events, since the last scan
}

// New opens the uevent socket in the caller's network namespace and maps the
// module index. The error is the socket's.
func New(c Config) (*Source, error) {
	if c.Root == "" {
		c.Root = "/"
	}
	if c.Log == nil {
		c.Log = func(string) {}
	}
	if c.Debug == nil {
		c.Debug = func(string) {}
	}
	s := &Source{
		config: c, sys: filepath.Join(c.Root, "sys"), socket: c.testOnlyReader,
		events: make(chan Uevent, ahead), jobs: newJobs(runtime.NumCPU()),
		again: make(chan struct{}, 1), scans: make(chan bool), through: make(chan struct{}),
	}
	if s.socket == nil {
		socket, err := openSocket()
		if err != nil {
			return nil, err
		}
		s.socket = socket
	}
	s.loader = NewLoader(LoaderConfig{
		Root: c.Root, Release: c.Release, Cmdline: c.Cmdline,
		Log: c.Log, Debug: c.Debug, testOnlyKernel: c.testOnlyKernel,
	})
	return s, nil
}

// Modules has modules loaded by name, before all others: those that no device
// asks for. It may be called before Run, and never blocks.
func (s *Source) Modules(names []string) {
	for _, name := range names {
		s.jobs.add(job{name: name, byName: true}, foreground)
	}
}

// Loader is the source's loader, for modules that others need by name.
func (s *Source) Loader() *Loader { return s.loader }

// Coldplugged is closed when the first coldplug is through: every modalias of
// the machine was tried or timed out, and the subscriber was told of every
// device of the tracked classes that this brought.
func (s *Source) Coldplugged() <-chan struct{} { return s.through }

// WayIn says that network and sshd are there: what was held back for them begins.
func (s *Source) WayIn() { s.jobs.release() }

// Booted ends the politeness: modules loaded from now on are loaded at normal
// priority. It implies WayIn.
func (s *Source) Booted() {
	s.booted.Store(true)
	s.jobs.release()
}

// Again asks for another coldplug, as after lost events. It never blocks.
func (s *Source) Again() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// Close closes the socket; a Run that is under way ends. Needed only where Run
// is never called.
func (s *Source) Close() { s.socket.close() }

// Run delivers events to each, one after the other, from the calling
// goroutine, until ctx ends or the socket breaks. It may be called once. When
// it returns, its goroutines have ended, but for those that a driver holds in
// the kernel, and the socket is closed.
//
// The error is ctx's cause, or what broke; then a new Source may be made, whose
// coldplug finds whatever was missed.
func (s *Source) Run(ctx context.Context, each func(Uevent)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer s.jobs.close()
	defer s.socket.close()
	defer cancel(nil)
	start := func(what string, f func(context.Context) error) {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					cancel(fmt.Errorf("devices: %s: panic: %v", what, p))
				}
			}()
			if err := f(ctx); err != nil {
				cancel(fmt.Errorf("devices: %s: %w", what, err))
			}
		})
	}
	start("reader", s.read)
	for range 2 {
		start("worker", func(ctx context.Context) error { return s.work(ctx, true) })
	}
	for range max(4, runtime.NumCPU()) {
		start("worker", func(ctx context.Context) error { return s.work(ctx, false) })
	}
	start("coldplug", s.coldplug)
	return s.deliver(ctx, each)
}

// deliver is the loop: it alone calls each and owns what is known.
func (s *Source) deliver(ctx context.Context, each func(Uevent)) error {
	groups := readGroups(s.config.Root)
	k := known{}
	tell := func(u Uevent) {
		if u.Action == "add" || u.Action == "change" {
			if err := setNode(s.config.Root, u, groups); err != nil {
				s.config.Log(err.Error())
			}
		}
		if s.config.Catalog != nil {
			s.config.Catalog.Event(u)
		}
		each(u)
	}
	take := func(u Uevent) {
		k.note(u)
		if alias := u.Env["MODALIAS"]; alias != "" && u.Action != "remove" && u.Action != "unbind" {
			s.jobs.add(job{name: alias}, laneOf(alias))
		}
		tell(u)
	}
	queued := func() {
		for range len(s.events) {
			take(<-s.events)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case u := <-s.events:
			take(u)
		case last := <-s.scans:
			queued() // older than what is seen now: a "remove" may be of a device that is back
			k.scan(s.sys, s.lost.Swap(false), tell)
			if !last {
				continue
			}
			queued() // what came meanwhile belongs to it
			if c := s.config.Catalog; c != nil {
				c.Settle(func() { close(s.through) })
			} else {
				close(s.through)
			}
		}
	}
}

// read moves messages from the socket to the loop.
func (s *Source) read(ctx context.Context) error {
	var last uint64
	foreign := false
	for {
		u, err := s.socket.read()
		switch {
		case ctx.Err() != nil || errors.Is(err, os.ErrClosed):
			return err
		case errors.Is(err, errLost):
			s.config.Log(err.Error() + "; looking again")
			s.lost.Store(true)
			s.Again()
			continue
		case errors.Is(err, errForeign), errors.Is(err, errUevent):
			if !foreign { // once: anybody may send, and the log is not theirs
				foreign = true
				s.config.Log("uevents: a message was refused: " + err.Error())
			}
			continue
		case err != nil:
			return err
		}
		// A gap may be a loss, or events of another network namespace, or two
		// processors' events in turned order: looking again is cheap.
		if last != 0 && u.Seq > last+1 {
			s.Again()
		}
		last = max(last, u.Seq)
		select {
		case s.events <- u:
		case <-ctx.Done():
			return nil
		}
	}
}

// work loads what is in the lanes.
func (s *Source) work(ctx context.Context, foregroundOnly bool) error {
	stop := context.AfterFunc(ctx, s.jobs.close)
	defer stop()
	for {
		one, in, ok := s.jobs.take(foregroundOnly)
		if !ok {
			return nil
		}
		s.loadJob(ctx, one, in)
	}
}

// loadJob finishes the job even if loading panics.
func (s *Source) loadJob(ctx context.Context, one job, in lane) {
	defer s.jobs.finish(one)
	ctx, cancel := context.WithTimeout(ctx, loadLimit)
	defer cancel()
	r := request{blacklist: !one.byName, lane: in}
	if s.booted.Load() {
		r.lane = foreground
	}
	for _, got := range s.loader.load(ctx, one.name, r) {
		switch {
		case got.Verdict == Failed, got.Verdict == Late && !errors.Is(got.Err, context.Canceled),
			one.byName && !got.Verdict.Good():
			s.config.Log(got.Verdict.String() + ": " + got.Err.Error())
		case got.Verdict == Blacklisted: // of the others that were tried, the loader told
			s.config.Debug("module " + got.Module + ": blacklisted")
		}
	}
}

// coldplug walks the modaliases, once at first and then whenever events were
// lost. The first time it begins with the buses that network cards sit on, and
// goes on when the background may.
func (s *Source) coldplug(ctx context.Context) error {
	seen := map[string]bool{}
	walkBuses(s.sys, firstBuses[:], func(alias string) { s.offer(seen, alias) })
	s.jobs.waitOpen(ctx)
	if !s.scan(ctx, false) { // what is there already is told now, not after the modules
		return nil
	}
	for first := true; ; first = false {
		s.walk(ctx, seen)
		if first && s.config.Resumed {
			s.reprobe(ctx)
		}
		seen = map[string]bool{}
		if !s.scan(ctx, first) {
			return nil
		}
		select {
		case <-s.again:
		case <-ctx.Done():
			return nil
		}
		select {
		case <-time.After(againAfter):
		case <-ctx.Done():
			return nil
		}
		select {
		case <-s.again: // came while we waited; this round answers it
		default:
		}
	}
}

// offer makes a job of an alias that was not seen before.
func (s *Source) offer(seen map[string]bool, alias string) {
	if !seen[alias] {
		seen[alias] = true
		s.jobs.add(job{name: alias}, laneOf(alias))
	}
}

// scan has deliver look at the classes; false: ctx has ended.
func (s *Source) scan(ctx context.Context, last bool) bool {
	select {
	case s.scans <- last:
		return true
	case <-ctx.Done():
		return false
	}
}

// walk reads all modaliases and waits until their modules are loaded, again
// and again until a walk finds nothing new.
func (s *Source) walk(ctx context.Context, seen map[string]bool) {
	ctx, cancel := context.WithTimeout(ctx, coldplugLimit)
	defer cancel()
	for round := range rounds {
		before := len(seen)
		walkModaliases(s.sys, func(alias string) { s.offer(seen, alias) })
		if len(seen) == before && round > 0 {
			return
		}
		if !s.jobs.wait(ctx) {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				s.config.Log("coldplug: not all modules are loaded after " + coldplugLimit.String() + "; going on")
			}
			return
		}
	}
}
