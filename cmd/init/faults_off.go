//go:build !faults

package main

import (
	"hoopy/keeper"
	"hoopy/kmsg"
)

// injectFaults does nothing: faults are for tests, see faults.go.
func (m *machine) injectFaults() {}

// strike does nothing.
func (m *machine) strike(string) {}

// tune changes nothing.
func tune(*keeper.Config) {}

// logOptions changes nothing.
func logOptions(o kmsg.Options) kmsg.Options { return o }
