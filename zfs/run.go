package zfs

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"hoopy/unit"
)

// run is one start of a unit: of one pool, or of all that have no unit of their
// own.
type run struct {
	a      *Arm
	name   string // of the unit
	cfg    *unit.PoolConfig
	id     unit.Run
	adopt  bool
	before chan struct{} // the run before is over; nil: there was none
	done   chan struct{} // this one is

	ctx      context.Context // until Stop
	stop     context.CancelFunc
	alive    context.Context // until Kill
	kill     context.CancelFunc
	leave    bool // another run goes on with the pool; guarded by mu
	children sync.WaitGroup
	pokes    chan struct{}

	mu         sync.Mutex
	pools      []*pool
	waiting    bool // for disks: not all pools are known
	ready      bool
	note, sick string
	failed     string // why the start failed
}

func newRun(a *Arm, v unit.Action) *run {
	r := &run{a: a, name: v.Unit.Name, cfg: v.Unit.Pool, id: v.Run, adopt: v.Op == unit.Adopt, done: make(chan struct{}), pokes: make(chan struct{}, 1)}
	r.alive, r.kill = context.WithCancel(a.ctx)
	r.ctx, r.stop = context.WithCancel(r.alive)
	return r
}

// poke tells the run and its pools that something has changed; it never blocks.
func (r *run) poke() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.pools {
		poke(p.pokes)
	}
	poke(r.pokes)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// quit ends the run and leaves its pools to the next one.
func (r *run) quit() {
	r.mu.Lock()
	r.leave = true
	r.mu.Unlock()
	r.kill()
}

func (r *run) left() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leave || r.a.ctx.Err() != nil
}

// live is the run from its first to its last event.
func (r *run) live() {
	defer close(r.done)
	defer r.kill()
	if r.before != nil {
		<-r.before // bounded: it was killed
	}
	if r.cfg.Name != "" {
		r.add(&pool{name: r.cfg.Name, guid: r.cfg.GUID, first: r.cfg.GUID}).live()
	} else {
		r.all()
	}
	r.children.Wait()
	if r.left() {
		return
	}
	r.a.mu.Lock()
	if r.a.runs[r.name] == r {
		delete(r.a.runs, r.name)
	}
	r.a.mu.Unlock()
	if r.failed != "" && r.ctx.Err() == nil {
		r.emit(unit.StartFailed, r.failed)
		return
	}
	r.emit(unit.Empty, "")
}

// all gives every pool that shows itself a goroutine, until the run is stopped.
func (r *run) all() {
	r.waiting = true
	over := time.NewTimer(r.cfg.Wait)
	defer over.Stop()
	for {
		pools, settled := r.a.strangers()
		for _, s := range pools {
			if !r.has(s.guid) {
				p := r.add(&pool{name: s.name, guid: s.guid, first: s.guid, one: true})
				r.children.Add(1)
				r.a.work(r.name, func() { defer r.children.Done(); p.live() })
			}
		}
		if settled {
			r.settle()
		}
		select {
		case <-r.ctx.Done():
			return
		case <-over.C:
			r.settle()
		case <-r.pokes:
		}
	}
}

func (r *run) settle() {
	r.mu.Lock()
	r.waiting = false
	r.mu.Unlock()
	r.merge()
}

func (r *run) has(guid uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.pools {
		if p.guid == guid {
			return true
		}
	}
	return false
}

func (r *run) add(p *pool) *pool {
	p.run, p.a, p.cfg, p.adopt, p.pokes, p.asks = r, r.a, r.cfg, r.adopt, make(chan struct{}, 1), make(chan ask)
	p.lane = r.a.lane(p.name + " " + strconv.FormatUint(p.first, 10)) // two may have one name
	r.mu.Lock()
	r.pools = append(r.pools, p)
	r.mu.Unlock()
	return p
}

// merge says what has changed of the unit.
func (r *run) merge() {
	r.mu.Lock()
	defer r.mu.Unlock()
	ready := !r.waiting
	var notes, sick []string
	for _, p := range r.pools {
		before := ""
		if r.cfg.Name == "" {
			before = p.name + ": "
		}
		if p.note != "" {
			notes = append(notes, before+p.note)
		}
		if p.sick != "" {
			sick = append(sick, before+p.sick)
		}
		ready = ready && p.tried
	}
	note, ill := strings.Join(notes, "; "), strings.Join(sick, "; ")
	if r.cfg.Name == "" && len(r.pools) == 0 && ready {
		note = "no pool is here"
	}
	if note != r.note {
		r.note = note
		r.emit(unit.Noted, note)
	}
	if ready && !r.ready {
		r.ready = true
		r.emit(unit.IsReady, "")
	}
	if r.ready && ill != r.sick {
		r.sick = ill
		if ill != "" {
			r.emit(unit.Sick, ill)
		} else {
			r.emit(unit.Healthy, "")
		}
	}
}

// lost says that the unit is not ready any more.
func (r *run) lost(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cfg.Name != "" {
		r.ready, r.sick = false, ""
		r.emit(unit.Lost, why)
	}
}

func (r *run) emit(op unit.EventOp, text string) {
	r.a.cfg.Emit(unit.Event{Op: op, Unit: r.name, Run: r.id, Text: text})
}
