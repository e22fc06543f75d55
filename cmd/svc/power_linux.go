package main

import (
	"golang.org/x/sys/unix"

	"hoopy/unit"
)

var endSignals = map[unit.How]unix.Signal{unit.Reboot: unix.SIGTERM, unit.Halt: unix.SIGUSR1, unit.PowerOff: unix.SIGUSR2}

var endCommands = map[unit.How]int{
	unit.Reboot: unix.LINUX_REBOOT_CMD_RESTART, unit.Halt: unix.LINUX_REBOOT_CMD_HALT, unit.PowerOff: unix.LINUX_REBOOT_CMD_POWER_OFF}

func (kernel) Signal(how unit.How) error { return unix.Kill(1, endSignals[how]) }
func (kernel) Sync()                     { unix.Sync() }
func (kernel) Now(how unit.How) error    { return unix.Reboot(endCommands[how]) }
