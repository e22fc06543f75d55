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
	if c.Op == control.Reset {
		err = errors.Join(err, b.forget(c.Names))
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
	var more []addition
	for _, name := range missing {
		if text := b.machine.config.InstanceText(name); text != "" {
			more = append(more, addition{name: name, text: text})
		}
	}
	return b.add(ctx, more)
}

// runLook is how long Run waits for a start that fails at once.
const runLook = time.Second

// Run makes a unit of text and starts it.
func (b *backend) Run(ctx context.Context, name, text, who string) ([]unit.Report, error) {
	if err := b.add(ctx, []addition{{name: name, text: text}}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, runLook)
	defer cancel()
	return b.Command(ctx, control.Command{Op: control.Start, Names: []string{name}, Who: who})
}

// addition is a unit that no file has.
type addition struct {
	name, text string
	unit       *unit.Unit
}

// add puts units that no file has into the graph, in this epoch and in later ones.
// After an error none of them is there.
func (b *backend) add(ctx context.Context, more []addition) (err error) {
	if len(more) == 0 {
		return nil
	}
	texts := map[string]string{}
	for i := range more {
		a := &more[i]
		if a.unit, err = b.machine.config.Transient(a.name, a.text); err != nil {
			return &control.Error{Code: control.CodeRequest, Text: err.Error()}
		}
		texts[a.name] = a.text
	}
	var refused *control.Error
	err = b.loop.Call(ctx, func(s *supervisor.State) {
		for i, a := range more {
			if s.Unit(a.name) != nil {
				refused = &control.Error{Code: control.CodeExists, Text: "a unit is called " + a.name + " already"}
			} else if how, _ := s.Ending(); how != 0 {
				refused = &control.Error{Code: control.CodeRefused, Text: "the machine is ending"}
			} else if err := s.Add(a.unit); err != nil {
				refused = &control.Error{Code: control.CodeRefused, Text: err.Error()}
			}
			if refused != nil {
				for _, a := range more[:i] {
					s.Remove(a.name)
				}
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	return b.machine.remember(texts)
}

// forget takes away units of svc run that are over, in a time of its own: who asked
// may have waited for all of theirs already.
func (b *backend) forget(names []string) error {
	ctx, cancel := context.WithTimeout(b.machine.ctx, control.StatusTimeout)
	defer cancel()
	texts := map[string]string{}
	if err := b.loop.Call(ctx, func(s *supervisor.State) {
		for _, name := range names {
			if s.Remove(name) {
				texts[name] = ""
			}
		}
	}); err != nil {
		return &control.Error{Code: control.CodeBusy, Text: "units of svc run are still there: " + err.Error()}
	}
	if len(texts) == 0 {
		return nil
	}
	if err := b.machine.remember(texts); err != nil {
		return err
	}
	for name := range texts {
		b.procs.Forget(name)
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
