package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"hoopy/devices"
	"hoopy/kmsg"
	"hoopy/unit"
)

const (
	coldplugTimeout = 60 * time.Second // then the milestone devices is reached all the same
	retryDevices    = 2 * time.Second  // between two lives of the uevent socket
)

// deviceSource runs the uevent source, anew when its socket breaks, and hands
// its loader to those who need a module by name.
type deviceSource struct {
	m     *machine
	ready chan struct{} // closed when there is a first source

	mu     sync.Mutex
	source *devices.Source
	names  []string // of modules that init.toml names
	in, up bool     // see wayIn, booted
}

func newDeviceSource(m *machine) *deviceSource {
	later := m.epoch > 1 // the boot is over, or was
	return &deviceSource{m: m, ready: make(chan struct{}), in: later, up: later}
}

// run returns only when ctx ends.
func (d *deviceSource) run(ctx context.Context) error {
	slow := time.AfterFunc(coldplugTimeout, func() {
		d.m.log.Say(kmsg.Warning, "devices: the first coldplug is not through after ", coldplugTimeout.String(), ", going on")
		d.through()
	})
	defer slow.Stop()
	for {
		err := d.life(ctx, func() { slow.Stop(); d.through() })
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d.m.log.Say(kmsg.Error, "devices: ", fmt.Sprint(err), "; listening anew")
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(retryDevices):
		}
	}
}

// life is one life of the socket; through is called when its coldplug is.
func (d *deviceSource) life(ctx context.Context, through func()) error {
	s, err := devices.New(devices.Config{
		Cmdline: strings.Join(d.m.cmdline, " "), Log: d.m.note, Catalog: d.m.storage.catalog, Resumed: d.m.epoch > 1,
		Debug: func(line string) { d.m.log.Say(kmsg.Debug, line) },
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	if d.source == nil {
		close(d.ready)
	}
	d.source = s
	s.Modules(d.names)
	d.pass()
	d.mu.Unlock()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-s.Coldplugged():
			through()
		case <-ended:
		}
	}()
	return s.Run(ctx, d.event)
}

// event hands a uevent to whom it concerns.
func (d *deviceSource) event(u devices.Uevent) {
	d.m.strike("devices")
	if u.Subsystem == "input" && strings.HasPrefix(u.DevName, "input/event") {
		switch u.Action {
		case "add":
			d.m.buttons.Add(u.DevName)
		case "remove":
			d.m.buttons.Remove(u.DevName)
		}
	}
}

func (d *deviceSource) through() {
	d.m.send(unit.Event{Op: unit.IsReady, Unit: unit.Devices})
}

// wayIn and booted pass on how far the boot has come.
func (d *deviceSource) wayIn()  { d.tell(func() { d.in = true }) }
func (d *deviceSource) booted() { d.tell(func() { d.in, d.up = true, true }) }

func (d *deviceSource) tell(note func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	note()
	if d.source != nil {
		d.pass()
	}
}

// pass tells the source; the caller holds the lock.
func (d *deviceSource) pass() {
	if d.in {
		d.source.WayIn()
	}
	if d.up {
		d.source.Booted()
	}
}

// loadNames has the modules loaded that init.toml names.
func (d *deviceSource) loadNames(names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names = names
	if d.source != nil {
		d.source.Modules(names)
	}
}

// load loads a module by name for another part, bounded by loadTimeout.
func (d *deviceSource) load(name string) error {
	if _, err := os.Stat("/sys/module/" + name); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(d.m.ctx, loadTimeout)
	defer cancel()
	select {
	case <-d.ready:
	case <-ctx.Done():
		return fmt.Errorf("module %s: waiting for the loader: %w", name, ctx.Err())
	}
	d.mu.Lock()
	s := d.source
	d.mu.Unlock()
	for _, r := range s.Loader().Load(ctx, name) {
		if !r.Verdict.Good() {
			return r.Err
		}
	}
	return nil
}

// builtIn says whether a module is part of the kernel; no, while no device has
// been looked for.
func (d *deviceSource) builtIn(module string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.source != nil && d.source.Loader().BuiltIn(module)
}

const loadTimeout = 10 * time.Second
