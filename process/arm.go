package process

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/process/poll"
	"hoopy/process/ring"
	"hoopy/unit"
)

// Config is what an Arm works with. Keeper and Emit are needed.
type Config struct {
	Keeper *Keeper
	// Emit takes the arm's events. It must not block; it is called from the
	// arm's goroutine, in order.
	Emit func(unit.Event)
	// Table is what Keeper.Hello returned. New takes the rows, and from Stored
	// the descriptors that are the arm's; the rest is left in it.
	Table Table
	// Epoch of this supervisor.
	Epoch uint32
	// CgroupRoot is the root of the cgroup2 hierarchy; empty: /sys/fs/cgroup.
	CgroupRoot string
	// RunDir has the notify sockets below it; empty: /run/hoopy.
	RunDir string
	// Safe: the supervisor is in safe mode, for conditions.
	Safe bool
	// BuiltIn says whether a module is part of the kernel, for conditions; its
	// name comes with underscores. nil: nobody knows. Called from any goroutine.
	BuiltIn func(module string) bool
	// Log gets what no unit is to blame for, a line each; nil: nobody.
	Log func(string)
	// Fault is told of a panic. The process is expected to end: an event may be
	// lost with the step that panicked, and the next epoch is told it again.
	// nil: the panic is logged and costs that step.
	Fault func(what any, stack []byte)

	testOnlyPatience time.Duration // beside killStrays
}

// Arm carries out the actions of services and tasks. Do, Memory, Processes,
// Sessions, Exec, LastLines and Logs may be called from any goroutine.
type Arm struct {
	cfg  Config
	set  *poll.Set
	logs *ring.Collector
	null int // /dev/null, stdin of everything
	done chan struct{}

	// The goroutine's own.
	runs map[unit.Run]*run
	left map[string]*leftover // leaves without a run, by path
	seq  uint64
	fate map[string]unit.Status // how the last command of a unit ended
	// stored has the descriptors that units leave for their next runs.
	stored map[string][]*stored
	// hanging has what was asked of a disk and not answered, see aside.
	hanging map[string]bool
	// clearing is nil while nobody wants the way cleared.
	clearing *clearing

	mu     sync.Mutex
	queue  []func()
	closed bool
	units  map[string]*unitLog
	own    uint32          // runs that only the arm knows of
	mains  map[string]int  // pids of main processes, by unit
	guests map[string]bool // leaves of hooks, probes and svc exec
}

// New takes over what earlier epochs left and starts the arm's goroutines. It
// sets OnSpawned and OnExit of the keeper, so it comes before Keeper.Serve.
func New(c Config) (*Arm, error) {
	if c.CgroupRoot == "" {
		c.CgroupRoot = "/sys/fs/cgroup"
	}
	if c.RunDir == "" {
		c.RunDir = "/run/hoopy"
	}
	if c.Log == nil {
		c.Log = func(string) {}
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", "/dev/null", err)
	}
	logs, err := ring.NewCollector(c.Log, c.Fault)
	if err != nil {
		unix.Close(null)
		return nil, err
	}
	set, err := poll.New()
	if err != nil {
		logs.Close()
		unix.Close(null)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	a := &Arm{cfg: c, set: set, logs: logs, null: null, done: make(chan struct{}),
		runs: make(map[unit.Run]*run), left: make(map[string]*leftover), units: make(map[string]*unitLog),
		fate: make(map[string]unit.Status), hanging: make(map[string]bool),
		stored: make(map[string][]*stored),
		mains:  make(map[string]int), guests: make(map[string]bool),
		seq: uint64(c.Epoch) << 32}
	for _, note := range prepareGroups(c.CgroupRoot) {
		c.Log(note)
	}
	c.Keeper.OnSpawned = func(id unit.Run, pid int, start uint64, pidfd int, err error) {
		a.post(func() { a.spawned(id, pid, pidfd, err) })
	}
	c.Keeper.OnExit = func(id unit.Run, status unit.Status, at unit.Time) {
		a.post(func() { a.exit(id, status) })
	}
	a.takeLogs()
	a.takeRows()
	a.takeLeaves()
	go a.run()
	return a, nil
}

// Do has the action carried out soon: Start, Adopt, Stop, Kill, Signal, Release,
// Commit and Clear; the others are not the arm's. It never blocks. The answers are events.
func (a *Arm) Do(act unit.Action) {
	a.post(func() {
		switch act.Op {
		case unit.Start:
			a.start(act.Unit, act.Run, act.Part)
		case unit.Adopt:
			a.adopt(act.Unit, act.Run, act.Part, act.To == unit.Ready)
			a.knowMain(act.Run, act.Pid)
		case unit.Stop:
			a.stop(act.Unit, act.Run, act.Signal)
		case unit.Kill:
			a.kill(act.Unit, act.Run)
		case unit.Signal:
			a.signalOnce(act.Run, act.Signal)
		case unit.Release:
			a.release(act.Run)
		case unit.Commit:
			a.commit(act.Run, act.Seq)
		case unit.Clear:
			a.clear(act.Signal)
		}
	})
}

// Close ends the arm's goroutines and waits for them. What runs goes on running,
// what is stored with the keeper stays there.
func (a *Arm) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.set.Wake()
	<-a.done
	a.logs.Close()
	a.set.Close()
	for _, r := range a.runs {
		r.close()
	}
	for _, l := range a.left {
		l.leaf.close()
	}
	for _, list := range a.stored {
		for _, s := range list {
			unix.Close(s.fd)
		}
	}
	for _, l := range a.units {
		l.close()
	}
	unix.Close(a.null)
}

// post has f called by the arm's goroutine.
func (a *Arm) post(f func()) {
	a.mu.Lock()
	a.queue = append(a.queue, f)
	first := len(a.queue) == 1
	a.mu.Unlock()
	if first {
		a.set.Wake()
	}
}

func (a *Arm) run() {
	defer close(a.done)
	for a.turn() {
	}
}

// turn takes what is queued, then what the descriptors say.
func (a *Arm) turn() (more bool) {
	defer func() {
		if v := recover(); v != nil {
			a.panicked(v)
			more = true
		}
	}()
	a.mu.Lock()
	queue := a.queue
	a.queue = nil
	closed := a.closed
	a.mu.Unlock()
	for _, f := range queue {
		a.guard(f)
	}
	if closed {
		return false
	}
	now := time.Now()
	if err := a.set.Wait(a.due(now)); err != nil {
		a.cfg.Log("process: epoll: " + err.Error())
	}
	a.tick(time.Now())
	return true
}

func (a *Arm) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			a.panicked(v)
		}
	}()
	f()
}

func (a *Arm) panicked(v any) {
	if a.cfg.Fault != nil {
		a.cfg.Fault(v, debug.Stack())
		return
	}
	a.cfg.Log(fmt.Sprintf("process: panic: %v\n%s", v, debug.Stack()))
}

// due is how long nothing polled is due; negative: for ever.
func (a *Arm) due(now time.Time) time.Duration {
	least := time.Duration(-1)
	look := func(at time.Time) {
		if at.IsZero() {
			return
		}
		if d := max(at.Sub(now), 0); least < 0 || d < least {
			least = d
		}
	}
	for _, r := range a.runs {
		look(r.pollAt)
		for _, at := range r.listensAt() {
			look(at)
		}
		if r.care != nil {
			look(r.care.due())
		}
	}
	for _, l := range a.left {
		look(l.retryAt)
	}
	if a.clearing != nil {
		look(a.clearing.at)
	}
	return least
}

// tick does what is due.
func (a *Arm) tick(now time.Time) {
	for _, r := range a.runs {
		for _, at := range r.listensAt() {
			if !at.IsZero() && !now.Before(at) {
				a.guard(func() { a.listens(r, now) })
				break
			}
		}
		if !r.pollAt.IsZero() && !now.Before(r.pollAt) {
			a.guard(func() { a.pollSocket(r, now) })
		}
		if r.care != nil && !r.care.due().IsZero() && !now.Before(r.care.due()) {
			a.guard(func() { a.tend(r, now) })
		}
	}
	for _, l := range a.left {
		if !l.retryAt.IsZero() && !now.Before(l.retryAt) {
			a.guard(func() { a.sweep(l) })
		}
	}
	if a.clearing != nil && !now.Before(a.clearing.at) {
		a.guard(func() { a.lookForStrays(now) })
	}
}

// nextSeq numbers the events that the arm wants to see committed.
func (a *Arm) nextSeq() uint64 {
	a.seq++
	return a.seq
}
