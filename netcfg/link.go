package netcfg

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hoopy/unit"
)

// link is a run of a link unit.
type link struct {
	name   string // link:lan
	cfg    *unit.LinkConfig
	run    unit.Run
	metric int

	on     *iface       // the interface it has; nil: it is looking for one
	upped  map[int]bool // interfaces it brought up: somebody may take one down
	began  bool         // the client was told to begin
	ready  bool         // the last word to the supervisor
	note   string       // the last note
	said   string       // the last line in the log
	client client
	raw    conn
	udp    conn
	put    applied // what is on the interface
	record record
	saved  bool // record is there

	timers [linkTimers]struct {
		t   *time.Timer
		gen uint32
	}
}

// linkTimer names what a timer of a link is for.
type linkTimer uint8

const (
	clientTimer linkTimer = iota // the client's own, with the client's gen
	graceTimer                   // the carrier has been away long enough
	retryTimer                   // time to ask the kernel again
	linkTimers
)

// set starts a timer anew.
func (a *Arm) set(l *link, timer linkTimer, gen uint32, d time.Duration) {
	t := &l.timers[timer]
	if t.t != nil {
		t.t.Stop()
	}
	t.gen = gen
	t.t = time.AfterFunc(d, func() { a.post(fired{l, timer, gen}) })
}

// unset stops a timer.
func (l *link) unset(timer linkTimer) {
	t := &l.timers[timer]
	if t.t != nil {
		t.t.Stop()
	}
	t.t = nil
	t.gen++
}

// close lets go of sockets and timers.
func (l *link) close() {
	for i := range l.timers {
		l.unset(linkTimer(i))
	}
	l.closeRaw()
	l.closeUDP()
}

func (l *link) closeRaw() {
	if l.raw != nil {
		_ = l.raw.Close() // nothing is written late on a datagram socket
		l.raw = nil
	}
}

func (l *link) closeUDP() {
	if l.udp != nil {
		_ = l.udp.Close()
		l.udp = nil
	}
}

// noted says how the link is, once.
func (a *Arm) noted(l *link, text string) {
	if l.note != text {
		l.note = text
		a.emit(unit.Event{Op: unit.Noted, Unit: l.name, Run: l.run, Text: text})
	}
}

// say logs a line about the link, once in a row.
func (a *Arm) say(l *link, format string, args ...any) {
	if line := fmt.Sprintf(format, args...); line != l.said {
		l.said = line
		a.logf("%s: %s", l.name, line)
	}
}

func (a *Arm) isReady(l *link, note string) {
	a.noted(l, note)
	if !l.ready {
		l.ready = true
		a.emit(unit.Event{Op: unit.IsReady, Unit: l.name, Run: l.run})
	}
}

func (a *Arm) lost(l *link, why string) {
	if l.ready {
		l.ready = false
		a.emit(unit.Event{Op: unit.Lost, Unit: l.name, Run: l.run, Text: why})
	}
	a.noted(l, why)
}

// end lets go of the interface: what was put on it is taken away, and it
// stays up. No DHCPRELEASE is sent: the server keeps the address for us, and
// the end of the machine waits for no network.
func (a *Arm) end(l *link) {
	l.close()
	delete(a.links, l.name)
	a.takeOff(l)
}

// fail ends a link for which trying makes no sense.
func (a *Arm) fail(l *link, why string) {
	if a.links[l.name] == l {
		a.end(l)
		a.emit(unit.Event{Op: unit.StartFailed, Unit: l.name, Run: l.run, Text: why})
	}
}

// drop gives the interface up, and looks for one.
func (a *Arm) drop(l *link, why string) {
	l.client, _ = l.client.step(a.now(), input{op: cease})
	l.close()
	a.takeOff(l)
	l.on, l.began = nil, false
	a.lost(l, why)
}

// inOrder are the links as they may choose: those that mean one interface
// before those with a pattern, then as declared.
func (a *Arm) inOrder() []*link {
	ls := make([]*link, 0, len(a.links))
	for _, l := range a.links {
		ls = append(ls, l)
	}
	slices.SortFunc(ls, func(x, y *link) int {
		if ex, ey := exact(x.cfg), exact(y.cfg); ex != ey {
			if ex {
				return -1
			}
			return 1
		}
		return x.metric - y.metric
	})
	return ls
}

// look compares every link with the interfaces as they are now.
func (a *Arm) look() {
	list, err := a.k.ifaces()
	if err != nil {
		a.logf("%v", err)
		for _, l := range a.links {
			a.set(l, retryTimer, l.timers[retryTimer].gen+1, retryTime)
		}
		return
	}
	byOrder(list)
	a.list = list
	ls := a.inOrder()
	for _, l := range ls {
		if l.on != nil {
			a.check(l)
		}
	}
	for _, l := range ls {
		if l.on == nil && a.links[l.name] == l {
			a.search(l)
		}
	}
}

// check follows the interface that a link has.
func (a *Arm) check(l *link) {
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
	case !had && now.carrier:
		l.unset(graceTimer)
		if l.client.phase.holds() { // an interface that was down has lost its routes
			if err := a.put(l, l.client.lease); err != nil {
				a.unfit(l, err)
			}
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
// first that has a carrier.
func (a *Arm) search(l *link) {
	var bright []iface
	var dark, taken []string
	for _, i := range a.list {
		free, o := a.free(l, i)
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

// begin starts the client, as soon as there are packet sockets.
func (a *Arm) begin(l *link) {
	if !a.packet {
		a.noted(l, "waiting for module "+modulePacket)
		return
	}
	l.began = true
	a.noted(l, "asking for an address on "+l.on.name)
	in := input{op: begin}
	if l.saved && l.record.MAC == l.on.mac.String() {
		in.ok, in.lease = true, hold(l.record.Terms, l.record.Asked)
		if l.record.Boot != a.boot {
			in.lease.end = 0 // how old it is nobody knows; the server does
		}
	}
	a.step(l, in)
}

// beginAll starts the clients that waited for the module.
func (a *Arm) beginAll() {
	for _, l := range a.inOrder() {
		if l.on != nil && l.cfg.DHCP4 && !l.began {
			a.begin(l)
		}
	}
}

func (a *Arm) onTimer(v fired) {
	l := v.l
	if a.links[l.name] != l || l.timers[v.timer].gen != v.gen {
		return
	}
	switch v.timer {
	case clientTimer:
		a.step(l, input{op: expire, gen: v.gen})
	case graceTimer:
		if l.on != nil && !l.on.carrier {
			a.drop(l, "no carrier on "+l.on.name)
			a.look()
		}
	case retryTimer:
		a.look()
	}
}

func (a *Arm) onPacket(v arrived) {
	l := v.l
	if a.links[l.name] != l || (v.c != l.raw && v.c != l.udp) {
		return
	}
	if v.b == nil { // the socket broke (ENETDOWN); the next packet opens another
		if v.c == l.raw {
			l.closeRaw()
		} else {
			l.closeUDP()
		}
		return
	}
	r, err := parseReply(v.b, l.on.mac)
	if err == errNotOurs {
		return
	}
	if err != nil {
		a.say(l, "%v", err)
		if !l.ready {
			a.noted(l, err.Error())
		}
		return
	}
	a.step(l, input{op: answer, reply: r})
}

// step tells the client and does what it wants.
func (a *Arm) step(l *link, in input) {
	next, outs := l.client.step(a.now(), in)
	l.client = next
	if !a.sockets(l) {
		return
	}
	for _, o := range outs {
		switch o.op {
		case send:
			a.send(l, o.message)
		case wake:
			a.set(l, clientTimer, o.gen, max(0, o.at.Sub(a.now())))
		case bind:
			if err := a.put(l, o.lease); err != nil {
				a.unfit(l, err)
				return // what follows is of the lease that is not
			}
			a.keep(l, o.lease)
			a.isReady(l, noteOf(o.lease.terms))
		case unbind:
			a.forget(l)
			a.takeOff(l)
			a.lost(l, o.text)
		case silent:
			text := fmt.Sprintf("no answer from a DHCP server on %s (%d tries in %s)",
				l.on.name, o.message.tries, span(a.now().Sub(o.message.began)))
			if next, ok := a.elsewhere(l); ok { // a pattern, and more than one cable
				a.drop(l, text)
				a.claim(l, next)
				return
			}
			a.noted(l, text)
		}
	}
}

func noteOf(t terms) string {
	if t.Lease == forever {
		return t.Addr.String() + ", lease without end"
	}
	return t.Addr.String() + ", lease of " + span(t.Lease)
}

// span writes a duration for a person: one unit.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// sockets opens and closes what the phase of the client calls for. false: the
// link has failed.
func (a *Arm) sockets(l *link) bool {
	p := l.client.phase
	if !p.raw() {
		l.closeRaw()
	}
	if !p.unicast() {
		l.closeUDP()
	}
	if p.raw() && l.raw == nil {
		c, err := a.k.openRaw(*l.on)
		if err != nil && noFamily(err) {
			a.fail(l, fmt.Sprintf("%s: %v", l.on.name, err))
			return false
		}
		if err != nil {
			a.say(l, "%s: %v", l.on.name, err)
		} else {
			l.raw = c
			a.read(l, c)
		}
	}
	if p.unicast() && l.udp == nil {
		t := l.client.lease.terms
		c, err := a.k.openUDP(*l.on, t.Addr.Addr(), t.Server)
		if err != nil {
			a.say(l, "renewing by broadcast only: %v", err)
		} else {
			l.udp = c
			a.read(l, c)
		}
	}
	return true
}

// read brings packets of c to the loop. It ends with the socket.
func (a *Arm) read(l *link, c conn) {
	a.work(l.name, func() {
		defer a.post(arrived{l: l, c: c})
		var buf [maxMessage]byte
		for {
			n, err := c.Read(buf[:])
			if err != nil {
				return
			}
			if n > 0 {
				a.postPacket(arrived{l, c, slices.Clone(buf[:n])})
			}
		}
	})
}

// send writes one packet. What cannot be sent now is sent again by the
// client's timer.
func (a *Arm) send(l *link, m message) {
	c := l.raw
	if m.unicast.IsValid() {
		c = l.udp
	}
	if c == nil {
		return
	}
	if err := c.Send(m.bytes(l.on.mac, a.cfg.Hostname), m.ciaddr); err != nil {
		a.say(l, "%s: sending: %v", l.on.name, err)
	}
}

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
	a.published()
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
