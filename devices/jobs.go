package devices

import (
	"context"
	"strings"
	"sync"
	"time"
)

// job is one name to load.
type job struct {
	name   string
	byName bool // asked for in init.toml, not by a device
}

const (
	// The background begins when the foreground has been idle for quiet: a card
	// on a virtio or USB bus shows itself only after its bus has a driver.
	// Loading is a lot of work for the kernel, and not all of it can be nice.
	quiet = 50 * time.Millisecond
	// holdMost is how long after the start it begins all the same.
	holdMost = 500 * time.Millisecond
)

// jobs are the names that wait for a worker, in two lanes. A name that waits or
// is being loaded is not taken a second time.
type jobs struct {
	mu      sync.Mutex
	changed sync.Cond
	lanes   [2][]job
	open    map[job]lane // waiting or being loaded
	closed  bool

	began    time.Time
	busy     int       // open jobs of the foreground
	lastBusy time.Time // when there last was one
	calm     bool      // the network is ready
}

func newJobs() *jobs {
	now := time.Now()
	j := &jobs{open: map[job]lane{}, began: now, lastBusy: now}
	j.changed.L = &j.mu
	return j
}

// held is how much longer the background has to wait.
func (j *jobs) held(now time.Time) time.Duration {
	end := j.began.Add(holdMost)
	if j.calm || !now.Before(end) {
		return 0
	}
	idle := j.lastBusy.Add(quiet)
	if j.busy > 0 || idle.After(end) {
		idle = end
	}
	return max(idle.Sub(now), 0)
}

// release lets the background begin: the network is ready.
func (j *jobs) release() {
	j.mu.Lock()
	j.calm = true
	j.changed.Broadcast()
	j.mu.Unlock()
}

func (j *jobs) add(one job, in lane) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, open := j.open[one]; !open {
		j.open[one] = in
		if in == foreground {
			j.busy++
		}
		j.lanes[in] = append(j.lanes[in], one)
		j.changed.Broadcast()
	}
}

// take waits for a job, foreground first, or for close.
func (j *jobs) take(foregroundOnly bool) (one job, in lane, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for !j.closed {
		if list := j.lanes[foreground]; len(list) > 0 {
			one, j.lanes[foreground] = list[0], list[1:]
			return one, foreground, true
		}
		if list := j.lanes[background]; len(list) > 0 && !foregroundOnly {
			held := j.held(time.Now())
			if held == 0 {
				one, j.lanes[background] = list[0], list[1:]
				return one, background, true
			}
			time.AfterFunc(held, func() {
				j.mu.Lock()
				j.changed.Broadcast()
				j.mu.Unlock()
			})
		}
		j.changed.Wait()
	}
	return job{}, 0, false
}

// finish ends a job that take gave.
func (j *jobs) finish(one job) {
	j.mu.Lock()
	if j.open[one] == foreground {
		j.busy--
		j.lastBusy = time.Now()
	}
	delete(j.open, one)
	j.changed.Broadcast()
	j.mu.Unlock()
}

func (j *jobs) close() {
	j.mu.Lock()
	j.closed = true
	j.changed.Broadcast()
	j.mu.Unlock()
}

// wait returns once nothing waits or is being loaded, or false when ctx ends.
func (j *jobs) wait(ctx context.Context) bool {
	defer context.AfterFunc(ctx, func() {
		j.mu.Lock()
		j.changed.Broadcast()
		j.mu.Unlock()
	})()
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.open) > 0 && !j.closed && ctx.Err() == nil {
		j.changed.Wait()
	}
	return len(j.open) == 0
}

// waitOpen returns when the background may begin, or when ctx ends.
func (j *jobs) waitOpen(ctx context.Context) {
	for {
		j.mu.Lock()
		held := j.held(time.Now())
		j.mu.Unlock()
		if held == 0 {
			return
		}
		select {
		case <-time.After(held):
		case <-ctx.Done():
			return
		}
	}
}

// laneOf gives network devices the foreground: PCI class 02, virtio device 1,
// the synthetic cards of Hyper-V and Xen.
func laneOf(modalias string) lane {
	bus, rest, _ := strings.Cut(modalias, ":")
	net := false
	switch bus {
	case "pci":
		net = strings.Contains(rest, "bc02sc")
	case "virtio":
		net = strings.HasPrefix(rest, "d00000001v")
	case "vmbus":
		net = strings.EqualFold(rest, "635161f83edfc546913ff2d2f965ed0e")
	case "xen":
		net = rest == "vif"
	}
	if net {
		return foreground
	}
	return background
}
