package netcfg

import (
	"slices"

	"hoopy/unit"
)

// adopt takes over what the supervisor before put on an interface. It asks
// nobody: the address is there, and the timers go on.
func (a *Arm) adopt(l *link) {
	defer func() {
		if !l.ready { // what the supervisor believes is wrong
			a.emit(unit.Event{Op: unit.Lost, Unit: l.name, Run: l.run, Text: "the address was gone when the supervisor came back"})
		}
	}()
	r := l.record
	if !l.cfg.DHCP4 {
		l.ready = a.adoptBare(l)
		return
	}
	if !l.saved || r.Boot != a.boot || !r.On.Addr.IsValid() {
		return
	}
	list, err := a.k.ifaces()
	if err != nil {
		return
	}
	i := slices.IndexFunc(list, func(i iface) bool {
		return i.index == r.Index && i.mac.String() == r.MAC && matches(l.cfg, i)
	})
	lease := hold(r.Terms, r.Asked)
	if i < 0 || a.owner(r.Index) != nil || lease.left(a.now()) == 0 || !a.k.hasAddr(r.Index, r.On.Addr.Addr()) {
		return
	}
	l.on, l.put, l.began = &list[i], r.On, true
	if !l.on.carrier {
		a.set(l, graceTimer, l.timers[graceTimer].gen+1, graceTime)
	}
	a.step(l, input{op: resume, lease: lease})
	if err := a.put(l, lease); err != nil { // whoever died may not have finished
		a.unfit(l, err)
		return
	}
	a.keep(l, lease)
	a.isReady(l, noteOf(r.Terms))
}

// adoptBare takes over a link without DHCP: it needs no more than its carrier.
func (a *Arm) adoptBare(l *link) bool {
	list, err := a.k.ifaces()
	if err != nil {
		return false
	}
	byOrder(list)
	for i := range list {
		if matches(l.cfg, list[i]) && list[i].carrier && a.owner(list[i].index) == nil {
			a.claim(l, list[i])
			return true
		}
	}
	return false
}
