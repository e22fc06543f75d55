package unit

import "time"

// Part says which of a unit's processes a run is. Hooks run in the unit's
// cgroup, as its user, each as a run of its own.
type Part uint8

const (
	// Main is the command itself.
	Main Part = iota
	// StartPre runs before the command; if it fails, the start has failed.
	StartPre
	// StartPost runs once the command is ready, and the unit is ready after it;
	// if it fails, the start has failed.
	StartPost
	// StopPre runs before the stop signal.
	StopPre
	// StopPost runs when nothing of the unit is left, however it ended.
	StopPost
	// Reload has the running command read its configuration anew.
	Reload
	// Parts is their number.
	Parts
)

// String is the key of unit files.
func (p Part) String() string { return word(partWords[:], int(p)) }

var partWords = [...]string{"command", "start_pre", "start_post", "stop_pre", "stop_post", "reload"}

// ExitNever is the exit code by which a command says that it is not to be
// started again, whatever restart says (s6 and gokrazy have the same).
const ExitNever = 125

// Process is how the processes of a unit run.
type Process struct {
	User      string   // empty: root
	Group     string   // empty: the user's own
	Groups    []string // besides those that the system's databases say
	Directory string   // empty: /
	Umask     uint32   // default 022
	Env       []string // NAME=value, added to PATH, HOME, USER …
	EnvFiles  []string // read at the start; with - before it, a file may be missing
	TTY       string   // "ttyS0": stdin, stdout, stderr and controlling terminal
	Stdin     string   // a file; empty: /dev/null
	Stdout    string   // "null", or a file that is appended to; empty: the log
	Stderr    string   // the same

	Rlimits  []Rlimit
	Nice     int
	IOClass  string // "realtime", "best-effort", "idle"; empty: as the nice value says
	IOLevel  int    // 0 to 7, of the first two
	Policy   string // "batch", "idle", "fifo", "rr"; empty: the usual one
	Priority int    // 1 to 99, of fifo and rr
	OOMScore int    // oom_score_adj

	PidsMax    int64         // pids.max of the cgroup; 0: DefaultPidsMax; -1: no limit
	MemoryMax  int64         // memory.max in bytes; 0: no limit
	MemoryHigh int64         // memory.high in bytes; 0: no limit
	CPUWeight  int           // cpu.weight, 1 to 10000; 0: 100
	CPUMax     time.Duration // processor time in each 100 ms; 0: no limit
	IOWeight   int           // io.weight, 1 to 10000; 0: 100

	Bounded      bool     // Capabilities bounds what it can ever have
	Capabilities []string // names without CAP_, in lower case
	Ambient      []string // kept across a change of user
	NoNewPrivs   bool
	PrivateTmp   bool
	ReadOnly     bool     // the whole file system, but Writable
	Writable     []string // with - before it, a path may be missing
}

// Rlimit is one limit of setrlimit(2), in its own unit.
type Rlimit struct {
	Name       string // "nofile", "core" …
	Soft, Hard uint64 // Infinity: none
}

// Infinity is RLIM_INFINITY.
const Infinity = 1<<64 - 1

// ConditionOp says what a condition asks.
type ConditionOp uint8

const (
	PathExists    ConditionOp = iota // Text is a path, or a shell pattern of paths
	CmdlineWord                      // Text is a word of the kernel's command line; "name=" any value
	ModuleLoaded                     // Text is a module that is loaded or built in
	MountPresent                     // something is mounted on the path Text
	NotInSafeMode                    // the supervisor is not in safe mode
)

// Condition is something that must hold on this machine, or, with Not, must
// not.
type Condition struct {
	Op   ConditionOp
	Text string
	Not  bool
}

// Probe is a question to a running unit; one of the fields that name something
// is set.
type Probe struct {
	TCP  string   // host:port that takes a connection
	Unix string   // path of a socket that takes one
	HTTP string   // http URL that answers 2xx or 3xx
	Exec []string // argv that exits with 0, run as the unit itself

	Period  time.Duration // from one question to the next
	Timeout time.Duration // for one answer
}

// Health is how a unit that is ready is watched.
type Health struct {
	Probe
	Threshold int  // so many failures in a row are one too many
	Note      bool // it is only said; else the unit is restarted
}

// LogFile is where the log of a unit is appended to, besides its ring.
type LogFile struct {
	Path  string
	Size  int64         // of one file, in bytes
	Count int           // files kept, the current one included
	Every time.Duration // between two writes
}

// TimerConfig says when a timer is due. One of Cron and Every is set.
type TimerConfig struct {
	Cron    []string      // crontab(5) expressions in local time
	Every   time.Duration // from the start of one run to the next
	OnBoot  time.Duration // from the boot to a first run; 0: as Cron and Every say
	Jitter  time.Duration // at most that much later
	CatchUp bool          // a run that was missed while the machine was off is made up for
}
