package devices

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// A supervisor that dies while one of its threads loads a module takes the probe of
// the driver along: the kernel gives the device up ("Unable to allocate the scsi
// host, -12"), the module stays, and so nobody would ask for it again.

// reprobe offers devices whose module is loaded, and which have no driver all the
// same, to the drivers of their bus once more (Documentation/ABI/testing/sysfs-bus,
// drivers_probe). It waits for no driver longer than loadLimit.
func (s *Source) reprobe(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				s.config.Log("devices: offering devices again: panic")
			}
		}()
		s.orphans(func(bus, device string) {
			s.config.Debug("device " + device + " of bus " + bus + " has no driver; offered again")
			f, err := os.OpenFile(filepath.Join(s.sys, "bus", bus, "drivers_probe"), os.O_WRONLY, 0)
			if err != nil {
				return // this bus has no such thing
			}
			_, _ = f.WriteString(device) // the driver says in the kernel's log why not
			_ = f.Close()
		})
	}()
	limit := time.NewTimer(loadLimit)
	defer limit.Stop()
	select {
	case <-done:
	case <-ctx.Done():
	case <-limit.C:
		s.config.Log("devices: a driver does not answer for " + loadLimit.String() + "; going on")
	}
}

// orphans finds those devices. One with a driver_override is without its driver on
// purpose: a virtual machine has it.
func (s *Source) orphans(yield func(bus, device string)) {
	for _, bus := range names(filepath.Join(s.sys, "bus")) {
		dir := filepath.Join(s.sys, "bus", bus, "devices")
		for _, device := range names(dir) {
			path := filepath.Join(dir, device)
			if _, err := os.Stat(filepath.Join(path, "driver")); err == nil {
				continue
			}
			if only := firstLine(filepath.Join(path, "driver_override")); only != "" && only != "(null)" {
				continue
			}
			if alias := firstLine(filepath.Join(path, "modalias")); alias != "" && s.loader.anyLive(alias) {
				yield(bus, device)
			}
		}
	}
}

// anyLive says whether a module that name stands for is loaded.
func (l *Loader) anyLive(name string) bool {
	for _, module := range l.resolve(name).modules {
		if l.live(module) {
			return true
		}
	}
	return false
}
