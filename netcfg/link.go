package netcfg

import (
	"fmt"
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
	moves  int          // from interface to interface, for want of a server
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
		delete(a.links, l.name)
		a.emit(unit.Event{Op: unit.StartFailed, Unit: l.name, Run: l.run, Text: why})
		a.end(l)
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
