// Package keeper is PID 1 proper: the part of hoopy that must not fail.
//
// # What it does
//
// It takes every signal first, mounts the kernel's file systems, starts the
// supervisor and starts it again when it dies or falls silent. It is the parent
// of every process, so that nothing is lost when the supervisor is: it starts
// the launcher on request, reaps, keeps exits until they are acknowledged and
// descriptors until they are dropped, and tells all of it to each new
// supervisor. It feeds the hardware watchdog, and at the end it kills, unmounts,
// syncs and calls reboot(2).
//
// # What it does not do
//
// It knows no units, reads no configuration but whole words of /proc/cmdline,
// parses nothing that a user or the network wrote, executes no file but its own
// binary, and waits for nothing without a bound. docs/keeper.md has the
// protocol (proto.go) and the duties.
//
// # How it is made
//
// One goroutine, the loop in run.go, owns all state: a poll(2) over the wake-up
// descriptor, the supervisor's socket and its pidfd. Beside it stands one
// goroutine that turns signals into wake-ups, and one for each thing that may
// hang: a fork with its execve, an unmount, a sync. Those end in a value on a
// channel and a wake-up, and the loop does not wait for them beyond a bound.
//
// What is owed to the supervisor is not queued but derived from the tables
// (rows, store), so a full socket, a dead peer or a new epoch can lose nothing.
package keeper
