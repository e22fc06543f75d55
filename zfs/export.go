package zfs

import (
	"errors"
	"strings"
	"time"
)

// export gives the pool back: it is tried again and again until Kill, then what
// was written is forced out, and the pool is left as it is.
func (p *pool) export() {
	ctx := p.run.alive
	if !p.a.loaded() || p.a.tool("zpool") == "" {
		return // nothing was ever imported
	}
	began, last := time.Now(), ""
	why, was := "no time for it", p.up
	for ctx.Err() == nil {
		in, _, err := p.imported(ctx)
		was = was || in
		if err == nil && !in {
			if was {
				p.a.log(p.run.name + ": " + p.name + " is exported after " + seconds(time.Since(began)))
			}
			return
		}
		if errors.Is(err, errHung) && !was && !p.adopt && time.Since(began) >= halfTime {
			p.a.log(p.run.name + ": left half imported: " + err.Error())
			return // what holds it in the kernel holds an export, too
		}
		if err == nil {
			p.say("exporting")
			var out string
			var ok bool
			if out, ok, err = p.call(ctx, workLimit, nil, "zpool", "export", p.name); err == nil && !ok {
				why = p.busy(sentence(out, p.name))
			} else if err == nil {
				continue // and see
			}
		}
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			why = err.Error()
		}
		p.say(why)
		if why != last && err == nil {
			p.a.log(p.run.name + ": " + why)
			last = why
		}
		pause(ctx, busyTime, nil)
	}
	if p.run.left() || !p.up && p.lane.hung == 0 {
		return
	}
	p.a.log(p.run.name + ": " + p.name + " is not exported: " + why)
	_, _, _ = p.call(p.a.ctx, lastLimit, nil, "zpool", "sync", p.name)
	if _, ok, err := p.call(p.a.ctx, lastLimit, nil, "zpool", "export", "-f", p.name); ok && err == nil {
		p.a.log(p.run.name + ": " + p.name + " is exported by force")
	}
}

// busy says who holds the pool, or else what zpool said.
func (p *pool) busy(said string) string {
	if p.a.cfg.Holders == nil {
		return said
	}
	all, err := p.list(p.run.alive)
	if err != nil {
		return said
	}
	came := make(chan string, 1)
	go p.a.guard("holders", func() {
		who := ""
		for _, d := range all {
			if strings.HasPrefix(d.where, "/") && d.where != "/" && who == "" {
				who = p.a.cfg.Holders(d.where)
			}
		}
		came <- who
	})
	t := time.NewTimer(askLimit)
	defer t.Stop()
	select {
	case who := <-came:
		if who != "" {
			return "busy: " + who
		}
	case <-t.C:
	case <-p.run.alive.Done():
	}
	return said
}
