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

	// Command carries out Start, Stop, Restart, ReloadUnits, Reset, Signal or
	// Wait and returns when the units have settled, with their reports: a
	// service is ready, inactive or has given up; a task has ended. Reset and
	// Signal change nothing that would have to settle. When ctx is done first
	// it returns the reports as they are, and ctx.Err(); the wish stays. A name
	// that no unit has (CodeUnknown), and a wish that is refused for one
	// (CodeRefused), leave all of them as they were.
	Command(ctx context.Context, c Command) ([]unit.Report, error)

	// Logs calls emit with lines, oldest first, those of several logs merged by
	// time, and, with Follow, with what comes, until ctx is done. An error of
	// emit ends it and is returned. emit blocks while the client is slow: lines
	// dropped meanwhile are counted in Line.Lost. Seq grows within one unit.
	Logs(ctx context.Context, q LogQuery, emit func([]Line) error) error

	// Reload reads the configuration anew and returns what that changes; with
	// dry it changes nothing. Otherwise, if there are changes, mistakes in the
	// running configuration or safe mode, it stops what must not go on, and the
	// next supervisor answers soon after, with a higher Machine.Epoch; when ctx
	// is done first it returns ctx.Err() and goes on. A mistake in any file
	// leaves everything as it was: CodeRefused, with each on a line of its own.
	Reload(ctx context.Context, dry bool, who string) ([]unit.Change, error)

	// Run makes a unit of the TOML text, called name, that lives until it is
	// reset or the machine ends, and starts it. It gives it a moment, so that
	// one that fails at once is reported as failed; when ctx is done first it
	// returns the report as it is, and ctx.Err(). CodeExists: the name is
	// taken; CodeRequest: the text has mistakes, each on a line of its own.
	Run(ctx context.Context, name, text, who string) ([]unit.Report, error)

	// Exec prepares a command to run as the unit's own processes do: as its
	// user, with its environment and limits, in the cgroup of its run.
	// CodeRefused: it does not run.
	Exec(ctx context.Context, name string, argv []string, who string) (*Launch, error)

	// Unlock loads the key of an encrypted dataset, mounts what that opens, and
	// says what became of it. The secret is not kept.
	Unlock(ctx context.Context, dataset string, secret []byte, who string) (string, error)

	// Graph is every unit with its edges, in the order of the graph.
	Graph(ctx context.Context) ([]unit.Node, error)

	// Blame is the way of every unit through the boot, and as far as it has
	// come through the end.
	Blame(ctx context.Context) ([]unit.Span, error)

	// Why is the chain that holds a unit back, or that brought it down, the
	// unit itself first. A Text goes on after the name of its unit: "waits for
	// pool:tank", "failed: exit 1".
	Why(ctx context.Context, name string) ([]unit.Reason, error)

	// End begins the end of the machine and returns at once.
	End(ctx context.Context, how unit.How, who string) error

	// Note takes one line about the server itself for the log.
	Note(text string)
}

// Command is a wish about units.
type Command struct {
	Op     Op // Start, Stop, Restart, ReloadUnits, Reset, Signal or Wait
	Names  []string
	Force  bool
	Signal int    // of Signal
	Who    string // root from 192.168.1.20 (svc stop)
}

// LogQuery says which lines of which logs are wanted; several logs are merged by
// time.
type LogQuery struct {
	Names  []string
	All    bool      // of every unit
	Kernel bool      // and of the kernel
	N      int       // the last N; negative: all there are
	Since  unit.Time // none older than that, on CLOCK_BOOTTIME; 0: any
	Follow bool      // and what comes
}
