package unit

import "time"

// Run identifies one start of a unit. It is unique in one boot of the machine:
// the epoch of the supervisor that began it in the upper 32 bits, a counter in
// the lower. It is also the token under which the keeper knows the process.
type Run uint64

// Epoch is the epoch of the supervisor that began the run.
func (r Run) Epoch() uint32 { return uint32(r >> 32) }

// Time is a moment on CLOCK_BOOTTIME, in nanoseconds since the machine booted.
type Time int64

// Sub is the duration from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Add is the moment d after t.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// EventOp says what happened.
type EventOp uint8

const (
	// Spawned: the process of Run exists as Pid and execve succeeded.
	Spawned EventOp = iota + 1
	// IsReady: Run is ready (a notification, a listening port, a lease).
	IsReady
	// Lost: a link's run is no longer ready, Text says why; the arm goes on.
	Lost
	// StartFailed: Run did not come to life; Text says why. No process is left.
	StartFailed
	// Exited: the main process of Run ended with Status.
	Exited
	// Empty: no process of Run is left, and its last output is in the ring.
	Empty
	// Noted: Text is the unit's own word on how it is (STATUS=, an address).
	// An empty Text clears it.
	Noted
	// Absent: the unit cannot be on this machine (no such console); Text says
	// what is missing. The unit is skipped.
	Absent
	// TimerFired: the timer Timer with generation Gen ran out.
	TimerFired
	// AskStart, AskStop, AskRestart: an operator's wish. With Force, AskStop
	// also stops the units that need this one.
	AskStart
	AskStop
	AskRestart
	// AskEnd: the machine is to end as How; Text says who asked.
	AskEnd
	// AskReload: the running unit is to read its own configuration anew.
	AskReload
	// AskReset: past failures and counts are to be forgotten.
	AskReset
	// MainPid: the main process of Run is Pid now (MAINPID=, a pid file).
	MainPid
	// Extend: what is under way (start, stop) may take For from now on.
	Extend
	// Reloading: Run has begun to read its configuration anew; IsReady follows.
	Reloading
	// Sick: a health check of Run failed. Text says how; Force: that was once
	// too often, and the unit is to be restarted; Signal: by that signal.
	Sick
	// Healthy: a health check of Run succeeded after it had failed.
	Healthy
	// Due: the timer is due; Text says by what.
	Due
	// Planned: the timer is due at Wall; Text says so to people.
	Planned
	// Cleared: no process is left that is of no run, or none that would go. No
	// Unit.
	Cleared
)

// Event is something that happened. Which fields count depends on Op.
type Event struct {
	Op     EventOp
	Unit   string
	Run    Run
	Pid    int
	Status Status
	Text   string
	Timer  TimerFor
	Gen    uint32
	Force  bool
	How    How
	Signal int
	For    time.Duration
	Wall   int64 // Unix time in nanoseconds; 0: none
	// Seq of an event that its source keeps until it is told (by Commit) that
	// a snapshot holds the consequences; 0: nothing to tell.
	Seq uint64
	// Now is when the loop took the event; the loop sets it.
	Now Time
}

// Status is a wait status as wait4(2) gives it.
type Status uint32

// Exit is the exit code, if the process exited.
func (s Status) Exit() (code int, ok bool) { return int(s>>8) & 0xff, s&0x7f == 0 }

// Signal is the signal that ended the process, if one did.
func (s Status) Signal() (sig int, ok bool) { return int(s & 0x7f), s&0x7f != 0 }

// TimerFor names what a timer of a unit is for.
type TimerFor uint8

const (
	StartTimer    TimerFor = iota // not ready in time
	StopTimer                     // the stop signal was not obeyed in time
	KillTimer                     // SIGKILL was not obeyed in time
	BackOffTimer                  // time to try again
	DeadlineTimer                 // an essential unit has waited long enough
	WaitTimer                     // waiting long enough to be named
	EndTimer                      // the end as a whole; Unit is empty
	WayTimer                      // essential units have had their head start; Unit is empty
	HookTimer                     // a hook has not ended in time
	Timers                        // their number
)

// How a machine ends.
type How uint8

const (
	PowerOff How = iota + 1
	Reboot
	Halt
)

// String is the word of the svc command.
func (h How) String() string { return word(howWords[:], int(h)) }

var howWords = [...]string{"?", "power-off", "reboot", "halt"}

// ActionOp says what is to be done.
type ActionOp uint8

const (
	// Start begins Run. The arm answers with Spawned, IsReady, StartFailed or
	// Absent.
	Start ActionOp = iota + 1
	// Adopt takes over Run, begun by an earlier epoch and still alive. The arm
	// answers as it would have, had it begun Run itself.
	Adopt
	// Stop asks the main process of Run to end (Signal, then SIGCONT); a kind
	// without a process lets go of what it holds. Answered by Exited and Empty
	// (by Empty alone where there is no process).
	Stop
	// Kill ends every process of Run (cgroup.kill). Answered like Stop.
	Kill
	// Release says that nobody waits for Run any more: what the arm keeps for
	// it (notify socket, empty cgroup) may go.
	Release
	// SetTimer asks for TimerFired{Unit, Timer, Gen} at At.
	SetTimer
	// Commit says that a snapshot holds everything up to the event Seq of
	// Unit's Run: its source may forget it.
	Commit
	// Say is one line for the console and the log: a transition of Unit from
	// From to To, or, with From == To, a note about it. To BackOff, At is when
	// it is tried again; 0: its arm never stopped trying.
	Say
	// EndNow: everything that could be stopped is; the keeper does the rest.
	EndNow
	// Signal sends Signal to the main process of Run.
	Signal
	// Clear ends every process that is of no run: sessions, what people left
	// running, containers. Signal is 0 (they are only watched), SIGTERM (they are
	// asked, and killed soon after) or SIGKILL. Answered by Cleared, sooner or
	// later, except where they are only watched and stay. No Unit.
	Clear
)

// Action is something to be done. Which fields count depends on Op.
type Action struct {
	Op       ActionOp
	Unit     *Unit
	Run      Run
	Part     Part // of Start and Adopt: what the run executes; To of Adopt: its state
	Pid      int  // of Adopt: the main process as MainPid said; 0: it did not
	Signal   int
	Timer    TimerFor
	Gen      uint32
	At       Time
	From, To State
	Text     string
	How      How
	Seq      uint64
}

// Report is everything that svc status shows of a unit.
type Report struct {
	Name        string `json:"name"`
	Kind        Kind   `json:"kind"`
	Description string `json:"description,omitempty"`
	File        string `json:"file,omitempty"`
	State       State  `json:"state"`
	Up          bool   `json:"up"` // desired
	Essential   bool   `json:"essential,omitempty"`
	Since       Time   `json:"since_ns"` // boot time of the last transition
	Run         Run    `json:"run,omitempty"`
	Pid         int    `json:"pid,omitempty"`
	Part        Part   `json:"part,omitempty"`   // the hook that runs; 0: none
	Memory      int64  `json:"memory,omitempty"` // bytes charged to the unit's cgroup or resident
	Restarts    int    `json:"restarts"`
	Exit        Status `json:"exit,omitempty"`     // how its main process ended last; 0: well, or not yet
	Retry       Time   `json:"retry_ns,omitempty"` // BackOff: when
	Note        string `json:"note,omitempty"`     // the unit's own word
	Why         string `json:"why,omitempty"`      // why it is not ready
	Sick        string `json:"sick,omitempty"`     // how its health check fails; empty: it does not
	Waits       []Wait `json:"waits,omitempty"`    // what it waits for

	// Of a task or a timer.
	Next     int64         `json:"next_ns,omitempty"` // Unix time of the next run
	NextText string        `json:"next,omitempty"`    // the same for people
	LastRun  Time          `json:"last_run_ns,omitempty"`
	LastTook time.Duration `json:"last_took_ns,omitempty"`

	StartTimeout time.Duration `json:"start_timeout_ns,omitempty"`
	StopTimeout  time.Duration `json:"stop_timeout_ns,omitempty"`

	LastLines []string `json:"last_lines,omitempty"`
	Processes int      `json:"processes,omitempty"`
	Sessions  int      `json:"sessions,omitempty"` // of a unit that stops by its main process alone
}

// Well says whether the unit needs no attention.
func (r *Report) Well() bool {
	return (r.State.Well() || r.Kind == Timer && r.State == Waiting && r.Why == "") && r.Sick == ""
}

// Wait is one thing that a unit waits for.
type Wait struct {
	Name string `json:"name"`           // of a unit
	Text string `json:"text,omitempty"` // more about it
}

// Span is the way of one unit through the boot and the end, on CLOCK_BOOTTIME;
// 0: not yet.
type Span struct {
	Name      string `json:"name"`
	Kind      Kind   `json:"kind"`
	Asked     Time   `json:"asked_ns,omitempty"` // it was to run
	Began     Time   `json:"began_ns,omitempty"` // its first run began
	Ready     Time   `json:"ready_ns,omitempty"` // it was ready for the first time
	Failed    Time   `json:"failed_ns,omitempty"`
	Stopping  Time   `json:"stopping_ns,omitempty"` // at the end of the machine
	Stopped   Time   `json:"stopped_ns,omitempty"`
	After     string `json:"after,omitempty"`      // the last thing that its start waited for
	StopAfter string `json:"stop_after,omitempty"` // the last thing that its stop waited for
}

// Node is a unit in the graph, as svc graph shows it.
type Node struct {
	Name  string   `json:"name"`
	Kind  Kind     `json:"kind"`
	State State    `json:"state"`
	Needs []string `json:"needs,omitempty"`
	Wants []string `json:"wants,omitempty"`
	After []string `json:"after,omitempty"`
}

// Reason is one line of why a unit is as it is: Depth 0 is the unit itself,
// what comes below it is deeper.
type Reason struct {
	Depth int    `json:"depth"`
	Name  string `json:"name"`
	State State  `json:"state"`
	Text  string `json:"text"`
	Since Time   `json:"since_ns"`
}

// Change is what a new configuration does to one unit.
type Change struct {
	Name string   `json:"name"`
	Op   ChangeOp `json:"op"`
	// Keys that differ, of Changed.
	Keys []string `json:"keys,omitempty"`
	// Restart: its process has to be started anew for it.
	Restart bool `json:"restart,omitempty"`
}

// ChangeOp says what becomes of a unit.
type ChangeOp string

const (
	Added   ChangeOp = "added"
	Removed ChangeOp = "removed"
	Changed ChangeOp = "changed"
)
