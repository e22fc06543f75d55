package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"hoopy/control"
	"hoopy/supervisor"
	"hoopy/unit"
)

// events are the wishes that the loop takes.
var events = map[control.Op]unit.EventOp{control.Start: unit.AskStart, control.Stop: unit.AskStop, control.Restart: unit.AskRestart,
	control.ReloadUnits: unit.AskReload, control.Reset: unit.AskReset}

// Command carries out a wish about units and waits until they have settled.
func (b *backend) Command(ctx context.Context, c control.Command) ([]unit.Report, error) {
	var reports []unit.Report
	var missing []string
	var refused error
	if c.Op == control.Start || c.Op == control.Restart {
		if err := b.instances(ctx, c.Names); err != nil {
			return nil, err
		}
	}
	err := b.loop.Call(ctx, func(s *supervisor.State) {
		reports, missing = s.Report(c.Names)
		if how, _ := s.Ending(); how != 0 && c.Op != control.Stop && c.Op != control.Wait {
			refused = errors.New("the machine is ending")
		}
		for _, name := range c.Names {
			needed := others(s.Dependents(name), c.Names)
			if c.Op == control.Stop && !c.Force && (len(needed) > 0 || s.LastLink(name)) {
				refused = &supervisor.Refusal{Unit: name, Needed: needed}
			}
			if u := s.Unit(name); c.Op == control.ReloadUnits && u != nil && u.ReloadSignal == 0 && u.Hooks[unit.Reload] == nil {
				refused = errors.New("unit " + name + ": it says nothing of reload or reload_signal; svc restart " + name + " starts it anew")
			}
		}
	})
	switch {
	case err != nil:
		return nil, err
	case len(missing) > 0:
		return nil, unknown(missing)
	case refused != nil:
		return nil, &control.Error{Code: control.CodeRefused, Text: refused.Error()}
	}
	if c.Op != control.Wait {
		for _, name := range c.Names {
			b.note("unit " + name + ": " + string(c.Op) + " asked by " + c.Who)
		}
	}
	switch c.Op {
	case control.Wait:
	case control.Signal:
		if err := b.signal(ctx, reports, c.Signal); err != nil {
			return nil, err
		}
	default:
		for _, name := range c.Names {
			b.loop.Send(unit.Event{Op: events[c.Op], Unit: name, Force: c.Force})
		}
	}
	// Who waits for something else has no use for the head start of the way in;
	// sshd's host key may lie on the persistence device.
	b.loop.Send(unit.Event{Op: unit.TimerFired, Timer: unit.WayTimer})
	settled := b.loop.WaitSettled(ctx, c.Names)
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), control.StatusTimeout)
	defer cancel()
	_, reports, err = b.Status(late, c.Names)
	if c.Op == control.Reset && err == nil {
		err = b.forget(late, reports)
	}
	return reports, errors.Join(settled, err)
}

// signal sends a signal to the main processes of units that run.
func (b *backend) signal(ctx context.Context, reports []unit.Report, sig int) error {
	for i := range reports {
		if r := &reports[i]; r.Pid == 0 {
			return &control.Error{Code: control.CodeRefused, Text: "unit " + r.Name + ": has no process"}
		}
	}
	return b.loop.Call(ctx, func(s *supervisor.State) {
		for i := range reports {
			b.procs.Do(unit.Action{Op: unit.Signal, Unit: s.Unit(reports[i].Name), Run: reports[i].Run, Signal: sig})
		}
	})
}

// instances makes units of templates for names that no unit has.
func (b *backend) instances(ctx context.Context, names []string) error {
	var missing []string
	if err := b.loop.Call(ctx, func(s *supervisor.State) { _, missing = s.Report(names) }); err != nil {
		return err
	}
	for _, name := range missing {
		text := b.machine.config.InstanceText(name)
		if text == "" {
			continue
		}
		if err := b.add(ctx, name, text); err != nil {
			return err
		}
	}
	return nil
}

// runLook is how long Run waits for a start that fails at once.
const runLook = time.Second

// Run makes a unit of text and starts it.
func (b *backend) Run(ctx context.Context, name, text, who string) ([]unit.Report, error) {
	if err := b.add(ctx, name, text); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, runLook)
	defer cancel()
	return b.Command(ctx, control.Command{Op: control.Start, Names: []string{name}, Who: who})
}

// add puts a unit that no file has into the graph, in this epoch and in later
// ones.
func (b *backend) add(ctx context.Context, name, text string) error {
	u, err := b.machine.config.Transient(name, text)
	if err != nil {
		return &control.Error{Code: control.CodeRequest, Text: err.Error()}
	}
	var refused *control.Error
	err = b.loop.Call(ctx, func(s *supervisor.State) {
		if s.Unit(name) != nil {
			refused = &control.Error{Code: control.CodeExists, Text: "a unit is called " + name + " already"}
		} else if how, _ := s.Ending(); how != 0 {
			refused = &control.Error{Code: control.CodeRefused, Text: "the machine is ending"}
		} else if err := s.Add(u); err != nil {
			refused = &control.Error{Code: control.CodeRefused, Text: err.Error()}
		}
	})
	if err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	return b.machine.remember(name, text)
}

// forget takes away units of svc run that are over.
func (b *backend) forget(ctx context.Context, reports []unit.Report) error {
	for i := range reports {
		name, gone := reports[i].Name, false
		if err := b.loop.Call(ctx, func(s *supervisor.State) { gone = s.Remove(name) }); err != nil {
			return err
		}
		if gone {
			if err := b.machine.remember(name, ""); err != nil {
				return err
			}
			b.procs.Forget(name)
		}
	}
	return nil
}

// Exec prepares a command to run as the unit's own processes do.
func (b *backend) Exec(ctx context.Context, name string, argv []string, who string) (*control.Launch, error) {
	var u *unit.Unit
	if err := b.loop.Call(ctx, func(s *supervisor.State) { u = s.Unit(name) }); err != nil {
		return nil, err
	}
	if u == nil {
		return nil, unknown([]string{name})
	}
	b.note("unit " + name + ": exec " + strings.Join(argv, " ") + " asked by " + who)
	spec, cgroup, err := b.procs.Exec(u, argv)
	if err != nil {
		return nil, &control.Error{Code: control.CodeRefused, Text: err.Error()}
	}
	return &control.Launch{Spec: spec, Cgroup: cgroup}, nil
}

// Unlock opens an encrypted dataset.
func (b *backend) Unlock(ctx context.Context, dataset string, secret []byte, who string) (string, error) {
	b.note("dataset " + dataset + ": unlock asked by " + who)
	text, err := b.machine.storage.pools.Unlock(ctx, dataset, secret)
	if err != nil && ctx.Err() == nil {
		err = &control.Error{Code: control.CodeRefused, Text: err.Error()}
	}
	return text, err
}

// Graph is every unit with its edges.
func (b *backend) Graph(ctx context.Context) (nodes []unit.Node, err error) {
	err = b.loop.Call(ctx, func(s *supervisor.State) { nodes = s.Nodes() })
	return nodes, err
}

// Blame is the way of every unit through the boot and the end.
func (b *backend) Blame(ctx context.Context) (spans []unit.Span, err error) {
	err = b.loop.Call(ctx, func(s *supervisor.State) { spans = s.Spans() })
	return spans, err
}

// Why is the chain that holds a unit back.
func (b *backend) Why(ctx context.Context, name string) (reasons []unit.Reason, err error) {
	known := false
	err = b.loop.Call(ctx, func(s *supervisor.State) { reasons, known = s.Why(name, b.now()) })
	if err == nil && !known {
		err = unknown([]string{name})
	}
	return reasons, err
}
