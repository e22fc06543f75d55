package netcfg

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hoopy/unit"
)

var (
	server1 = netip.MustParseAddr("192.168.1.1")
	server2 = netip.MustParseAddr("192.168.1.2")
	router1 = netip.MustParseAddr("192.168.1.254")
)

func testTerms(lease time.Duration) terms {
	return terms{
		Addr: netip.MustParsePrefix("192.168.1.7/24"), Server: server1, Lease: lease,
		Routes: []route{{netip.MustParsePrefix("0.0.0.0/0"), router1}},
		DNS:    []netip.Addr{server1},
	}
}

const start = unit.Time(1000 * time.Second)

// clientIn gives a client in phase p at start; with a lease of 1000 s, it is
// asked for at start.
func clientIn(p phase) client {
	c := client{phase: p, gen: 7, rand: 1, xid: 42, tries: 1, began: start, sent: start}
	c.offer = testTerms(1000 * time.Second)
	if p.holds() || p == rebooting {
		c.lease = hold(c.offer, start)
	}
	return c
}

// brief writes outputs for a table.
func brief(outs []output) []string {
	var s []string
	for _, o := range outs {
		switch o.op {
		case send:
			m := o.message
			kind := "request"
			if m.discover {
				kind = "discover"
			}
			to := "all"
			if m.unicast.IsValid() {
				to = m.unicast.String()
			}
			for _, f := range []struct {
				name string
				a    netip.Addr
			}{{" ciaddr", m.ciaddr}, {" ask", m.ask}, {" server", m.server}} {
				if f.a.IsValid() {
					kind += f.name
				}
			}
			s = append(s, kind+" to "+to)
		case wake:
			s = append(s, "wake")
		case bind:
			s = append(s, "bind "+o.lease.terms.Addr.String())
		case unbind:
			s = append(s, "unbind")
		case silent:
			s = append(s, fmt.Sprintf("silent %d", o.message.tries))
		}
	}
	return s
}

// Every phase meets every event; the answers are the whole table.
func TestEveryPhaseMeetsEveryEvent(t *testing.T) {
	ack := reply{kind: acked, xid: 42, server: server1, terms: testTerms(1000 * time.Second)}
	offer := reply{kind: offered, xid: 42, server: server1, terms: testTerms(1000 * time.Second)}
	nak := reply{kind: refused, xid: 42, server: server1}
	discover := []string{"discover to all", "wake"}
	request := []string{"request ask server to all", "wake"}
	reboot := []string{"request ask to all", "wake"}
	renew := []string{"request ciaddr to 192.168.1.1", "wake"}
	rebind := []string{"request ciaddr to all", "wake"}
	bound1 := []string{"bind 192.168.1.7/24", "wake"}
	lose := []string{"unbind", "discover to all", "wake"}
	held1 := hold(testTerms(1000*time.Second), start)

	type row struct {
		name string
		in   input
		at   unit.Time // after start
		next [7]phase
		out  [7][]string
	}
	sec := func(n int) unit.Time { return unit.Time(n) * unit.Time(time.Second) }
	all := func(p phase) [7]phase { return [7]phase{p, p, p, p, p, p, p} }
	outAll := func(o []string) [7][]string { return [7][]string{o, o, o, o, o, o, o} }
	for _, r := range []row{
		{"begin", input{op: begin}, 0, all(selecting), outAll(discover)},
		{"begin with a lease of old", input{op: begin, lease: held1, ok: true}, 0, all(rebooting), outAll(reboot)},
		{"begin with one that ran out", input{op: begin, lease: held1, ok: true}, sec(1000), all(selecting), outAll(discover)},
		{"resume", input{op: resume, lease: held1}, sec(1), all(bound), outAll([]string{"wake"})},
		{"resume too late", input{op: resume, lease: held1}, sec(1000), all(selecting), outAll(lose)},
		{"cease", input{op: cease}, sec(1), all(idle), [7][]string{}},
		{"stale timer", input{op: expire, gen: 6}, sec(2000), phases, [7][]string{}},
		{"timer early", input{op: expire, gen: 7}, sec(1),
			[7]phase{idle, selecting, requesting, rebooting, renewing, renewing, rebinding},
			[7][]string{nil, discover, request, reboot, renew, renew, rebind}},
		{"timer at T2", input{op: expire, gen: 7}, sec(875),
			[7]phase{idle, selecting, requesting, rebooting, rebinding, rebinding, rebinding},
			[7][]string{nil, discover, request, reboot, rebind, rebind, rebind}},
		{"timer at the end", input{op: expire, gen: 7}, sec(1000),
			[7]phase{idle, selecting, requesting, rebooting, selecting, rebinding, selecting},
			[7][]string{nil, discover, request, reboot, lose, rebind, lose}},
		{"offer", input{op: answer, reply: offer}, sec(1),
			[7]phase{idle, requesting, requesting, rebooting, bound, renewing, rebinding},
			[7][]string{nil, request, nil, nil, nil, nil, nil}},
		{"ack", input{op: answer, reply: ack}, sec(1),
			[7]phase{idle, selecting, bound, bound, bound, bound, bound},
			[7][]string{nil, nil, bound1, bound1, nil, bound1, bound1}},
		{"nak", input{op: answer, reply: nak}, sec(1),
			[7]phase{idle, selecting, selecting, selecting, bound, selecting, selecting},
			[7][]string{nil, nil, discover, discover, nil, lose, lose}},
		{"ack of another server", input{op: answer, reply: reply{acked, 42, server2, testTerms(time.Hour)}}, sec(1),
			[7]phase{idle, selecting, requesting, bound, bound, bound, bound},
			[7][]string{nil, nil, nil, bound1, nil, bound1, bound1}},
		{"nak of another server", input{op: answer, reply: reply{kind: refused, xid: 42, server: server2}}, sec(1),
			[7]phase{idle, selecting, requesting, selecting, bound, renewing, selecting},
			[7][]string{nil, nil, nil, discover, nil, nil, lose}},
		{"answer to an older question", input{op: answer, reply: reply{kind: acked, xid: 41, server: server1, terms: ack.terms}}, sec(1),
			phases, [7][]string{}},
		{"the kernel refuses the address", input{op: broken}, sec(1),
			[7]phase{idle, selecting, selecting, selecting, selecting, selecting, selecting},
			[7][]string{nil, discover, discover, discover, discover, discover, discover}},
		{"an event nobody knows", input{op: 99}, sec(1), phases, [7][]string{}},
	} {
		for i, p := range phases {
			t.Run(r.name+"/"+p.String(), func(t *testing.T) {
				next, outs := clientIn(p).step(start+r.at, r.in)
				if next.phase != r.next[i] {
					t.Errorf("phase %s, want %s", next.phase, r.next[i])
				}
				if d := cmp.Diff(r.out[i], brief(outs)); d != "" {
					t.Errorf("outputs (-want +got):\n%s", d)
				}
				for _, o := range outs {
					if o.op == wake && o.gen != next.gen {
						t.Errorf("a timer of generation %d, the client waits for %d", o.gen, next.gen)
					}
					if o.op == wake && o.at < start+r.at && next.phase != bound {
						t.Errorf("a timer in the past")
					}
				}
			})
		}
	}
}

func TestTimesOfALease(t *testing.T) {
	s := time.Second
	for _, c := range []struct {
		lease, t1, t2          time.Duration
		want1, want2, wantLeft time.Duration
	}{
		{800 * s, 0, 0, 400 * s, 700 * s, 800 * s},
		{800 * s, 100 * s, 200 * s, 100 * s, 200 * s, 800 * s},
		{800 * s, 200 * s, 100 * s, 100 * s, 100 * s, 800 * s}, // T1 > T2
		{800 * s, 900 * s, 950 * s, 400 * s, 700 * s, 800 * s}, // both beyond the end
		{800 * s, 750 * s, 0, 400 * s, 700 * s, 800 * s},       // T1 beyond the default T2
		{1 * s, 0, 0, 500 * time.Millisecond, 875 * time.Millisecond, 1 * s},
		{forever, 0, 0, 0, 0, forever},
		{forever - s, 0, 0, (forever - s) / 2, (forever - s) / 8 * 7, forever - s},
	} {
		h := hold(terms{Lease: c.lease, T1: c.t1, T2: c.t2}, start)
		got := []time.Duration{0, 0, h.left(start)}
		if h.end != 0 {
			got[0], got[1] = h.t1.Sub(start), h.t2.Sub(start)
		}
		if d := cmp.Diff([]time.Duration{c.want1, c.want2, c.wantLeft}, got); d != "" {
			t.Errorf("lease %v, T1 %v, T2 %v (-want +got):\n%s", c.lease, c.t1, c.t2, d)
		}
	}
}

// wakeOf is when the client wants to be woken.
func wakeOf(t *testing.T, outs []output) unit.Time {
	t.Helper()
	for _, o := range outs {
		if o.op == wake {
			return o.at
		}
	}
	t.Fatalf("no timer in %v", brief(outs))
	return 0
}

// around says whether d is want give or take a tenth.
func around(d, want time.Duration) bool { return d >= want*9/10 && d <= want*11/10 }

func TestDiscoverBacksOff(t *testing.T) {
	now := start
	c, outs := client{rand: 3}.step(now, input{op: begin})
	xid := c.xid
	for i, want := range []float64{0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 64, 64} {
		at := wakeOf(t, outs)
		if !around(at.Sub(now), time.Duration(want*float64(time.Second))) {
			t.Errorf("wait %d is %v, want about %v s", i, at.Sub(now), want)
		}
		now = at
		c, outs = c.step(now, input{op: expire, gen: c.gen})
		if outs[0].op != send || !outs[0].message.discover || outs[0].message.xid != xid {
			t.Fatalf("try %d: %v", i, brief(outs))
		}
		if secs := uint16(now.Sub(start) / time.Second); outs[0].message.secs != secs {
			t.Errorf("secs = %d, want %d", outs[0].message.secs, secs)
		}
		noted := outs[len(outs)-1].op == silent
		if noted != (i+1 >= silentTries) {
			t.Errorf("after %d tries: noted = %v", i+1, noted)
		}
	}
}

// exhaust lets the timer run out until the phase changes.
func exhaust(t *testing.T, c client, outs []output) (client, []output, unit.Time, int) {
	t.Helper()
	p := c.phase
	for n := 1; n < 100; n++ {
		now := wakeOf(t, outs)
		if c, outs = c.step(now, input{op: expire, gen: c.gen}); c.phase != p {
			return c, outs, now, n
		}
	}
	t.Fatalf("stays in %s for ever", p)
	return c, outs, 0, 0
}

func TestAnOfferThatNobodyConfirmsIsGivenUp(t *testing.T) {
	c, _ := client{}.step(start, input{op: begin})
	c, outs := c.step(start, input{op: answer, reply: reply{offered, c.xid, server1, testTerms(time.Hour)}})
	c, _, now, n := exhaust(t, c, outs)
	if c.phase != selecting || n != requestTries || !around(now.Sub(start), 7750*time.Millisecond) {
		t.Errorf("%s after %d tries and %v", c.phase, n, now.Sub(start))
	}
}

func TestALeaseOfOldThatNobodyKnowsIsGivenUp(t *testing.T) {
	c, outs := client{}.step(start, input{op: begin, lease: hold(testTerms(time.Hour), start), ok: true})
	c, _, now, n := exhaust(t, c, outs)
	if c.phase != selecting || n != rebootTries || !around(now.Sub(start), 1750*time.Millisecond) {
		t.Errorf("%s after %d tries and %v", c.phase, n, now.Sub(start))
	}
}

// A dead server: renewing from T1, rebinding from T2, and at the end the
// address goes, to the second.
func TestLifeOfALeaseWithoutItsServer(t *testing.T) {
	c, outs := clientIn(requesting).step(start, input{op: answer, reply: reply{acked, 42, server1, testTerms(time.Hour)}})
	c, outs, now, _ := exhaust(t, c, outs)
	if c.phase != renewing || now != start.Add(30*time.Minute) {
		t.Fatalf("%s after %v", c.phase, now.Sub(start))
	}
	c, outs, now, n := exhaust(t, c, outs)
	if c.phase != rebinding || now != start.Add(52*time.Minute+30*time.Second) || n < 3 || n > 8 {
		t.Fatalf("%s after %v and %d tries", c.phase, now.Sub(start), n)
	}
	c, outs, now, n = exhaust(t, c, outs)
	if c.phase != selecting || now != start.Add(time.Hour) || n < 3 || n > 8 || outs[0].op != unbind {
		t.Fatalf("%s after %v and %d tries: %v", c.phase, now.Sub(start), n, brief(outs))
	}
}

// The lease counts from the request, not from its answer.
func TestLeaseBeginsWithTheRequest(t *testing.T) {
	c := clientIn(renewing)
	c.sent = start.Add(500 * time.Second)
	c, _ = c.step(start.Add(510*time.Second), input{op: answer, reply: reply{acked, 42, server1, testTerms(time.Hour)}})
	if want := start.Add(500*time.Second + time.Hour); c.lease.end != want {
		t.Errorf("ends at %v, want %v", c.lease.end, want)
	}
}

func TestALeaseWithoutEndSetsNoTimer(t *testing.T) {
	c, outs := clientIn(requesting).step(start, input{op: answer, reply: reply{acked, 42, server1, testTerms(forever)}})
	if d := cmp.Diff([]string{"bind 192.168.1.7/24"}, brief(outs)); d != "" || c.phase != bound {
		t.Error(c.phase, d)
	}
}

// A server that offers and refuses is not asked in a tight circle.
func TestRefusalsBackOff(t *testing.T) {
	c, _ := client{}.step(start, input{op: begin})
	now := start
	for i, want := range []int{0, 1, 2, 4, 8, 16, 32, 64, 64} {
		c, _ = c.step(now, input{op: answer, reply: reply{offered, c.xid, server1, testTerms(time.Hour)}})
		var outs []output
		c, outs = c.step(now, input{op: answer, reply: reply{kind: refused, xid: c.xid, server: server1}})
		if i == 0 {
			if outs[0].op != send {
				t.Fatalf("first refusal: %v", brief(outs))
			}
			continue
		}
		if outs[0].op != wake || !around(outs[0].at.Sub(now), time.Duration(want)*time.Second) {
			t.Fatalf("refusal %d: %v %v", i, brief(outs), outs[0].at.Sub(now))
		}
		now = outs[0].at
		if c, outs = c.step(now, input{op: expire, gen: c.gen}); outs[0].op != send {
			t.Fatalf("after refusal %d: %v", i, brief(outs))
		}
	}
}

// Whatever comes in whatever order: an address is held exactly between bind
// and unbind or cease, and a client that is not idle always has a timer
// (unless its lease has no end).
func FuzzClient(f *testing.F) {
	f.Add([]byte{0, 0, 4, 0, 4, 1, 3, 200, 3, 255, 3, 255})
	f.Add([]byte{1, 0, 4, 2, 0, 0, 2, 0, 3, 9, 5, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), 400)]
		c, now := client{rand: 5}, start
		armed, has := false, false
		for ; len(b) >= 2; b = b[2:] {
			in := input{op: inputOps[int(b[0])%len(inputOps)], gen: c.gen, ok: b[1]&1 != 0}
			lease := []time.Duration{time.Second, time.Minute, time.Hour, forever}[b[1]>>1&3]
			in.lease = hold(testTerms(lease), now)
			in.reply = reply{replyKind(b[1]%3 + 1), c.xid, []netip.Addr{server1, server2}[b[1]>>3&1], testTerms(lease)}
			now = now.Add(time.Duration(b[1]) * time.Second)
			if in.op == begin && c.phase != idle || in.op == resume && c.phase != idle {
				continue // the arm says cease first
			}
			gen := c.gen
			var outs []output
			c, outs = c.step(now, in)
			if c.gen != gen {
				armed = false
			}
			if in.op == resume || in.op == cease {
				has = in.op == resume
			}
			for _, o := range outs {
				switch o.op {
				case wake:
					armed = o.gen == c.gen
				case bind:
					has = true
				case unbind:
					has = false
				}
			}
			if in.op == broken {
				has = false // the arm takes it off
			}
			if has != c.phase.holds() {
				t.Fatalf("phase %s, address on the interface: %v", c.phase, has)
			}
			if !armed && c.phase != idle && !(c.phase.holds() && c.lease.end == 0) {
				t.Fatalf("phase %s without a timer after %v", c.phase, in.op)
			}
		}
	})
}
