package main

import (
	"context"
	"fmt"
	"os"
	"sync"

	"hoopy/control"
)

// serve answers svc. The listening socket is the keeper's: a svc that comes
// while the supervisor is replaced waits in its backlog.
func (m *machine) serve(ctx context.Context, stored map[string]int) error {
	var l *control.Listener
	var err error
	if fd, ok := stored[keyControl]; ok {
		delete(stored, keyControl)
		if l, err = control.Adopt(fd); err != nil {
			return fmt.Errorf("control: %w", err)
		}
	} else {
		if err := os.MkdirAll("/run/hoopy", 0o755); err != nil {
			return fmt.Errorf("control: %w", err)
		}
		if l, err = control.Listen(control.Path); err != nil {
			return fmt.Errorf("control: %w", err)
		}
		if err := l.Control(func(fd uintptr) { m.keeper.Store(keyControl, int(fd)) }); err != nil {
			return fmt.Errorf("control: %w", err)
		}
	}
	b := &backend{
		machine: m, loop: m.loop, procs: m.procs, note: m.note, now: bootTime,
		image: sync.OnceValue(image), kernel: kernel(),
	}
	return control.Serve(ctx, l, b)
}
