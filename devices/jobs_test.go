package devices

import (
	"testing"
	"testing/synctest"
	"time"
)

// The background begins at once where there are processors enough; else when it
// is released, when there is no network card, or when it has waited long enough.
func TestBackgroundIsHeldBack(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name    string
		cpus    int
		cards   int           // jobs of the foreground, which take an hour
		release time.Duration // 0: never
		want    time.Duration
	}{
		{"processors enough", manyCPUs, 1, 0, 0},
		{"no card", 2, 0, 0, quiet},
		{"a card that hangs", 2, 1, 0, holdMost},
		{"released", 1, 1, 300 * ms, 300 * ms},
		{"released early", 1, 0, 10 * ms, 10 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newJobs(c.cpus)
				start := time.Now()
				taken := make(chan time.Duration, 1)
				opened := make(chan time.Duration, 1)
				work := func() {
					for {
						one, in, ok := j.take(false)
						if !ok {
							return
						}
						if in == background {
							taken <- time.Since(start)
						} else {
							time.Sleep(time.Hour)
						}
						j.finish(one)
					}
				}
				for range c.cards {
					j.add(job{name: "card"}, foreground)
				}
				j.add(job{name: "disk"}, background)
				go work()
				go work()
				go func() { j.waitOpen(t.Context()); opened <- time.Since(start) }()
				if c.release > 0 {
					time.AfterFunc(c.release, j.release)
				}
				if got := <-taken; got != c.want {
					t.Errorf("taken after %v, want %v", got, c.want)
				}
				if got := <-opened; got != c.want {
					t.Errorf("open after %v, want %v", got, c.want)
				}
				j.close()
				time.Sleep(2 * time.Hour) // who sleeps wakes up and ends
			})
		})
	}
}
