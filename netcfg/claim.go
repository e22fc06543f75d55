package netcfg

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"hoopy/unit"
)

// inOrder are the links as they may choose: those that mean one interface
// before those with a pattern, then as declared.
func (a *Arm) inOrder() []*link {
	ls := make([]*link, 0, len(a.links))
	for _, l := range a.links {
		ls = append(ls, l)
	}
	sort.Slice(ls, func(i, j int) bool {
		if ei, ej := exact(ls[i].cfg), exact(ls[j].cfg); ei != ej {
			return ei
		}
		return ls[i].metric < ls[j].metric
	})
	return ls
}

// look compares every link with the interfaces as they are now; dark are those
// that had no carrier at one time since the last look.
func (a *Arm) look(dark ...int) {
	list, err := a.k.ifaces()
	if err != nil {
		a.logf("%v", err)
		for _, l := range a.links {
			a.set(l, retryTimer, l.timers[retryTimer].gen+1, retryTime)
		}
		return
	}
	byOrder(list)
	a.list = a.settled(list)
	ls := a.inOrder()
	for _, l := range ls {
		if l.on != nil {
			a.check(l, slices.Contains(dark, l.on.index) || slices.Contains(dark, missed))
		}
	}
	for _, l := range ls {
		if l.on == nil && a.links[l.name] == l {
			a.search(l)
		}
	}
}

// settled leaves out interfaces that have only just appeared; they are looked at
// again when their drivers are done. A driver registers an interface, and only
// then says that it has no carrier yet, and then that it has (virtio_net does).
// One that is opened in between can lose its queue to the kernel's link watch,
// which gives it back a second later: all that is sent until then is dropped.
func (a *Arm) settled(list []iface) (old []iface) {
	now := a.now()
	seen := make(map[int]unit.Time, len(list))
	for _, i := range list {
		at, ok := a.seen[i.index]
		if !ok {
			at = now
			if a.seen == nil { // what was there before us is no news
				at = now.Add(-settleTime)
			}
		}
		seen[i.index] = at
		if left := settleTime - now.Sub(at); left > 0 {
			time.AfterFunc(left, func() { a.post(changed{}) })
			continue
		}
		old = append(old, i)
	}
	a.seen = seen
	return old
}

// check follows the interface that a link has.
func (a *Arm) check(l *link, dark bool) {
	i := slices.IndexFunc(a.list, func(i iface) bool { return i.index == l.on.index })
	if i < 0 {
		delete(l.upped, l.on.index)
		a.drop(l, l.on.name+" is gone")
		return
	}
	had := l.on.carrier
	now := a.list[i]
	l.on = &now
	switch {
	case had && !now.carrier:
		a.set(l, graceTimer, l.timers[graceTimer].gen+1, graceTime)
	case now.carrier && (dark || !had):
		l.unset(graceTimer)
		if l.client.phase.holds() { // an interface that was down has lost its routes
			if err := a.put(l, l.client.lease); err != nil {
				a.unfit(l, err)
				return
			}
			a.keep(l, l.client.lease)
		}
	}
}

// owner is the link that has the interface.
func (a *Arm) owner(index int) *link {
	for _, l := range a.links {
		if l.on != nil && l.on.index == index {
			return l
		}
	}
	return nil
}

// meant says whether another link that means one interface means this one:
// a pattern then leaves it alone.
func (a *Arm) meant(l *link, i iface) *link {
	if exact(l.cfg) {
		return nil
	}
	for _, o := range a.links {
		if o != l && exact(o.cfg) && matches(o.cfg, i) {
			return o
		}
	}
	return nil
}

// free says whether the link may have the interface; if it matches and may
// not, whose it is.
func (a *Arm) free(l *link, i iface) (bool, *link) {
	if !matches(l.cfg, i) {
		return false, nil
	}
	o := a.owner(i.index)
	if o == nil {
		o = a.meant(l, i)
	}
	return o == nil, o
}

// search brings every interface up that the link may have, and takes the
// first that has a carrier. A link that means one interface takes it from a
// pattern that was there before.
func (a *Arm) search(l *link) {
	var bright []iface
	var dark, taken []string
	for _, i := range a.list {
		free, o := a.free(l, i)
		if o != nil && exact(l.cfg) && !exact(o.cfg) {
			a.drop(o, i.name+" belongs to "+l.name)
			free, o = true, nil
		}
		if o != nil {
			taken = append(taken, i.name+" belongs to "+o.name)
		}
		if !free {
			continue
		}
		if !i.up && !l.upped[i.index] {
			if err := a.k.up(i.index); err != nil {
				a.say(l, "%s cannot be brought up: %v", i.name, err)
				dark = append(dark, fmt.Sprintf("%s (cannot be brought up: %v)", i.name, err))
				a.set(l, retryTimer, l.timers[retryTimer].gen+1, retryTime)
				continue
			}
			l.upped[i.index] = true
		}
		if i.carrier {
			bright = append(bright, i)
		} else {
			dark = append(dark, i.name)
		}
	}
	switch {
	case bright != nil:
		a.claim(l, bright[0])
	case dark != nil:
		a.noted(l, "no carrier on "+strings.Join(dark, ", "))
	case taken != nil:
		a.noted(l, strings.Join(taken, ", "))
	default:
		a.noted(l, noMatch(l.cfg, a.list))
	}
}

// elsewhere is the next interface with a carrier, in a circle, that the link
// could have instead of the one it has.
func (a *Arm) elsewhere(l *link) (iface, bool) {
	at := slices.IndexFunc(a.list, func(i iface) bool { return i.index == l.on.index })
	for n := 1; n < len(a.list); n++ {
		i := a.list[(at+n)%len(a.list)]
		if free, _ := a.free(l, i); free && i.carrier {
			return i, true
		}
	}
	return iface{}, false
}

// claim gives the interface to the link.
func (a *Arm) claim(l *link, i iface) {
	l.on = &i
	if !l.cfg.DHCP4 {
		a.isReady(l, i.name+" is up")
		return
	}
	a.begin(l)
}
