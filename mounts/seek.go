package mounts

import (
	"context"
	"strings"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

const readOnly = unix.MS_RDONLY

func (o *options) bind() bool { return o.flags&unix.MS_BIND != 0 }

// seek mounts what is to be mounted, if it can be, or says what is in the way.
func (a *Arm) seek(p *place) {
	c := p.cfg
	m := top(a.table, p.at)
	switch {
	case p.stop:
		a.gone(p)
		return
	case c.Swap:
		if c.What == "zram" {
			a.seekZram(p)
			return
		}
		m = nil
	case c.What == "":
		if m != nil {
			p.node = m.source
			a.isUp(p, m.source+" "+m.fstype)
		} else if p.adopt {
			a.missed(p)
		}
		return
	case p.adopt:
		if m := a.ours(p); m != nil {
			p.node = m.source
			a.again(p, m)
			return
		}
		a.missed(p)
	}
	if !isDevice(c.What) {
		a.seekOther(p, m)
		return
	}
	disks := a.find(c.What)
	switch {
	case len(disks) == 0:
		if p.adopt && a.settled {
			a.missed(p)
		}
		a.say(p, "device "+c.What, false)
	case len(disks) > 1 && disks[0].Type != "btrfs":
		text := c.What + " is on " + disks[0].Node
		for _, d := range disks[1:] {
			text += " and " + d.Node
		}
		a.say(p, text+"; take one out", true)
	case c.Swap:
		a.swapOn(p, disks[0])
	case m != nil && m.source == "/dev/"+disks[0].Node:
		p.node = m.source
		a.again(p, m)
	case m != nil:
		a.say(p, m.source+" is mounted there already; unmount it", true)
	default:
		a.mountDisk(p, disks)
	}
}

// missed: what an earlier epoch had mounted is not there.
func (a *Arm) missed(p *place) {
	p.adopt, p.ready = false, true // as the supervisor believes
	a.lose(p, "it was gone when the supervisor came back")
}

// again takes over what is mounted already.
func (a *Arm) again(p *place, m *mounted) {
	about := m.source + " " + m.fstype
	if m.source == m.fstype {
		about = m.fstype
	}
	if !p.cfg.Persist || a.cfg.Persisted == nil {
		a.isUp(p, about)
		return
	}
	a.job(p, func(context.Context) func() {
		a.persisted(p)
		return func() { a.isUp(p, about) }
	})
}

func (a *Arm) persisted(p *place) {
	if p.cfg.Persist && a.cfg.Persisted != nil {
		a.aside(leavingWithin, func() { a.cfg.Persisted(p.cfg.Where) })
	}
}

func (a *Arm) isUp(p *place, about string) {
	if p.stop { // meanwhile
		p.phase = leaving
		a.leave(p)
		return
	}
	p.quiet()
	p.phase, p.dead, p.about, p.adopt, p.left = up, false, about, false, false
	a.say(p, about, false)
	p.ready = true
	a.emit(unit.Event{Op: unit.IsReady, Unit: p.name, Run: p.run})
}

// seekOther mounts what needs no device.
func (a *Arm) seekOther(p *place, m *mounted) {
	flags := p.opts.flags
	switch {
	case m == nil:
	case !a.is(p, m):
		a.say(p, m.fstype+" is mounted there already; unmount it", true)
		return
	case m.fstype == "tmpfs":
		flags |= unix.MS_REMOUNT
	default:
		p.node = m.source
		a.again(p, m)
		return
	}
	p.phase, p.node = mounting, p.cfg.What
	a.ring(p, mountWithin)
	a.job(p, func(ctx context.Context) func() {
		for _, dir := range [...]string{p.opts.option("upperdir"), p.opts.option("workdir")} {
			if strings.HasPrefix(dir, "/") {
				_ = a.k.mkdir(dir) // mount(2) says what matters
			}
		}
		text := a.mount(ctx, p, p.cfg.What, p.fstype(), flags, p.opts.data)
		return func() {
			a.readTable()
			if text != "" {
				a.fail(p, text)
				return
			}
			about := p.cfg.What
			if t := p.fstype(); t != about {
				about += " " + t
			}
			a.isUp(p, about)
		}
	})
}

// mountDisk checks and mounts a device. With btrfs, the others of its disks are
// named to the kernel.
func (a *Arm) mountDisk(p *place, disks []unit.Disk) {
	d := disks[0]
	fstype := d.Type
	if t := p.cfg.Type; t != "" && t != "auto" {
		fstype = t
	}
	p.node = "/dev/" + d.Node
	switch {
	case fstype == "":
		a.fail(p, p.node+" has no file system that is known; write its type")
		return
	case fstype == d.Type && d.Usage != "" && d.Usage != "filesystem":
		a.fail(p, p.node+" is "+d.Type+", which is no file system")
		return
	}
	data := p.opts.data
	if p.cfg.Persist && fstype == "vfat" && p.cfg.Options == "rw,noatime" {
		data = "fmask=177"
	}
	for _, more := range disks[1:] {
		data = strings.TrimPrefix(data+",device=/dev/"+more.Node, ",")
	}
	checked := d.Dirty && !p.cfg.NoFsck && checkerOf(fstype) != nil
	p.phase = mounting
	if checked {
		a.say(p, "checking "+p.node, false)
		a.emit(unit.Event{Op: unit.Extend, Unit: p.name, Run: p.run, For: checkWithin + mountWithin})
		a.ring(p, checkWithin+mountWithin)
	} else {
		a.ring(p, mountWithin)
	}
	a.job(p, func(ctx context.Context) func() {
		var v verdict
		if checked {
			v = a.check(ctx, p, fstype)
		}
		flags, text := p.opts.flags, ""
		switch {
		case ctx.Err() != nil:
			text = "it was to stop"
		case v.bad && !p.cfg.Persist:
			text = v.text
		default:
			if v.bad {
				flags |= readOnly
			}
			if text = a.mount(ctx, p, p.node, fstype, flags, data); text == "" {
				a.persisted(p)
			}
		}
		return func() {
			p.opts.flags = p.opts.flags&^readOnly | flags&readOnly
			if v.text != "" {
				a.log(p.name + ": " + v.text)
			}
			a.readTable()
			_, there := a.disks[d.Node]
			switch {
			case text == "":
				about := p.node + " " + fstype
				if v.bad {
					about += ", read-only: " + v.text
				}
				a.isUp(p, about)
			case !there && !p.stop:
				p.phase, p.node = seeking, ""
				p.quiet()
			default:
				a.fail(p, text)
			}
		}
	})
}
