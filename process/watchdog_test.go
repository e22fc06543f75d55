package process

import (
	"testing"
	"time"

	"hoopy/unit"
)

func TestWatchDog(t *testing.T) {
	began := time.Now()
	for name, c := range map[string]struct {
		late  time.Duration
		set   func(r *run)
		bites bool
		again bool // it goes on counting
	}{
		"in time":                   {-time.Millisecond, nil, false, true},
		"silent":                    {time.Millisecond, nil, true, false},
		"silent, on a busy machine": {dogLate, nil, true, false},
		"the machine stood still":   {dogLate + time.Second, nil, false, true},
		"a datagram is not taken":   {time.Second, func(r *run) { r.notifySeq = 7 }, false, true},
		"the keeper is behind":      {time.Second, func(r *run) { r.notifyAt = began }, false, true},
		"it has ended":              {time.Second, func(r *run) { r.exited = true }, false, false},
		"it was said":               {time.Second, func(r *run) { r.bitten = true }, false, false},
		"it was called off":         {time.Second, func(r *run) { r.dogKey = "" }, false, false},
	} {
		bites := 0
		a := &Arm{cfg: Config{Emit: func(ev unit.Event) {
			if ev.Op == unit.Sick && ev.Force && ev.Signal == sigAbort {
				bites++
			}
		}}}
		r := newRun(1, "p", unit.Main)
		r.dogKey, r.dogEvery, r.dogAt = "dog:", time.Hour, began
		if c.set != nil {
			c.set(r)
		}
		a.watchDog(r, began.Add(c.late))
		if (bites == 1) != c.bites || r.dogAt.IsZero() == c.again {
			t.Errorf("%s: %d bites, next at %v", name, bites, r.dogAt)
		}
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{30 * time.Second: "30 s", 1500 * time.Millisecond: "1.5s", 2 * time.Minute: "120 s"} {
		if got := seconds(d); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
}
