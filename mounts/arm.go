package mounts

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"hoopy/unit"
)

// Config is what an Arm works with.
type Config struct {
	// Emit takes what happens to mounts. It is called from one goroutine and
	// must not block.
	Emit func(unit.Event)
	// Log takes a line about what deserves one.
	Log func(line string)
	// Fault is told of a panic; the process is expected to end.
	Fault func(what any, stack []byte)
	// Tool runs fsck and mount.TYPE.
	Tool unit.Tool
	// Load loads a kernel module: zram. nil: the kernel has it. What file
	// systems need the kernel asks for by itself.
	Load func(module string) error
	// Persisted is called when the persistence device is mounted on dir, before
	// the unit is ready, also when an earlier epoch did that. nil: nobody asks.
	Persisted func(dir string)
	// Leaving is called before the persistence device is unmounted in order.
	// Neither is waited for longer than leavingWithin.
	Leaving func(dir string)

	testOnlyKernel kernel
}

// Arm carries out the actions on mounts and swap. See the package.
type Arm struct {
	cfg Config
	k   kernel

	mu     sync.Mutex
	queue  []any
	signal chan struct{}
	usage  map[string]string // what Use knows
	asked  map[string]bool   // where statfs(2) is under way

	// Below is the loop's alone.
	ctx     context.Context
	places  map[string]*place
	disks   map[string]unit.Disk // by node
	settled bool
	table   []mounted
}

// What sources put into the queue, beside unit.Action and unit.Disk.
type (
	gone     string // a node
	settled  struct{}
	changed  struct{} // the table of mounts
	finished struct { // a job of a place; then is for the loop
		p    *place
		gen  int
		then func()
	}
	rang struct { // the timer of a place
		p   *place
		gen int
	}
)

var _ unit.Disks = (*Arm)(nil)

// New makes an arm; nothing happens before Run, and all but that may be called
// already.
func New(cfg Config) *Arm {
	a := &Arm{cfg: cfg, k: cfg.testOnlyKernel, signal: make(chan struct{}, 1), places: map[string]*place{},
		disks: map[string]unit.Disk{}, usage: map[string]string{}, asked: map[string]bool{}}
	if a.k == nil {
		a.k = linux{}
	}
	return a
}

// Do takes an action on a mount or swap; it never blocks. Start is answered by
// IsReady sooner or later, by StartFailed, or, if the unit is optional, by Absent;
// Stop and Kill by Empty.
func (a *Arm) Do(action unit.Action) { a.post(action) }

// Disk, Gone and Settled are unit.Disks.
func (a *Arm) Disk(d unit.Disk)  { a.post(d) }
func (a *Arm) Gone(node string)  { a.post(gone(node)) }
func (a *Arm) Settled()          { a.post(settled{}) }
func (a *Arm) tableChanged()     { a.post(changed{}) }
func (a *Arm) emit(e unit.Event) { a.cfg.Emit(e) }

func (a *Arm) post(v any) {
	a.mu.Lock()
	if _, ok := v.(changed); !ok || len(a.queue) == 0 || a.queue[len(a.queue)-1] != v {
		a.queue = append(a.queue, v)
	}
	a.mu.Unlock()
	select {
	case a.signal <- struct{}{}:
	default:
	}
}

// Run carries out actions until ctx ends. What is mounted stays: the next
// supervisor adopts it. The error is that of a machine without mountinfo.
func (a *Arm) Run(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.ctx = ctx
	watched := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				a.panicked(r)
			}
		}()
		watched <- a.k.watch(ctx, a.tableChanged)
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err = <-watched:
			if ctx.Err() == nil {
				return err
			}
			return nil
		case <-a.signal:
			a.mu.Lock()
			all := a.queue
			a.queue = nil
			a.mu.Unlock()
			for _, v := range all {
				a.handle(v)
			}
		}
	}
}

func (a *Arm) panicked(what any) {
	if a.cfg.Fault != nil {
		a.cfg.Fault(what, debug.Stack())
		return
	}
	a.log(fmt.Sprint("mounts: panic: ", what))
}

func (a *Arm) log(line string) {
	if a.cfg.Log != nil {
		a.cfg.Log(line)
	}
}

func (a *Arm) handle(v any) {
	defer func() {
		if r := recover(); r != nil {
			a.panicked(r)
		}
	}()
	switch v := v.(type) {
	case unit.Action:
		a.act(v)
		return
	case finished:
		if v.gen == v.p.gen {
			v.p.busy = false
			v.then()
			a.look(v.p)
		}
		return
	case rang:
		if v.gen == v.p.timerGen && a.places[v.p.name] == v.p {
			a.onTimer(v.p)
		}
		return
	case unit.Disk:
		a.disks[v.Node] = v
	case gone:
		delete(a.disks, string(v))
		for _, p := range a.places {
			if p.phase == up && p.node == "/dev/"+string(v) {
				a.pulled(p, string(v))
			}
		}
	case settled:
		a.settled = true
	case changed:
		a.readTable()
	}
	for _, p := range a.places {
		a.look(p)
	}
}

func (a *Arm) readTable() {
	table, err := a.k.table()
	if err != nil {
		a.log("mounts: " + err.Error())
		return
	}
	a.table = table
}

func (a *Arm) act(v unit.Action) {
	if v.Unit == nil {
		return
	}
	p := a.places[v.Unit.Name]
	if p != nil && p.run != v.Run {
		p = nil
	}
	switch v.Op {
	case unit.Start, unit.Adopt:
		if p == nil {
			a.begin(v)
		}
	case unit.Stop, unit.Kill:
		if p == nil {
			a.emit(unit.Event{Op: unit.Empty, Unit: v.Unit.Name, Run: v.Run})
			return
		}
		p.stop = true
		a.end(p, v.Op == unit.Kill)
	}
}

// useWithin bounds what a look at svc status waits for a disk.
const useWithin = 50 * time.Millisecond

// Use says how full what is mounted on where is, "12% used"; if the disk does not
// answer at once, what it said last. It may be called from anywhere.
func (a *Arm) Use(where string) string {
	done := make(chan struct{})
	a.mu.Lock()
	asked := a.asked[where]
	a.asked[where] = true
	a.mu.Unlock()
	if !asked {
		go func() {
			text := ""
			defer func() {
				if r := recover(); r != nil {
					a.panicked(r)
				}
				a.mu.Lock()
				a.usage[where] = text
				delete(a.asked, where)
				a.mu.Unlock()
				close(done)
			}()
			if n, ok := a.k.used(where); ok {
				text = percent(n)
			}
		}()
		await(done, useWithin)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.usage[where]
}

// await waits for done, but no longer than d.
func await(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// aside does f in a goroutine of its own and waits for it, but no longer than d.
func (a *Arm) aside(d time.Duration, f func()) bool {
	done := make(chan struct{})
	go func() {
		defer func() {
			if r := recover(); r != nil {
				a.panicked(r)
			}
			close(done)
		}()
		f()
	}()
	return await(done, d)
}

func isDevice(what string) bool {
	return strings.HasPrefix(what, "/dev/") || !strings.HasPrefix(what, "/") && strings.Contains(what, "=")
}
