package control

import (
	"context"

	"hoopy/unit"
)

// Backend is what the server asks; the supervisor is one. Every method may be
// called from many goroutines at once and returns soon after ctx is done. An
// *Error goes to the client as it is, any other error as CodeInternal.
type Backend interface {
	// Status reports the machine and the units called names, in that order; of
	// no names, all units. A name that no unit has: CodeUnknown, but the units
	// that exist are reported all the same.
	Status(ctx context.Context, names []string) (*Machine, []unit.Report, error)

	// Command carries out Start, Stop or Restart and returns when the units
	// have settled, with their reports. When ctx is done first it returns their
	// reports as they are, and ctx.Err().
	Command(ctx context.Context, c Command) ([]unit.Report, error)

	// Logs calls emit with the last n lines of a unit (n < 0: all there are),
	// oldest first, and, with follow, with what comes, until ctx is done. An
	// error of emit ends it and is returned. emit blocks while the client is
	// slow: lines dropped meanwhile are counted in Line.Lost.
	Logs(ctx context.Context, name string, n int, follow bool, emit func([]Line) error) error

	// Reload reads the configuration anew and returns what has changed, a line
	// each.
	Reload(ctx context.Context, who string) ([]string, error)

	// End begins the end of the machine and returns at once.
	End(ctx context.Context, how unit.How, who string) error

	// Note takes one line about the server itself for the log.
	Note(text string)
}

// Command is a wish about units.
type Command struct {
	Op    Op // Start, Stop or Restart
	Names []string
	Force bool
	Who   string // root from 192.168.1.20 (svc stop)
}
