package main

import (
	"strings"

	"hoopy/kmsg"
	"hoopy/unit"
)

// complain says mistakes of the configuration, and keeps them for svc status. A
// bad file costs its unit alone.
func (m *machine) complain(err error) {
	if err == nil {
		return
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		m.mistakes = append(m.mistakes, line)
		m.log.Say(kmsg.Error, line)
	}
}

// fallback adds what safe mode must have, where the configuration lacks it: a
// way in.
func fallback(c *unit.Config) {
	if len(c.Machine.Links) == 0 {
		c.Machine.Links = []unit.LinkConfig{unit.FallbackLink}
	}
	for _, u := range c.Units {
		if u.Name == "sshd" {
			return
		}
	}
	c.Units = append(c.Units, &unit.Unit{
		Name: "sshd", Kind: unit.Service, Description: "built in: safe mode found no unit sshd",
		Command: []string{"/usr/sbin/sshd", "-D", "-e"}, Essential: true, StopMain: true,
		StartTimeout: unit.DefaultStartTimeout, StopTimeout: unit.DefaultStopTimeout, Process: unit.Process{Umask: 0o022},
	})
}
