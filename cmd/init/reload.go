package main

import (
	"context"
	"os"
	"runtime/debug"
	"time"

	"hoopy/control"
	"hoopy/kmsg"
	"hoopy/supervisor"
	"hoopy/unit"
)

const (
	reloadPause = 100 * time.Millisecond // for the answer to reach svc
	// retireMost bounds the stops of a reload: longer than the longest time-out
	// that a unit may have.
	retireMost = 25 * time.Hour
)

// reload reads the configuration anew and returns what that changes; dry: no
// more. A mistake in any file leaves everything as it was.
//
// What is gone or wants a fresh start is stopped first, as it was configured
// when it started, with its own hooks. Then a fresh supervisor takes over with
// the new files: what is unchanged keeps its processes, as it does whenever a
// supervisor is followed by another.
func (m *machine) reload(ctx context.Context, dry bool) ([]unit.Change, error) {
	m.config.mu.Lock()
	files := m.config.files.Transients(unit.ReadFiles(os.DirFS("/etc")))
	m.config.mu.Unlock()
	config, err := files.Load("/etc")
	if err == nil {
		_, err = config.Graph()
	}
	if err != nil {
		return nil, &control.Error{Code: control.CodeRefused, Text: err.Error()}
	}
	changes := unit.Diff(m.config.Config, config)
	if dry || len(changes) == 0 && !m.safe && len(m.mistakes) == 0 {
		return changes, nil
	}
	if !m.reloading.CompareAndSwap(false, true) {
		return nil, &control.Error{Code: control.CodeRefused, Text: "a reload is under way; svc status shows what it stops"}
	}
	done := make(chan error, 1)
	// It goes on when whoever asked for it is gone: half a reload is none.
	m.aside(func() {
		err := m.handOver(changes, files)
		if err != nil {
			m.reloading.Store(false)
			m.log.Say(kmsg.Error, "reload: ", err.Error())
		}
		done <- err
	})
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return changes, err
}

// handOver stops what must not go on and makes way for the next epoch.
func (m *machine) handOver(changes []unit.Change, files *unit.Files) error {
	ctx, cancel := context.WithTimeout(m.ctx, retireMost)
	defer cancel()
	retire := func(s *supervisor.State, now unit.Time) []unit.Action { return s.Retire(changes, now) }
	if err := m.loop.Act(ctx, retire); err != nil {
		return err
	}
	if err := m.loop.Wait(ctx, (*supervisor.State).Retired); err != nil {
		return err
	}
	if err := m.hold(files); err != nil {
		return err
	}
	time.AfterFunc(reloadPause, func() { m.exit(exitFresh) })
	return nil
}

// aside runs f in a goroutine of its own; a panic ends this life.
func (m *machine) aside(f func()) {
	go func() {
		defer func() {
			if p := recover(); p != nil {
				m.fault(p, debug.Stack())
			}
		}()
		f()
	}()
}
