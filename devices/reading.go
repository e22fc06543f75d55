package devices

import (
	"path/filepath"
	"time"
)

// here takes a device that is there.
func (c *Catalog) here(u Uevent) {
	e := c.known[u.DevPath]
	if e != nil && identify(e.u) != identify(u) {
		c.gone(u.DevPath, e.u) // another at the same place
		e = nil
	}
	if e == nil {
		e = &entry{since: monotonic()}
		c.known[u.DevPath] = e
	}
	e.u = u
	if u.Subsystem == "block" {
		c.read(e)
		return
	}
	if u.DevName == "" && u.Subsystem != "net" {
		return // nobody asks the database for it
	}
	c.claim(e, c.applyRules(u))
	c.record(e)
	c.tell(e, u)
}

// gone takes a device away.
func (c *Catalog) gone(path string, u Uevent) {
	e := c.known[path]
	if e == nil {
		return
	}
	delete(c.known, path)
	if e.limit != nil {
		e.limit.Stop()
	}
	if e.busy && !e.isLate {
		c.free()
	}
	c.claim(e, nil)
	c.forget(e)
	if c.watch != nil && e.watched != 0 {
		c.watch.drop(e.watched)
	}
	if e.told {
		for _, d := range c.cfg.Disks {
			d.Gone(e.u.DevName)
		}
	}
	u.Action = "remove"
	c.tell(e, u)
	c.settle(path)
}

// read has a block device read, now or when there is a free reader. The last
// news win: what came while it was read has it read once more.
func (c *Catalog) read(e *entry) {
	switch {
	case e.busy:
		e.again = true
	case e.queued:
	case c.reading < atOnce:
		c.reader(e)
	default:
		e.queued = true
		c.waiting = append(c.waiting, e)
	}
}

func (c *Catalog) reader(e *entry) {
	c.reading++
	e.busy, e.queued, e.isLate, e.again = true, false, false, false
	e.limit = time.AfterFunc(c.cfg.testOnlyLimit, func() { c.post(silent{e}) })
	u := e.u
	go func() {
		f := finding{e: e}
		defer func() { c.post(f) }()
		defer c.guard(u.DevName)
		f = c.inspect(u)
		f.e = e
	}()
}

// free gives a reader's place to who waits for it.
func (c *Catalog) free() {
	c.reading--
	for len(c.waiting) > 0 && c.reading < atOnce {
		next := c.waiting[0]
		c.waiting = c.waiting[1:]
		if c.known[next.u.DevPath] == next {
			c.reader(next)
		}
	}
}

// late: a disk does not answer. It is told of without what is on it.
func (c *Catalog) late(e *entry) {
	if !e.busy || e.isLate || c.known[e.u.DevPath] != e {
		return
	}
	e.isLate = true
	c.warn(e.u.DevName+" does not answer", " for "+c.cfg.testOnlyLimit.String()+"; going on without what is on it")
	if !e.told {
		c.take(finding{e: e, disk: diskOf(e.u), size: 1, props: map[string]string{}})
	}
	c.free()
	c.settle(e.u.DevPath)
}

// found takes what a reader has read.
func (c *Catalog) found(f finding) {
	e := f.e
	if c.known[e.u.DevPath] != e {
		return // it went meanwhile
	}
	e.limit.Stop()
	e.busy = false
	if e.isLate {
		c.unwarn(e.u.DevName + " does not answer")
	} else {
		c.free()
	}
	if f.note != "" {
		c.cfg.Log(e.u.DevName + ": " + f.note)
	}
	if e.again {
		c.read(e)
		if e.told {
			return // what was read is old already
		}
	}
	c.take(f)
	if !e.busy && !e.queued {
		c.settle(e.u.DevPath)
	}
}

// take makes what is known of a disk true: links, database, subscribers.
func (c *Catalog) take(f finding) {
	e := f.e
	e.props, e.first = f.props, f.first
	links := append(f.links, c.applyRules(e.u)...)
	c.claim(e, links)
	if c.watch != nil && e.watched == 0 && f.size > 0 {
		e.watched = c.watch.add(filepath.Join(c.dev, e.u.DevName))
	}
	c.record(e)
	f.disk.Links = links
	switch {
	case f.size == 0: // no medium, a loop device that nothing is bound to
		if e.told {
			e.told = false
			for _, d := range c.cfg.Disks {
				d.Gone(e.u.DevName)
			}
		}
	case !e.told || !sameDisk(&e.disk, &f.disk):
		e.told = true
		for _, d := range c.cfg.Disks {
			d.Disk(f.disk)
		}
	}
	e.disk = f.disk
	c.tell(e, e.u)
}

// written: somebody has closed a device that he could write to; as udev's watch.
func (c *Catalog) written(id int32) {
	for _, e := range c.known {
		if e.watched == id && id != 0 {
			e.u.Action = "change"
			c.read(e)
		}
	}
}
