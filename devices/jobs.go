package devices

import (
	"context"
	"strings"
	"sync"
)

// job is one name to load.
type job struct {
	name   string
	byName bool // asked for in init.toml, not by a device
}

// jobs are the names that wait for a worker, in two lanes. A name that waits or
// is being loaded is not taken a second time.
type jobs struct {
	mu      sync.Mutex
	changed sync.Cond
	lanes   [2][]job
	open    map[job]bool // waiting or being loaded
	closed  bool
}

func newJobs() *jobs {
	j := &jobs{open: map[job]bool{}}
	j.changed.L = &j.mu
	return j
}

func (j *jobs) add(one job, in lane) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.open[one] {
		j.open[one] = true
		j.lanes[in] = append(j.lanes[in], one)
		j.changed.Broadcast()
	}
}

// take waits for a job, foreground first, or for close.
func (j *jobs) take(foregroundOnly bool) (one job, in lane, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for !j.closed {
		for in, list := range j.lanes {
			if len(list) > 0 && (lane(in) == foreground || !foregroundOnly) {
				one, j.lanes[in] = list[0], list[1:]
				return one, lane(in), true
			}
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
