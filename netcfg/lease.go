package netcfg

import (
	"net/netip"
	"time"

	"hoopy/unit"
)

// phase is a state of the client, RFC 2131 figure 5. Each lists its exits.
type phase uint8

const (
	// idle: nothing is wanted. → selecting, rebooting, bound.
	idle phase = iota
	// selecting: DISCOVERs go out. → requesting.
	selecting
	// requesting: an offer was taken. → bound, selecting.
	requesting
	// rebooting: a lease of old is asked for again (INIT-REBOOT). → bound,
	// selecting.
	rebooting
	// bound: the lease is ours. → renewing, selecting (not applicable here).
	bound
	// renewing: from T1 on, its server is asked. → bound, rebinding, selecting.
	renewing
	// rebinding: from T2 on, every server is asked. → bound, selecting.
	rebinding
)

var phases = [...]phase{idle, selecting, requesting, rebooting, bound, renewing, rebinding}

func (p phase) String() string {
	return [...]string{"idle", "selecting", "requesting", "rebooting", "bound", "renewing", "rebinding"}[p]
}

// holds says whether a client in phase p has an address.
func (p phase) holds() bool { return p == bound || p == renewing || p == rebinding }

// raw says whether the answers of phase p need the packet socket, and unicast
// whether they can come to the address itself.
func (p phase) raw() bool {
	return p == selecting || p == requesting || p == rebooting || p == rebinding
}
func (p phase) unicast() bool { return p == renewing || p == rebinding }

const (
	retryFirst    = 250 * time.Millisecond // the first packet after link up is often lost
	retryMost     = 64 * time.Second       // RFC 2131 4.1
	requestTries  = 5                      // then the offer is given up: after 8 s
	rebootTries   = 3                      // then the old lease is given up: after 2 s
	silentTries   = 4                      // then silence is worth a note: after 4 s
	renewRetryMin = time.Second
	renewRetryMax = time.Minute // RFC 2131 4.4.5

	// forever is the lease time 0xffffffff.
	forever = time.Duration(0xffffffff) * time.Second
)

// held is a lease that was acknowledged.
type held struct {
	terms  terms
	asked  unit.Time // when the request that led to it was sent: its beginning
	t1, t2 unit.Time
	end    unit.Time // 0: never
}

// hold reckons the times of terms that were asked for at asked. T1 and T2 of
// the server count only if they are in order.
func hold(t terms, asked unit.Time) held {
	h := held{terms: t, asked: asked}
	if t.Lease == forever {
		return h
	}
	t1, t2 := t.T1, t.T2
	if t2 <= 0 || t2 >= t.Lease {
		t2 = t.Lease / 8 * 7
	}
	if t1 <= 0 || t1 >= t2 {
		t1 = min(t.Lease/2, t2)
	}
	h.t1, h.t2, h.end = asked.Add(t1), asked.Add(t2), asked.Add(t.Lease)
	return h
}

// left is what remains of the lease, forever if it has no end.
func (h held) left(now unit.Time) time.Duration {
	if h.end == 0 {
		return forever
	}
	return max(0, h.end.Sub(now))
}

// client is the state of one DHCPv4 client. It is a value: step gives the next
// one, makes no system call and reads no clock.
type client struct {
	phase phase
	gen   uint32 // of the one timer; an older one is stale
	rand  uint64 // splitmix64: transaction ids and jitter
	xid   uint32
	tries int       // packets sent in this exchange
	began unit.Time // the exchange
	sent  unit.Time // the last packet
	naks  int       // refusals in a row, without a lease that lived to its T1 between
	offer terms
	lease held // in rebooting, bound, renewing, rebinding
}

// inputOp says what the client is told.
type inputOp uint8

const (
	begin  inputOp = iota // there is a carrier; lease: one of old, if ok
	resume                // lease is still on the interface
	cease                 // no carrier, or nobody wants the link any more
	expire                // the timer gen ran out
	answer                // reply came in
	broken                // the lease could not be put on the interface
)

var inputOps = [...]inputOp{begin, resume, cease, expire, answer, broken}

type input struct {
	op    inputOp
	lease held
	ok    bool
	gen   uint32
	reply reply
}

// outputOp says what the client wants done.
type outputOp uint8

const (
	send   outputOp = iota // message
	wake                   // expire with gen at at
	bind                   // put lease on the interface
	unbind                 // take it off; text says why
	silent                 // nobody answered message.tries packets since message.began
)

type output struct {
	op      outputOp
	message message
	gen     uint32
	at      unit.Time
	lease   held
	text    string
}

// message is a packet to be sent, as far as the client decides it.
type message struct {
	discover bool // else a request
	xid      uint32
	secs     uint16
	ciaddr   netip.Addr // also the source; invalid: none
	ask      netip.Addr // option 50
	server   netip.Addr // option 54
	unicast  netip.Addr // destination; invalid: broadcast
	tries    int
	began    unit.Time
}

// step is what RFC 2131 4.4 says: the next state and what is to be done, in
// this order, at now.
func (c client) step(now unit.Time, in input) (client, []output) {
	out := c.advance(now, &in)
	return c, out
}

func (c *client) advance(now unit.Time, in *input) []output {
	switch in.op {
	case begin:
		c.naks = 0
		if in.ok && (in.lease.end == 0 || now < in.lease.end) {
			c.lease = in.lease
			return c.enter(rebooting, now)
		}
		return c.enter(selecting, now)
	case resume:
		c.lease = in.lease
		if c.lease.end != 0 && now >= c.lease.end {
			return c.lose(now, "the lease ran out")
		}
		c.phase = bound
		return c.sleep(nil, c.lease.t1)
	case cease:
		c.phase = idle
		c.gen++
	case expire:
		if in.gen == c.gen {
			return c.onTimer(now)
		}
	case answer:
		if in.reply.xid == c.xid {
			return c.onReply(now, &in.reply)
		}
	case broken:
		if c.phase != idle {
			return c.pause(now)
		}
	}
	return nil
}

func (c *client) onTimer(now unit.Time) []output {
	switch c.phase {
	case selecting:
		before := c.tries
		out := c.transmit(now)
		if before >= silentTries {
			out = append(out, output{op: silent, message: message{tries: before, began: c.began}})
		}
		return out
	case requesting:
		if c.tries >= requestTries {
			return c.enter(selecting, now)
		}
		return c.transmit(now)
	case rebooting:
		if c.tries >= rebootTries {
			return c.enter(selecting, now)
		}
		return c.transmit(now)
	case bound:
		if c.lease.end == 0 {
			return nil
		}
		c.naks = 0
		if now >= c.lease.end {
			return c.lose(now, "the lease ran out")
		}
		if now >= c.lease.t2 {
			return c.enter(rebinding, now)
		}
		return c.enter(renewing, now)
	case renewing:
		if now >= c.lease.t2 {
			return c.enter(rebinding, now)
		}
		return c.transmit(now)
	case rebinding:
		if now >= c.lease.end {
			return c.lose(now, "the lease ran out, no server renewed it")
		}
		return c.transmit(now)
	default: // idle
		return nil
	}
}

func (c *client) onReply(now unit.Time, r *reply) []output {
	switch c.phase {
	case selecting:
		if r.kind != offered {
			return nil
		}
		c.offer = r.terms
		c.phase, c.tries = requesting, 0 // of the same transaction
		return c.transmit(now)
	case requesting:
		switch {
		case r.server != c.offer.Server:
			return nil // of another one that heard us
		case r.kind == acked:
			return c.take(&r.terms)
		case r.kind == refused:
			return c.pause(now)
		}
		return nil
	case rebooting:
		switch r.kind {
		case acked:
			return c.take(&r.terms)
		case refused:
			return c.enter(selecting, now)
		}
		return nil
	case renewing, rebinding:
		switch r.kind {
		case acked:
			return c.take(&r.terms)
		case refused:
			if c.phase == renewing && r.server != c.lease.terms.Server {
				return nil
			}
			return c.lose(now, "the server "+r.server.String()+" took the lease back")
		}
		return nil
	default: // idle, bound
		return nil
	}
}

// enter begins an exchange: a new transaction, its first packet at once.
func (c *client) enter(p phase, now unit.Time) []output {
	c.anew(p, now)
	return c.transmit(now)
}

// anew is a transaction that nothing was sent of.
func (c *client) anew(p phase, now unit.Time) {
	c.phase = p
	c.xid = uint32(c.next())
	c.tries, c.began = 0, now
}

// transmit sends the packet of the phase and sets the timer for the next.
func (c *client) transmit(now unit.Time) []output {
	m := message{xid: c.xid, secs: uint16(min(now.Sub(c.began)/time.Second, 0xffff))}
	wait := c.backOff()
	switch c.phase {
	case selecting:
		m.discover = true
	case requesting:
		m.ask, m.server = c.offer.Addr.Addr(), c.offer.Server
	case rebooting:
		m.ask = c.lease.terms.Addr.Addr()
	case renewing:
		m.ciaddr, m.unicast = c.lease.terms.Addr.Addr(), c.lease.terms.Server
		wait = c.renewWait(c.lease.t2.Sub(now))
	case rebinding:
		m.ciaddr = c.lease.terms.Addr.Addr()
		wait = c.renewWait(c.lease.end.Sub(now))
	default: // idle, bound
		return nil
	}
	c.sent = now
	c.tries++
	return c.sleep([]output{{op: send, message: m}}, now.Add(wait))
}

// take makes acknowledged terms the lease. It began when the request for it
// was sent, RFC 2131 4.4.1.
func (c *client) take(t *terms) []output {
	c.phase = bound
	c.lease = hold(*t, c.sent)
	return c.sleep([]output{{op: bind, lease: c.lease}}, c.lease.t1)
}

// lose gives the address up and looks for another one at once.
func (c *client) lose(now unit.Time, why string) []output {
	return append([]output{{op: unbind, text: why}}, c.enter(selecting, now)...)
}

// pause begins anew, the first time at once, then ever later: a server that
// offers and refuses, or offers what the kernel refuses, is not to be asked in
// a tight circle.
func (c *client) pause(now unit.Time) []output {
	c.naks++
	c.anew(selecting, now)
	if c.naks == 1 {
		return c.transmit(now)
	}
	return c.sleep(nil, now.Add(c.jitter(min(retryFirst<<min(c.naks, 8), retryMost))))
}

// sleep sets the timer, after out; 0 is never.
func (c *client) sleep(out []output, at unit.Time) []output {
	c.gen++
	if at == 0 {
		return out
	}
	return append(out, output{op: wake, gen: c.gen, at: at})
}

// backOff is ¼ s, ½ s, 1 s … 64 s, give or take a tenth: RFC 2131 4.1 begins
// at 4 s, but the first packet after link up is the one that switches drop (and
// that a veth's other end cannot answer yet), and boots wait for it.
func (c *client) backOff() time.Duration {
	return c.jitter(min(retryFirst<<min(c.tries, 8), retryMost))
}

// renewWait is half of what is left, RFC 2131 4.4.5, but not less than a
// minute (than a sixtieth of a lease under an hour), and not more than is left.
func (c *client) renewWait(left time.Duration) time.Duration {
	least := min(max(c.lease.terms.Lease/60, renewRetryMin), renewRetryMax)
	return max(0, min(left, max(left/2, least)))
}

// jitter is d give or take a tenth.
func (c *client) jitter(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(c.next()%uint64(d/5))
}

// next is splitmix64.
func (c *client) next() uint64 {
	c.rand += 0x9e3779b97f4a7c15
	z := c.rand
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
