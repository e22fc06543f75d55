package main

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/control"
	"hoopy/kmsg"
	"hoopy/unit"
)

// signal is what PID 1 was sent; the numbers are those of busybox's commands.
func (m *machine) signal(sig int) {
	end := func(how unit.How) {
		name, _ := unit.SignalName(sig)
		m.loop.Send(unit.Event{Op: unit.AskEnd, How: how, Text: "signal " + name})
	}
	switch unix.Signal(sig) {
	case unix.SIGTERM, unix.SIGINT:
		end(unit.Reboot)
	case unix.SIGUSR1:
		end(unit.Halt)
	case unix.SIGUSR2, unix.SIGPWR:
		end(unit.PowerOff)
	case unix.SIGHUP:
		if err := m.reload(); err != nil {
			m.log.Say(kmsg.Error, "reload: ", err.Error())
		}
	}
}

// reload has a fresh supervisor read the configuration, unless that has a
// mistake: then everything stays as it was. Units whose files are unchanged
// keep their processes, since the next epoch takes them over.
func (m *machine) reload() error {
	config, err := unit.Load(os.DirFS("/etc"), "/etc")
	if err == nil {
		_, err = config.Graph()
	}
	if err != nil {
		return &control.Error{Code: control.CodeRefused, Text: err.Error()}
	}
	time.AfterFunc(reloadPause, func() { m.exit(exitFresh) })
	return nil
}

const reloadPause = 100 * time.Millisecond // for the answer to reach svc
