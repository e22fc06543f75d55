package mounts

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// kept are places of the keeper, which unmounts them never, or last.
var kept = [...]string{"/dev", "/proc", "/run", "/sys", "/tmp", "/dev/shm", "/dev/pts"}

// end takes the place down; killed: at once.
func (a *Arm) end(p *place, killed bool) {
	p.killed = p.killed || killed
	switch p.phase {
	case preparing:
		a.gone(p)
	case seeking:
		if p.busy { // Persisted
			return
		}
		a.gone(p)
	case mounting:
		p.cancel() // ends a check; mount(2) cannot be ended
	case up:
		p.phase, p.tries = leaving, 0
		a.leave(p)
	case leaving:
		if killed {
			a.leave(p)
		}
	}
}

// leave tries to unmount.
func (a *Arm) leave(p *place) {
	keep := p.cfg.What == ""
	for _, k := range kept {
		keep = keep || p.at == k
	}
	switch {
	case p.cfg.Swap:
		a.swapOff(p)
		return
	case keep:
		a.gone(p)
		return
	case p.killed || p.dead && !time.Now().Before(p.until):
		a.detach(p)
		return
	case p.busy:
		return // Stop after its device was pulled
	}
	first, ask := !p.left && !p.dead, p.tries%4 == 0
	p.tries++
	p.left = true
	a.ring(p, 3*leavingWithin)
	a.job(p, func(context.Context) func() {
		hung := false
		if first && p.cfg.Persist && a.cfg.Leaving != nil {
			hung = !a.aside(leavingWithin, func() { a.cfg.Leaving(p.cfg.Where) })
		}
		if first {
			hung = !a.aside(leavingWithin, func() { _ = a.k.sync(p.at) }) || hung // umount(2) writes too, and says so
		}
		err := a.k.unmount(p.at, unix.UMOUNT_NOFOLLOW)
		who := ""
		if ask && errors.Is(err, unix.EBUSY) {
			who = a.k.holders(p.at)
		}
		return func() {
			if hung {
				a.log(p.name + ": its disk does not answer")
			}
			a.unmounted(p, err, who)
		}
	})
}

// unmounted takes what unmount(2) said.
func (a *Arm) unmounted(p *place, err error, who string) {
	switch {
	case err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT): // it is not mounted
		a.readTable()
		a.gone(p)
		return
	case !errors.Is(err, unix.EBUSY):
		a.say(p, "unmount: "+err.Error(), true)
	case who == "" && a.inside(p) != "":
		a.say(p, "busy: "+a.inside(p)+" is mounted in it", true)
	case who != "":
		a.say(p, "busy: "+who, true)
	case !strings.HasPrefix(p.note, "busy"):
		a.say(p, "busy", false)
	}
	if p.killed {
		a.detach(p)
		return
	}
	a.ring(p, againAfter)
}

// inside is a place below this one where something is mounted.
func (a *Arm) inside(p *place) string {
	for i := range a.table {
		if w := a.table[i].where; w != p.at && below(w, p.at) {
			return w
		}
	}
	return ""
}

// detach takes the mount out of sight: who uses it does so on, read-only if that
// can be.
func (a *Arm) detach(p *place) {
	a.ring(p, leavingWithin)
	disk := isDevice(p.cfg.What) && !p.dead
	a.job(p, func(context.Context) func() {
		if disk && a.k.mount("", p.at, "", unix.MS_REMOUNT|readOnly, "") != nil {
			a.aside(leavingWithin, func() { _ = a.k.sync(p.at) })
		}
		err := a.k.unmount(p.at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		return func() {
			text := "detached"
			if err != nil {
				text += ": " + err.Error()
			}
			a.log(p.name + ": " + text)
			a.readTable()
			a.gone(p)
		}
	})
}

// gone: it is not mounted any more.
func (a *Arm) gone(p *place) {
	if p.stop {
		a.forget(p)
		a.emit(unit.Event{Op: unit.Empty, Unit: p.name, Run: p.run})
		return
	}
	p.quiet()
	p.gen++
	p.busy, p.dead, p.left, p.node, p.phase = false, false, false, "", seeking
	p.opts = parse(p.cfg.Options)
	a.look(p)
}

// seekZram takes over compressed memory, or makes it.
func (a *Arm) seekZram(p *place) {
	for _, s := range a.k.swaps() {
		if strings.HasPrefix(s, "/dev/zram") {
			p.node = s
			a.isUp(p, s)
			return
		}
	}
	if p.adopt {
		a.missed(p)
	}
	p.phase, p.node = mounting, "zram"
	a.ring(p, mountWithin)
	a.job(p, func(context.Context) func() {
		if a.cfg.Load != nil {
			_ = a.cfg.Load("zram") // newZram says whether the kernel has it
		}
		dev, err := a.k.newZram(p.cfg.Size)
		if err == nil {
			if err = a.k.swapOn(dev, p.cfg.Priority); err != nil {
				a.k.dropZram(dev)
			}
		}
		return a.swapped(p, dev, err)
	})
}

func (a *Arm) swapped(p *place, dev string, err error) func() {
	return func() {
		if err != nil {
			a.fail(p, "swap on "+p.node+": "+err.Error())
			return
		}
		p.node = dev
		a.isUp(p, dev)
	}
}

func (a *Arm) swapOn(p *place, d unit.Disk) {
	p.node = "/dev/" + d.Node
	for _, s := range a.k.swaps() {
		if s == p.node {
			a.isUp(p, p.node)
			return
		}
	}
	if p.adopt {
		a.missed(p)
	}
	if d.Type != "swap" {
		a.fail(p, p.node+" is no swap space; mkswap makes it one")
		return
	}
	p.phase = mounting
	a.ring(p, mountWithin)
	a.job(p, func(context.Context) func() { return a.swapped(p, p.node, a.k.swapOn(p.node, p.cfg.Priority)) })
}

// swapOff empties the swap space. That may take long, and cannot be ended: killed,
// it is left to the kernel.
func (a *Arm) swapOff(p *place) {
	if p.killed || p.dead && p.busy {
		a.log(p.name + ": the kernel still empties it")
		a.gone(p)
		return
	}
	if p.busy {
		return
	}
	if p.dead {
		a.ring(p, detachAfter)
	}
	node := p.node
	a.job(p, func(context.Context) func() {
		err := a.k.swapOff(node)
		if err == nil || errors.Is(err, unix.EINVAL) {
			a.k.dropZram(node)
		}
		return func() {
			if err != nil && !errors.Is(err, unix.EINVAL) {
				a.log(p.name + ": " + err.Error())
			}
			a.gone(p)
		}
	})
}
