package netcfg

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sort"

	"golang.org/x/sys/unix"
)

// noFamily says whether the kernel lacks packet sockets altogether.
func noFamily(err error) bool { return errors.Is(err, unix.EAFNOSUPPORT) }

// plan is what terms mean for an interface. A router outside of the link's
// network is reached all the same, as clouds with /32 leases want it. Routes
// on the link come first: others may lead through them; the default comes last.
func plan(t terms, metric int) applied {
	p := applied{Addr: t.Addr}
	for _, r := range t.Routes {
		p.Routes = append(p.Routes, installed{
			route: r, Source: t.Addr.Addr(), Metric: metric,
			Onlink: !r.Via.IsUnspecified() && !t.Addr.Contains(r.Via),
		})
	}
	rank := func(r installed) int {
		switch {
		case r.Via.IsUnspecified():
			return 0
		case r.isDefault():
			return 2
		}
		return 1
	}
	sort.SliceStable(p.Routes, func(i, j int) bool { return rank(p.Routes[i]) < rank(p.Routes[j]) })
	return p
}

// put makes the interface what the lease says, and takes away what an earlier
// lease of ours left there. The error is that of the address; of a route that
// the kernel refuses only the log tells.
func (a *Arm) put(l *link, h held) error {
	p := plan(h.terms, l.metric)
	p.MTU = l.put.MTU
	if mtu := h.terms.MTU; mtu != 0 && mtu != l.on.mtu {
		if err := a.k.setMTU(l.on.index, mtu); err != nil {
			a.say(l, "%s: mtu %d: %v", l.on.name, mtu, err)
		} else {
			if p.MTU == 0 {
				p.MTU = l.on.mtu
			}
			l.on.mtu, l.put.MTU = mtu, p.MTU
		}
	}
	if l.put.Addr.IsValid() && l.put.Addr != p.Addr {
		a.takeAddr(l)
	}
	if err := a.k.addAddr(*l.on, p.Addr, h.left(a.now())); err != nil {
		return fmt.Errorf("%s: address %s: %w", l.on.name, p.Addr, err)
	}
	old := l.put
	p.Routes = slices.DeleteFunc(p.Routes, func(r installed) bool {
		err := a.k.addRoute(l.on.index, r)
		if err != nil {
			a.say(l, "%s: route to %s via %s: %v", l.on.name, r.To, r.Via, err)
		}
		return err != nil
	})
	l.put = p
	for _, r := range old.Routes {
		if !slices.Contains(p.Routes, r) {
			a.delRoute(l, r)
		}
	}
	if a.cfg.Hostname == "" && h.terms.Hostname != "" && a.k.hostname() == defaultName {
		if err := a.k.setHostname(h.terms.Hostname); err != nil {
			a.say(l, "host name %q: %v", h.terms.Hostname, err)
		}
	}
	a.published()
	return nil
}

// unfit starts over with an interface that would not take the address.
func (a *Arm) unfit(l *link, err error) {
	a.say(l, "%v", err)
	a.takeOff(l)
	a.lost(l, err.Error())
	a.step(l, input{op: broken})
}

// takeOff takes away what we put on the interface, and nothing else.
func (a *Arm) takeOff(l *link) {
	if l.on == nil {
		return
	}
	if l.put.Addr.IsValid() {
		a.takeAddr(l)
	}
	if l.put.MTU != 0 {
		if err := a.k.setMTU(l.on.index, l.put.MTU); err != nil && !errors.Is(err, unix.ENODEV) {
			a.say(l, "%s: mtu %d: %v", l.on.name, l.put.MTU, err)
		} else {
			l.on.mtu = l.put.MTU
		}
	}
	l.put = applied{}
	a.published()
}

func (a *Arm) delRoute(l *link, r installed) {
	if err := a.k.delRoute(l.on.index, r); err != nil {
		a.say(l, "%s: removing the route to %s: %v", l.on.name, r.To, err)
	}
}

// takeAddr takes the address and its routes away.
func (a *Arm) takeAddr(l *link) {
	for _, r := range l.put.Routes {
		a.delRoute(l, r)
	}
	if err := a.k.delAddr(l.on.index, l.put.Addr); err != nil {
		a.say(l, "%s: removing %s: %v", l.on.name, l.put.Addr, err)
	}
	l.put.Addr, l.put.Routes = netip.Prefix{}, nil
}

// published brings resolv.conf and Online up to date.
func (a *Arm) published() {
	var with []*link
	for _, l := range a.links {
		if l.put.Addr.IsValid() {
			with = append(with, l)
		}
	}
	// Names are asked where routes are preferred.
	sort.Slice(with, func(i, j int) bool { return with[i].metric < with[j].metric })
	var leases []terms
	online := false
	for _, l := range with {
		leases = append(leases, l.client.lease.terms)
		online = online || l.put.online()
	}
	if text := resolvConf(leases); text != a.resolv {
		if err := publish(a.cfg.ResolvConf, a.cfg.EtcResolvConf, text); err != nil {
			a.logf("%v", err)
		} else {
			a.resolv = text
		}
	}
	if online != a.online {
		a.online = online
		if a.cfg.Online != nil {
			a.cfg.Online(online)
		}
	}
}

// keep writes the lease file.
func (a *Arm) keep(l *link, h held) {
	l.saved = true
	l.record = record{Boot: a.boot, Iface: l.on.name, Index: l.on.index, MAC: l.on.mac.String(),
		Asked: h.asked, Terms: h.terms, On: l.put}
	if err := l.record.save(recordPath(a.cfg.LeaseDir, l.cfg.Name)); err != nil {
		a.say(l, "%v", err)
	}
}

// forget removes the lease file: the lease is no longer ours.
func (a *Arm) forget(l *link) {
	l.saved = false
	if err := os.Remove(recordPath(a.cfg.LeaseDir, l.cfg.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		a.say(l, "lease file: %v", err)
	}
}

// loadRecord reads the lease file; a bad one is as good as none.
func (a *Arm) loadRecord(l *link) (record, bool) {
	r, ok, err := loadRecord(recordPath(a.cfg.LeaseDir, l.cfg.Name))
	if err != nil {
		a.say(l, "%v", err)
	}
	return r, ok
}
