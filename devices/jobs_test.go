package devices

import (
	"testing"
	"testing/synctest"
	"time"
)

// The background begins when the foreground has been idle for a moment, when
// the network is ready, or when it has waited long enough.
func TestBackgroundIsHeldBack(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name    string
		cards   []time.Duration // how long each takes to load, one after the other
		release time.Duration   // when the network is ready; 0: not
		want    time.Duration
	}{
		{"no card", nil, 0, quiet},
		{"a card that takes 100 ms", []time.Duration{100 * ms}, 0, 100*ms + quiet},
		{"a card behind a bus", []time.Duration{30 * ms, 30 * ms}, 0, 80*ms + quiet},
		{"a card that hangs", []time.Duration{time.Hour}, 0, holdMost},
		{"the network is ready", []time.Duration{100 * ms}, 10 * ms, 10 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newJobs()
				start := time.Now()
				cards := map[string]time.Duration{}
				taken := make(chan time.Duration, 1)
				work := func() {
					for {
						one, in, ok := j.take(false)
						if !ok {
							return
						}
						if in == background {
							taken <- time.Since(start)
						}
						time.Sleep(cards[one.name])
						j.finish(one)
					}
				}
				for i, d := range c.cards {
					cards[string(rune('a'+i))] = d
				}
				go work()
				go work()
				j.add(job{name: "disk"}, background)
				go func() {
					for i, d := range c.cards {
						j.add(job{name: string(rune('a' + i))}, foreground)
						time.Sleep(d + 20*ms) // the bus needs a moment to show the card
					}
				}()
				if c.release > 0 {
					time.AfterFunc(c.release, j.release)
				}
				if got := <-taken; got != c.want {
					t.Errorf("taken after %v, want %v", got, c.want)
				}
				j.close()
				time.Sleep(2 * time.Hour) // whoever sleeps wakes up and ends
			})
		})
	}
}
