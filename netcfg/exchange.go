package netcfg

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

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
	if errors.Is(err, errNotOurs) {
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
			l.moves = 0
			a.keep(l, o.lease)
			a.isReady(l, noteOf(o.lease.terms))
		case unbind:
			a.forget(l)
			a.takeOff(l)
			a.lost(l, o.text)
		case silent:
			text := fmt.Sprintf("no answer from a DHCP server on %s (%d tries in %s)",
				l.on.name, o.message.tries, span(a.now().Sub(o.message.began)))
			next, ok := a.elsewhere(l) // a pattern, and more than one cable
			if ok && o.message.tries >= silentTries+min(l.moves, mostMoves) {
				l.moves++
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
