package process

import (
	"hash/fnv"
	"strconv"
	"time"

	"hoopy/unit"
)

// care asks a run's probe again and again: until it is ready, or, from then on,
// how it is. Nobody hears of an answer that changes nothing.
type care struct {
	probe    *unit.Probe
	next     time.Time // of the next question; counts while none is under way
	question *question // under way; nil: none
	answered func(fault string)

	fails int // in a row
}

// due is when there is something to do.
func (c *care) due() time.Time {
	if c.question != nil {
		return c.question.until
	}
	return c.next
}

// readyPeriod is how often a probe for readiness is asked that does not say.
const readyPeriod = time.Second

// watchReady asks until the answer is good; the supervisor's start time-out
// bounds it.
func (a *Arm) watchReady(r *run) {
	p := *r.unit.ReadyProbe
	if p.Period <= 0 {
		p.Period = readyPeriod
	}
	r.care = &care{probe: &p, next: time.Now()}
	r.care.answered = func(fault string) {
		if fault == "" {
			a.stopCare(r)
			a.ready(r)
		}
	}
}

// watchHealth asks for as long as the run lasts.
func (a *Arm) watchHealth(r *run) {
	h := r.unit.Health
	if h == nil || r.exited || r.killWanted {
		return
	}
	p := h.Probe
	if p.Period <= 0 {
		p.Period = unit.HealthPeriod
	}
	threshold := h.Threshold
	if threshold <= 0 {
		threshold = unit.HealthThreshold
	}
	a.stopCare(r)
	c := &care{probe: &p, next: time.Now().Add(spread(r.name, p.Period))}
	c.answered = func(fault string) {
		if fault == "" {
			if c.fails > 0 {
				c.fails = 0
				a.emit(r, unit.Event{Op: unit.Healthy})
			}
			return
		}
		c.fails++
		text := strconv.Itoa(c.fails)
		if c.fails <= threshold {
			text += " of " + strconv.Itoa(threshold)
		} else {
			text += " in a row"
		}
		a.emit(r, unit.Event{Op: unit.Sick, Text: text + ": " + fault, Force: c.fails >= threshold && !h.Note})
	}
	r.care = c
}

// spread is when a unit is first asked: at a moment of its own between half a
// period and one and a half, so that fifty of them are not asked at once.
func spread(name string, period time.Duration) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(name))
	return period/2 + time.Duration(h.Sum32()%1024)*period/1024
}

func (a *Arm) stopCare(r *run) {
	if r.care == nil {
		return
	}
	if q := r.care.question; q != nil {
		a.drop(q)
	}
	r.care = nil
}

// tend begins a question, or ends one that has waited long enough.
func (a *Arm) tend(r *run, now time.Time) {
	c := r.care
	if c.question != nil {
		a.conclude(c.question, "no answer within "+c.question.patience.String())
		return
	}
	c.next = now.Add(c.probe.Period)
	a.ask(r, c)
}
