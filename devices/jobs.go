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
	// holdMost is how long the background is held back after the start, at most,
	// while a network card gets its driver and the machine its way in. Loading is
	// a lot of work for the kernel, and not all of it can be nice.
	holdMost = time.Second
	// quiet is how long a machine may be without a network card before the
	// background begins: there may be none.
	quiet = 50 * time.Millisecond
	// manyCPUs are enough that nothing has to be held back.
	manyCPUs = 3
)

// jobs are the names that wait for a worker, in two lanes. A name that waits or
// is being loaded is not taken a second time.
type jobs struct {
	mu      sync.Mutex
	changed sync.Cond
	lanes   [2][]job
	open    map[job]bool // waiting or being loaded
	closed  bool

	began time.Time
	card  bool // the foreground had a job
	free  bool // nothing is to be held back any more
}

func newJobs(cpus int) *jobs {
	j := &jobs{open: map[job]bool{}, began: time.Now(), free: cpus >= manyCPUs}
	j.changed.L = &j.mu
	return j
}

// held is how much longer the background has to wait.
func (j *jobs) held(now time.Time) time.Duration {
	if j.free {
		return 0
	}
	most := quiet
	if j.card {
		most = holdMost
	}
	return max(j.began.Add(most).Sub(now), 0)
}

// release lets the background begin.
func (j *jobs) release() {
	j.mu.Lock()
	j.free = true
	j.changed.Broadcast()
	j.mu.Unlock()
}

func (j *jobs) add(one job, in lane) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.open[one] {
		j.open[one] = true
		j.card = j.card || in == foreground
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
			later := time.AfterFunc(held, j.wake)
			j.changed.Wait()
			later.Stop()
			continue
		}
		j.changed.Wait()
	}
	return job{}, 0, false
}

// finish ends a job that take gave.
func (j *jobs) finish(one job) {
	j.mu.Lock()
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
	defer context.AfterFunc(ctx, j.wake)()
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.open) > 0 && !j.closed && ctx.Err() == nil {
		j.changed.Wait()
	}
	return len(j.open) == 0
}

// waitOpen returns when the background may begin, or when ctx ends.
func (j *jobs) waitOpen(ctx context.Context) {
	defer context.AfterFunc(ctx, j.wake)()
	j.mu.Lock()
	defer j.mu.Unlock()
	for ctx.Err() == nil {
		held := j.held(time.Now())
		if held == 0 {
			return
		}
		later := time.AfterFunc(held, j.wake)
		j.changed.Wait()
		later.Stop()
	}
}

func (j *jobs) wake() {
	j.mu.Lock()
	j.changed.Broadcast()
	j.mu.Unlock()
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
