package zfs

import (
	"cmp"
	"context"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"hoopy/unit"
)

// Config is what an Arm works with.
type Config struct {
	// Emit takes what happens to pools. It is called from several goroutines,
	// and must not block.
	Emit func(unit.Event)
	// Log takes a line about what deserves one; nil: nobody does.
	Log func(line string)
	// Fault is told of a panic. The process is expected to end: the next epoch
	// adopts the pools.
	Fault func(what any, stack []byte)
	// Tool runs zpool and zfs.
	Tool unit.Tool
	// Load loads the kernel module zfs. It may take its time.
	Load func(module string) error
	// HostID is by what ZFS knows whose a pool is; 0: the kernel's own.
	HostID uint32
	// Pools are those of the configuration; the unit of all pools leaves them
	// alone.
	Pools []unit.PoolConfig
	// Holders names the processes that use something below a place: "rsync (pid
	// 4120) holds /tank/misc"; empty: nobody does. It may take its time. nil:
	// nobody knows.
	Holders func(where string) string
	// Root is put before the paths of programs, /sys and /dev. For tests.
	Root string
}

const (
	settleTime  = 200 * time.Millisecond // without a new disk, then zpool is asked
	tickTime    = 2 * time.Second        // between two notes on how long it waits
	refusedTime = time.Minute            // an import that was refused is tried again
	againTime   = 5 * time.Minute        // the same, of all pools, where no back-off is
	healthTime  = time.Minute
	unwellTime  = 30 * time.Second
	hungTime    = 10 * time.Minute // the most between two questions to what did not answer
	slowTime    = 30 * time.Second // without an answer, then it is said
	askLimit    = 30 * time.Second // for a question
	workLimit   = 10 * time.Minute // for an import or export: a pool has much to read
	keyLimit    = 2 * time.Minute  // for a key: it is made hard to guess by work
	mountLimit  = 2 * time.Minute
	graceTime   = 2 * time.Second  // for a tool to end after it is told to
	busyTime    = time.Second      // between two tries to export
	halfTime    = 10 * time.Second // at the end, for an import that cannot be ended
	onlineTime  = 10 * time.Second // between two tries to use a disk again
	lastLimit   = 2 * time.Second  // for each of the two last tries, within unit.KillTimeout
	loadLimit   = 60 * time.Second
	deviceTime  = 30 * time.Second // for /dev/zfs, once the module is there
	pollTime    = 200 * time.Millisecond
)

// Arm carries out the actions on pools. See the package.
type Arm struct {
	cfg     Config
	ctx     context.Context // of Run
	workers sync.WaitGroup

	mu      sync.Mutex
	queue   []unit.Action
	signal  chan struct{} // something is in the queue
	runs    map[string]*run
	lanes   map[string]*lane
	disks   map[string]unit.Disk // by node
	names   map[uint64]string    // of every vdev that was there once, by its number
	changed time.Time            // the last disk came or went
	settled bool

	loading sync.Mutex // one goroutine makes the module ready
}

// New makes an arm; nothing happens before Run, and everything else may be called
// already.
func New(cfg Config) *Arm {
	cfg.Pools = slices.Clone(cfg.Pools)
	return &Arm{cfg: cfg, signal: make(chan struct{}, 1), runs: map[string]*run{}, lanes: map[string]*lane{},
		disks: map[string]unit.Disk{}, names: map[uint64]string{}}
}

// Do takes an action on a pool; it never blocks. A Start is answered by IsReady
// sooner or later, or by StartFailed with what zpool has against it. Adopt is
// answered by IsReady if the pool is imported, otherwise by Lost, and goes on as
// Start. Stop and Kill are answered by Empty: Stop when the pool is exported, Kill
// within unit.KillTimeout whether it is or not.
func (a *Arm) Do(action unit.Action) {
	a.mu.Lock()
	a.queue = append(a.queue, action)
	a.mu.Unlock()
	select {
	case a.signal <- struct{}{}:
	default:
	}
}

// Run carries out actions until ctx ends; then pools stay as they are, and
// programs that still run are ended. The error is nil.
func (a *Arm) Run(ctx context.Context) error {
	a.ctx = ctx
	defer a.workers.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.signal:
			a.mu.Lock()
			q := a.queue
			a.queue = nil
			a.mu.Unlock()
			for _, action := range q {
				a.act(action)
			}
		}
	}
}

// Disk, Gone and Settled are of unit.Disks.
func (a *Arm) Disk(d unit.Disk) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old, was := a.disks[d.Node]
	a.disks[d.Node] = d
	if d.VdevGUID != 0 {
		a.names[d.VdevGUID] = cmp.Or(d.ID, d.Node)
	}
	if isMember(&d) || was && isMember(&old) {
		a.wake()
	}
}

// Gone forgets a disk.
func (a *Arm) Gone(node string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old, was := a.disks[node]
	delete(a.disks, node)
	if was && isMember(&old) {
		a.wake()
	}
}

// Settled says that every disk of the boot is known.
func (a *Arm) Settled() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settled = true
	for _, r := range a.runs {
		r.poke()
	}
}

// Changed says that a file system was mounted: the file of a key may be there now.
func (a *Arm) Changed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.runs {
		r.poke()
	}
}

// wake tells everybody that a disk came or went; the caller holds the lock.
func (a *Arm) wake() {
	a.changed = time.Now()
	for _, r := range a.runs {
		r.poke()
	}
}

// act carries out an action. Only Run's goroutine calls it.
func (a *Arm) act(v unit.Action) {
	if v.Unit == nil {
		return
	}
	a.mu.Lock()
	old := a.runs[v.Unit.Name]
	a.mu.Unlock()
	switch v.Op {
	case unit.Start, unit.Adopt:
		if old != nil && old.id == v.Run {
			return // at least once
		}
		if v.Unit.Pool == nil {
			a.cfg.Emit(unit.Event{Op: unit.StartFailed, Unit: v.Unit.Name, Run: v.Run, Text: "the unit says nothing about a pool"})
			return
		}
		r := newRun(a, v)
		if old != nil {
			old.quit()
			r.before = old.done
		}
		a.mu.Lock()
		a.runs[r.name] = r
		a.mu.Unlock()
		a.work(r.name, r.live)
	case unit.Stop, unit.Kill:
		if old == nil || old.id != v.Run {
			a.cfg.Emit(unit.Event{Op: unit.Empty, Unit: v.Unit.Name, Run: v.Run})
			return
		}
		if v.Op == unit.Kill {
			old.kill()
		}
		old.stop()
	}
}

// work runs f in a goroutine that Run waits for.
func (a *Arm) work(what string, f func()) {
	a.workers.Go(func() { a.guard(what, f) })
}

// guard runs f; a panic becomes a fault.
func (a *Arm) guard(what string, f func()) {
	defer func() {
		r := recover()
		switch {
		case r == nil:
		case a.cfg.Fault != nil:
			a.cfg.Fault(r, debug.Stack())
		default:
			a.log(what + ": panic: " + string(debug.Stack()))
		}
	}()
	f()
}

func (a *Arm) log(line string) {
	if a.cfg.Log != nil {
		a.cfg.Log(line)
	}
}
