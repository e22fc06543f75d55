package process

import (
	"fmt"
	"time"

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
	case unit.ByProbe:
		if !r.wasReady {
			a.watchReady(r)
		}
	}
	if r.wasReady && r.care == nil {
		a.watchHealth(r)
	}
	a.hear(r)
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
