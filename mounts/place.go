package mounts

import (
	"context"
	"slices"
	"sort"
	"strings"
	"time"

	"hoopy/unit"
)

const (
	mountWithin   = 30 * time.Second // then it is said that it hangs
	leavingWithin = 5 * time.Second  // of Leaving, and of sync
	againAfter    = 250 * time.Millisecond
	detachAfter   = 15 * time.Second // after the device was pulled
)

// phase is where a place stands. Preparing → seeking → mounting → up → leaving,
// and, after its device was pulled, from leaving to seeking.
type phase uint8

const (
	preparing phase = iota
	seeking         // it waits for its device, or for what is in its way
	mounting
	up
	leaving
)

// place is a run of a unit of a mount or of swap.
type place struct {
	name  string
	cfg   *unit.MountConfig
	run   unit.Run
	adopt bool // an earlier epoch began the run

	at       string // Where, without links
	phase    phase
	busy     bool // a job is under way
	gen      int  // of the job: others do not count any more
	cancel   context.CancelFunc
	node     string // what is mounted: "/dev/sda1"
	opts     options
	ready    bool   // the last word to the supervisor
	note     string // the last note
	about    string // the note of one that is well
	stop     bool   // the supervisor waits for Empty
	killed   bool
	dead     bool // its device is gone
	left     bool // Leaving was called
	tries    int
	until    time.Time // then it is detached, if it is dead
	timer    *time.Timer
	timerGen int
}

func (a *Arm) begin(v unit.Action) {
	if v.Unit.Mount == nil {
		a.emit(unit.Event{Op: unit.StartFailed, Unit: v.Unit.Name, Run: v.Run, Text: "the unit says nothing about a mount"})
		return
	}
	if old := a.places[v.Unit.Name]; old != nil {
		a.forget(old)
	}
	p := &place{name: v.Unit.Name, cfg: v.Unit.Mount, run: v.Run, adopt: v.Op == unit.Adopt, at: v.Unit.Mount.Where}
	p.opts = parse(p.cfg.Options)
	a.places[p.name] = p
	if p.cfg.Optional && isDevice(p.cfg.What) {
		// Before the supervisor's own timer: what is late is not there.
		a.ring(p, p.cfg.Wait-min(p.cfg.Wait/10, time.Second))
	}
	if p.cfg.Swap {
		p.phase = seeking
		a.look(p)
		return
	}
	a.job(p, func(context.Context) func() {
		var err error
		at := p.cfg.Where
		if p.cfg.What == "" {
			at = realPath(at)
		} else {
			what := ""
			if p.opts.bind() {
				what = p.cfg.What
			}
			at, err = a.k.prepare(what, at)
		}
		if err == nil && p.cfg.Persist && p.cfg.Where != unit.PersistPath {
			if e := a.k.lead(unit.PersistPath, p.cfg.Where); e != nil {
				return func() { a.log(p.name + ": " + e.Error()); p.at, p.phase = at, seeking; a.readTable() }
			}
		}
		return func() {
			if err != nil {
				a.fail(p, err.Error())
				return
			}
			p.at, p.phase = at, seeking
			a.readTable()
		}
	})
}

// job does f in a goroutine of its own. What f returns is done by the loop, unless
// the place has begun another job by then. f's ctx ends when the place is killed.
func (a *Arm) job(p *place, f func(context.Context) func()) {
	ctx, cancel := context.WithCancel(a.ctx)
	p.gen++
	p.busy, p.cancel = true, cancel
	gen := p.gen
	go func() {
		defer cancel()
		then := func() { a.fail(p, "panic") }
		defer func() {
			if r := recover(); r != nil {
				a.panicked(r)
			}
			a.post(finished{p, gen, then})
		}()
		then = f(ctx)
	}()
}

// ring sets the timer of the place.
func (a *Arm) ring(p *place, d time.Duration) {
	p.quiet()
	gen := p.timerGen
	p.timer = time.AfterFunc(d, func() { a.post(rang{p, gen}) })
}

func (p *place) quiet() {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timerGen++
}

func (a *Arm) onTimer(p *place) {
	switch p.phase {
	case seeking, preparing:
		if p.cfg.Optional && len(a.find(p.cfg.What)) == 0 {
			a.emit(unit.Event{Op: unit.Absent, Unit: p.name, Run: p.run, Text: "there is no device " + p.cfg.What})
			a.forget(p)
		}
	case mounting:
		a.say(p, "the mount of "+p.node+" hangs", true)
	case leaving:
		if p.busy {
			if p.killed || !a.isThere(p) { // out of sight; what is left of it is the kernel's
				a.log(p.name + ": its last writes hang")
				a.gone(p)
			} else {
				a.say(p, "the unmount hangs", true)
			}
			return
		}
		a.leave(p)
	}
}

// forget ends all that is kept for the place.
func (a *Arm) forget(p *place) {
	p.quiet()
	p.gen++
	if p.cancel != nil {
		p.cancel()
	}
	if a.places[p.name] == p {
		delete(a.places, p.name)
	}
}

// fail gives the run up; the supervisor begins another.
func (a *Arm) fail(p *place, text string) {
	a.forget(p)
	op := unit.StartFailed
	if p.stop || p.phase == leaving {
		op = unit.Empty
		a.log(p.name + ": " + text)
	}
	a.emit(unit.Event{Op: op, Unit: p.name, Run: p.run, Text: text})
}

// say notes how the place is.
func (a *Arm) say(p *place, text string, loud bool) {
	if p.note == text {
		return
	}
	p.note = text
	a.emit(unit.Event{Op: unit.Noted, Unit: p.name, Run: p.run, Text: text})
	if loud {
		a.log(p.name + ": " + text)
	}
}

// find lists the disks that what means, by their names.
func (a *Arm) find(what string) (all []unit.Disk) {
	for _, d := range a.disks {
		if d.Is(what) {
			all = append(all, d)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Node < all[j].Node })
	return all
}

// look does the next step of a place, if it is time for it.
func (a *Arm) look(p *place) {
	if p.busy || a.places[p.name] != p {
		return
	}
	switch p.phase {
	case seeking:
		a.seek(p)
	case up:
		a.see(p)
	}
}

// see looks after a mount that is there.
func (a *Arm) see(p *place) {
	node, disk := strings.CutPrefix(p.node, "/dev/")
	if disk && a.settled && isDevice(p.cfg.What) {
		if _, ok := a.disks[node]; !ok {
			a.pulled(p, node)
			return
		}
	}
	if !a.isThere(p) {
		p.phase, p.adopt = seeking, false
		a.lose(p, "somebody else has unmounted it")
		a.seek(p)
		return
	}
	text := p.about
	if m := a.ours(p); m != nil && isDevice(p.cfg.What) && m.readOnly() && p.opts.flags&readOnly == 0 {
		text += ", read-only after an error"
	}
	a.say(p, text, text != p.about)
}

func (a *Arm) lose(p *place, why string) {
	if p.ready {
		p.ready = false
		a.emit(unit.Event{Op: unit.Lost, Unit: p.name, Run: p.run, Text: why})
	}
}

// pulled: the device of a mount is gone.
func (a *Arm) pulled(p *place, node string) {
	p.phase, p.dead, p.tries = leaving, true, 0
	p.until = time.Now().Add(detachAfter)
	a.lose(p, node+" is gone")
	a.say(p, node+" is gone", false)
	a.leave(p)
}

// isThere says whether what the place mounted is.
func (a *Arm) isThere(p *place) bool {
	if p.cfg.Swap {
		return slices.Contains(a.k.swaps(), p.node)
	}
	return a.ours(p) != nil
}

// ours is what the place mounted, also when something else lies on top of it.
func (a *Arm) ours(p *place) *mounted {
	for i := len(a.table) - 1; i >= 0; i-- {
		if m := &a.table[i]; m.where == p.at && a.is(p, m) {
			return m
		}
	}
	return nil
}

// is says whether m is what the place means.
func (a *Arm) is(p *place, m *mounted) bool {
	c := p.cfg
	switch {
	case c.What == "":
		return true
	case isDevice(c.What):
		if p.node == "" {
			return strings.HasPrefix(m.source, "/dev/") // taken over before its disk is told of
		}
		return m.source == p.node || m.fstype == "btrfs" // which has many, and names one
	case p.opts.bind():
		return isBind(a.table, m, c.What)
	default:
		return m.fstype == p.fstype() && (m.source == c.What || m.fstype == c.What) || strings.HasPrefix(m.fstype, "fuse")
	}
}

func (p *place) fstype() string {
	if p.cfg.Type == "" || p.cfg.Type == "auto" {
		return p.cfg.What
	}
	return p.cfg.Type
}
