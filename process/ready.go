package process

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// How often the kernel is asked whether a port is in LISTEN. The supervisor's
// start time-out bounds it all.
const (
	pollFirst = 20 * time.Millisecond
	pollMost  = 500 * time.Millisecond
)

func (a *Arm) pollPort(r *run, now time.Time) {
	up, err := listening(r.unit.ReadyPort)
	if err != nil {
		a.cfg.Log(fmt.Sprintf("process: unit %s: %v", r.name, err))
	}
	if up {
		r.pollAt = time.Time{}
		a.emit(r, unit.Event{Op: unit.Noted, Text: fmt.Sprintf("listening on %d", r.unit.ReadyPort)})
		a.ready(r)
		return
	}
	r.pollAt = now.Add(r.pollEvery)
	r.pollEvery = min(2*r.pollEvery, pollMost)
}

// listenTo watches the run's socket, once Spawned was said: what a service says
// comes after that it is there. What it has said already is taken at once, as it
// may have exited since.
func (a *Arm) listenTo(r *run) {
	if r.notify < 0 {
		return
	}
	if err := a.set.Add(r.notify, pollIn, func() { a.notices(r) }); err != nil {
		a.cfg.Log(fmt.Sprintf("process: unit %s: watch notify socket: %v", r.name, err))
	}
	a.notices(r)
}

// notices applies the next datagram that means something. It stays in the socket
// until a snapshot holds its consequences; meanwhile the socket is not watched,
// and those behind it wait.
func (a *Arm) notices(r *run) {
	for range 64 {
		b, from, err := receiveNotice(r.notify, unix.MSG_PEEK)
		if err != nil {
			return // EAGAIN: that was all
		}
		n := parseNotice(b)
		if !trusted(from, r.speaker, r.group()) {
			if !r.rejected {
				r.rejected = true
				a.cfg.Log(fmt.Sprintf("process: unit %s: a notification by %s is ignored", r.name, sender(from)))
			}
			n = notice{}
		}
		if !n.empty() {
			a.apply(r, n)
			return
		}
		receiveNotice(r.notify, 0)
	}
}

// apply emits the events of one datagram; the last one asks for the commit.
func (a *Arm) apply(r *run, n notice) {
	var events []unit.Event
	if n.ready {
		r.saidReady = true
		events = append(events, unit.Event{Op: unit.IsReady})
	}
	switch {
	case n.hasStatus:
		events = append(events, unit.Event{Op: unit.Noted, Text: n.status})
	case n.stopping:
		events = append(events, unit.Event{Op: unit.Noted, Text: "stopping"})
	}
	a.set.Del(r.notify)
	r.notifySeq = a.nextSeq()
	events[len(events)-1].Seq = r.notifySeq
	for _, ev := range events {
		a.emit(r, ev)
	}
}

func sender(c *unix.Ucred) string {
	if c == nil {
		return "nobody"
	}
	return fmt.Sprintf("pid %d of user %d", c.Pid, c.Uid)
}

// dropNotify forgets the socket of a run; its descriptor is closed by unwatch.
func (a *Arm) dropNotify(id unit.Run, path string) {
	a.cfg.Keeper.Drop(notifyKey(id))
	os.Remove(path)
}
