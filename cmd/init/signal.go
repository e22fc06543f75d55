package main

import (
	"golang.org/x/sys/unix"

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
		m.aside(func() {
			if _, err := m.reload(m.ctx, false); err != nil {
				m.log.Say(kmsg.Error, "reload: ", err.Error())
			}
		})
	}
}
