package keeper

import "hoopy/kmsg"

// Duration is a length of time in nanoseconds, as time.Duration is; the keeper
// does without the package time.
type Duration int64

// Lengths of time.
const (
	Millisecond Duration = 1e6
	Second      Duration = 1e9
	Minute               = 60 * Second
)

// Config is what the keeper is told about its surroundings. A field left zero
// means what a machine wants; only Self is required. Tests run the keeper as
// PID 1 of a namespace through the other fields.
type Config struct {
	// Self is the binary whose faces the keeper executes, and the only one it
	// ever does: "/init". `Self supervise EPOCH`, `Self exec NAME` and
	// `Self rescue REASON` are its three uses.
	Self string
	// Version is shown in the first line on the console.
	Version string
	// Env is the environment of everything that is started. Nil: PATH, HOME=/,
	// TERM=linux.
	Env []string

	// Procs is runtime.GOMAXPROCS. A fork whose execve hangs keeps one of the
	// runtime's processors, so the keeper asks for more of them than it ever
	// has forks in flight. Nil: it is left as it is.
	Procs func(int) int
	// StopGC is called once, when everything that is allocated at start has
	// been: debug.SetGCPercent(-1). Nil: collection goes on.
	StopGC func()
	// CheckHeap is called every IdleEvery and only while no fork is in
	// flight (a collection would wait for it): collect if the heap has grown.
	// It must not stop the world otherwise. Nil: nothing.
	CheckHeap func()
	// Stack is debug.Stack, for the words after a panic. Nil: none.
	Stack func() []byte

	// Log says where lines go; its filters are set from the command line.
	Log kmsg.Options
	// Reboot ends the machine: unix.Reboot with a LINUX_REBOOT_CMD_ number.
	// Nil: that system call.
	Reboot func(cmd int) error
	// Watchdog is the device to feed. Empty: "/dev/watchdog"; "-": none.
	Watchdog string

	// PingEvery and PongWithin bound how long a supervisor may be silent.
	// 0: 5 s and 10 s.
	PingEvery, PongWithin Duration
	// HelloWithin bounds the time from fork to OpHello. 0: 30 s.
	HelloWithin Duration
	// DeathWindow is the time in which three deaths of the supervisor lead to
	// safe mode, and three more to the rescue shell. 0: 60 s.
	DeathWindow Duration
	// RetryEvery is how often a supervisor is tried in rescue. 0: 30 s.
	RetryEvery Duration
	// SignalWithin bounds how long an asked-for end waits for a supervisor to
	// begin it, before the keeper does it alone. 0: 15 s.
	SignalWithin Duration
	// EndWithin bounds the end, from OpEnd to the last act. 0: 90 s.
	EndWithin Duration
	// IdleEvery is when what a boot need not wait for is done: the heap is looked
	// at, and PID 1 moved into its cgroup. 0: 30 s.
	IdleEvery Duration

	// testOnlyTurn is called at the beginning of each turn of the loop.
	testOnlyTurn func()
}

func (c *Config) defaults() {
	set := func(d *Duration, v Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.PingEvery, 5*Second)
	set(&c.PongWithin, 10*Second)
	set(&c.HelloWithin, 30*Second)
	set(&c.DeathWindow, 60*Second)
	set(&c.RetryEvery, 30*Second)
	set(&c.SignalWithin, 15*Second)
	set(&c.EndWithin, 90*Second)
	set(&c.IdleEvery, 30*Second)
	if c.Watchdog == "" {
		c.Watchdog = "/dev/watchdog"
	}
	if c.Env == nil {
		c.Env = []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"HOME=/",
			"TERM=linux",
		}
	}
}
