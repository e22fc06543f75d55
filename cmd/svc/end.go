package main

import (
	"errors"
	"fmt"
	"time"

	"hoopy/control"
	"hoopy/unit"
)

// endBound is how long init has to take the wish before PID 1 is asked by a
// signal; syncBound how long -f waits for sync(2) on a disk that may be dead.
const (
	endBound  = 3 * time.Second
	syncBound = 10 * time.Second
)

func (a *app) poweroff(o options) error { return a.end(unit.PowerOff, o) }
func (a *app) reboot(o options) error   { return a.end(unit.Reboot, o) }

func (a *app) halt(o options) error {
	if o.has("poweroff") {
		return a.end(unit.PowerOff, o)
	}
	return a.end(unit.Halt, o)
}

func (a *app) end(how unit.How, o options) error {
	force, noSync := o.has("force"), o.has("no-sync")
	switch {
	case noSync && !force:
		return misuse("-n is for -f: an orderly end always writes everything out")
	case force:
		return a.endNow(how, noSync)
	}
	return a.endInOrder(how)
}

// endInOrder asks init, and PID 1 itself if init does not answer.
func (a *app) endInOrder(how unit.How) error {
	_, err := a.ask(control.Request{Op: control.End, How: how.String()}, endBound)
	var refusal *control.Error
	switch {
	case err == nil:
		fmt.Fprintf(a.out, "%s is on its way\n", how)
		return nil
	case errors.As(err, &refusal) && refusal.Code != control.CodeBusy && refusal.Code != control.CodeVersion && refusal.Code != control.CodeInternal:
		return err
	}
	fmt.Fprintf(a.err, "%s: %s; asking PID 1 by signal\n", a.via, escape(err.Error()))
	if err := a.power.Signal(how); err != nil {
		return fmt.Errorf("signal PID 1: %w", err)
	}
	return nil
}

// endNow does without init and units.
func (a *app) endNow(how unit.How, noSync bool) error {
	if !noSync {
		synced := make(chan struct{})
		go func() {
			defer close(synced)
			a.power.Sync()
		}()
		t := time.NewTimer(syncBound)
		defer t.Stop()
		select {
		case <-synced:
		case <-t.C:
			fmt.Fprintf(a.err, "%s: sync takes longer than %v; going on without\n", a.via, syncBound)
		}
	}
	if err := a.power.Now(how); err != nil {
		return fmt.Errorf("reboot(2): %w", err)
	}
	return nil
}

// shutdown is the command of that name: -h, -P, -H or -r, and now.
func (a *app) shutdown(args []string) error {
	how := unit.PowerOff
	when := ""
	for _, arg := range args {
		switch arg {
		case "-h", "-P", "--poweroff":
			how = unit.PowerOff
		case "-H", "--halt":
			how = unit.Halt
		case "-r", "--reboot":
			how = unit.Reboot
		case "-f", "--force":
			return misuse("-f means another thing to each shutdown; to do without init use reboot -f or poweroff -f")
		case "-c":
			return misuse("there is nothing to cancel: shutdown knows no time but now")
		default:
			if when != "" || arg == "" || arg[0] == '-' {
				return misuse("unknown argument %q; write shutdown -h now, or -r now", arg)
			}
			when = arg
		}
	}
	switch when {
	case "now", "+0":
		return a.endInOrder(how)
	case "":
		return misuse("say when: shutdown -h now")
	}
	return misuse("shutdown knows no time but now, not %q", when)
}
