package process

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// How often the kernel is asked whether a socket is in LISTEN. The supervisor's
// start time-out bounds it all.
const (
	pollFirst = 20 * time.Millisecond
	pollMost  = 500 * time.Millisecond
)

// awaitReady looks for what makes r ready, once Spawned was said.
func (a *Arm) awaitReady(r *run) {
	switch r.unit.ReadyBy {
	case unit.BySpawn:
		a.ready(r)
	case unit.ByTCP, unit.ByUnix:
		r.pollEvery = pollFirst
		r.pollAt = time.Now()
	case unit.ByNotify:
		r.speaker = speaker(r.unit)
		a.listenTo(r)
	case unit.ByProbe:
		if !r.wasReady {
			a.watchReady(r)
		}
	}
	if r.wasReady && r.care == nil {
		a.watchHealth(r)
	}
}

// pollSocket looks whether the socket of r listens. The path of one may lie on
// a disk that does not answer, so that one is looked for aside.
func (a *Arm) pollSocket(r *run, now time.Time) {
	if r.unit.ReadyBy == unit.ByTCP {
		up, err := listening(r.unit.ReadyPort)
		if err != nil {
			a.cfg.Log(fmt.Sprintf("process: unit %s: %v", r.name, err))
		}
		a.polled(r, up, fmt.Sprintf("listening on %d", r.unit.ReadyPort), now)
		return
	}
	r.pollAt = time.Time{}
	path := r.unit.ReadyPath
	ok := a.aside("ready:"+r.name, func() string {
		up, err := listeningUnix(path)
		switch {
		case err != nil:
			return err.Error()
		case up:
			return "up"
		}
		return ""
	}, func(said string) {
		if r.exited {
			return
		}
		if said != "" && said != "up" {
			a.cfg.Log(fmt.Sprintf("process: unit %s: %s", r.name, said))
		}
		a.polled(r, said == "up", "listening on "+path, time.Now())
	})
	if !ok {
		r.pollAt = now.Add(pollMost)
	}
}

// polled takes the answer, or has the question asked again later.
func (a *Arm) polled(r *run, up bool, text string, now time.Time) {
	if up {
		r.pollAt = time.Time{}
		a.emit(r, unit.Event{Op: unit.Noted, Text: text})
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
