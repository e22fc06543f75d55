package main

import "hoopy/unit"

// power is how to end the machine without the control socket.
type power interface {
	// Signal asks PID 1 by the signal that busybox's commands send.
	Signal(how unit.How) error
	// Sync writes everything out; it may take for ever.
	Sync()
	// Now ends the machine at once; on success it does not return.
	Now(how unit.How) error
}

// kernel is the machine that this program runs on.
type kernel struct{}
