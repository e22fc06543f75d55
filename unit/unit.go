// Package unit is the vocabulary of hoopy: what a unit is, which states it can
// be in, what can happen to it (events) and what is done about it (actions).
//
// The package is pure: it makes no system call, reads no clock and starts no
// goroutine. The supervisor decides with these types, sources and arms speak
// in them, svc shows them; so each of those can be tested without the others.
package unit

import (
	"strings"
	"time"
)

// Kind says what a unit is, and by that which arm carries out its actions.
type Kind uint8

const (
	// Service is a process that is meant to stay.
	Service Kind = iota
	// Task is a process that runs once; it is ready when it exited with 0 and
	// stays ready.
	Task
	// Link is a network interface with its addresses.
	Link
	// Milestone is a point that the boot passes. Once reached it stays reached
	// until the end, whatever becomes of the units that led to it.
	Milestone
	// Timer is a process that runs once each time that it is due; between its
	// runs it waits.
	Timer
	// Device is a device node, or a disk by one of its names.
	Device
	// Mount is a file system in its place, or swap space.
	Mount
	// Pool is an imported pool of ZFS.
	Pool
)

// String is the word used in unit files, status tables and logs.
func (k Kind) String() string { return word(kindWords[:], int(k)) }

var kindWords = [...]string{"service", "task", "link", "milestone", "timer", "device", "mount", "pool"}

// HasProcess says whether the kind is carried out by a process of its own.
func (k Kind) HasProcess() bool { return k == Service || k == Task || k == Timer }

// State is the current state of a unit. The exits of each state are listed
// with it; supervisor/step.go is the only place that takes them.
type State uint8

const (
	// Inactive: not asked for, nothing runs. → Waiting.
	Inactive State = iota
	// Waiting: asked for; an edge is not met yet. → Starting, Ready (milestone),
	// Failed (it needs what does not exist), Inactive.
	Waiting
	// Starting: a run has begun and is not ready. → Ready, Stopping, BackOff,
	// Failed.
	Starting
	// Ready: does what it is there for. → Stopping, Starting (a link that lost
	// its address), BackOff, Failed.
	Ready
	// Stopping: its processes are being ended. → Inactive, Waiting, BackOff,
	// Failed, Stuck.
	Stopping
	// BackOff: it failed and is tried again at a known time; for a link: the
	// arm goes on trying. → Waiting, Ready (link), Inactive.
	BackOff
	// Failed: it failed and is not tried again without being asked. → Waiting,
	// Inactive.
	Failed
	// Skipped: a condition does not hold on this machine. → Waiting, Inactive.
	Skipped
	// Stuck: processes are left that survived SIGKILL (uninterruptible sleep).
	// → Inactive, Waiting, as soon as they are gone.
	Stuck
)

// String is the word shown in the status table and on the console.
func (s State) String() string { return word(stateWords[:], int(s)) }

var stateWords = [...]string{"inactive", "waiting", "starting", "ready", "stopping",
	"back-off", "failed", "skipped", "stuck"}

// States lists every state, for tables over all of them.
var States = [...]State{Inactive, Waiting, Starting, Ready, Stopping, BackOff, Failed, Skipped, Stuck}

// Well says whether a unit in this state needs no attention.
func (s State) Well() bool { return s == Ready || s == Inactive || s == Skipped }

// MarshalText makes states words in JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *State) UnmarshalText(b []byte) error {
	n, err := index(stateWords[:], b, "state")
	*s = State(n)
	return err
}

// MarshalText makes kinds words in JSON.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *Kind) UnmarshalText(b []byte) error {
	n, err := index(kindWords[:], b, "kind")
	*k = Kind(n)
	return err
}

// ReadyBy says what makes a started unit ready.
type ReadyBy uint8

const (
	// BySpawn: execve(2) succeeded. The default of a service.
	BySpawn ReadyBy = iota
	// ByNotify: READY=1 arrived on the unit's socket, see sd_notify(3).
	ByNotify
	// ByTCP: a socket of the machine listens on Unit.ReadyPort, as sock_diag(7)
	// shows it; nothing connects.
	ByTCP
	// ByExit: the process exited with status 0. The default of a task.
	ByExit
	// ByArm: the arm says so. Every kind without a process.
	ByArm
	// ByUnix: a socket is bound to the path Unit.ReadyPath and listens.
	ByUnix
	// ByFD: a newline arrived on the descriptor Unit.ReadyFD, as s6 has it
	// (notification-fd).
	ByFD
	// ByProbe: Unit.ReadyProbe succeeded.
	ByProbe
	// ByPidFile: the program puts itself into the background and writes the pid
	// of its main process to Unit.ReadyPath.
	ByPidFile
)

// Restart says when a process that ended is started again.
type Restart uint8

const (
	// Always: after every exit. The default of a service.
	Always Restart = iota
	// OnFailure: after a non-zero exit or a signal other than the stop signal.
	OnFailure
	// Never: not. The default of a task.
	Never
)

// Unit is one node of the graph as the configuration declares it; it does not
// change while the supervisor lives. The zero value of a duration is replaced
// by the default of its kind when a file is loaded.
type Unit struct {
	Name        string `json:"name"`
	Kind        Kind   `json:"kind"`
	File        string `json:"file,omitempty"` // where it was declared; empty: built in
	Description string `json:"description,omitempty"`
	Transient   bool   `json:"transient,omitempty"` // made by svc run; gone with the boot

	// Edges, by name. Before has become After of the other unit when a graph
	// was made (see Graph).
	Needs, Wants, After, Before []string

	// Essential units have a deadline, after which their unmet edges no longer
	// hold them back; no need that is lost ever stops one.
	Essential bool
	// Manual units are not started at boot.
	Manual bool
	// Conditions that do not hold when it is to start have it skipped.
	Conditions []Condition

	ReadyBy    ReadyBy
	ReadyPort  uint16 // ByTCP
	ReadyPath  string // ByUnix, ByPidFile
	ReadyFD    int    // ByFD
	ReadyProbe *Probe // ByProbe
	Restart    Restart
	Health     *Health       // nil: nobody asks
	Watchdog   time.Duration // WATCHDOG=1 comes at least that often; 0: need not
	FDStore    int           // descriptors that it may leave for its next run

	// StopMain ends only the main process; what it forked (the sessions of
	// sshd) lives on in the old run's cgroup.
	StopMain   bool
	StopSignal int // 0: SIGTERM

	StartTimeout time.Duration // from the start of a run to ready
	StopTimeout  time.Duration // from the stop signal to SIGKILL
	HookTimeout  time.Duration // of each hook

	Command      []string // argv; Command[0] is an absolute path
	Hooks        [Parts][]string
	ReloadSignal int // what svc reload NAME sends; 0: it runs Hooks[Reload], or cannot

	Process // how its processes run

	LogFile *LogFile     // nil: the ring alone
	Timer   *TimerConfig `json:",omitempty"` // Kind Timer
	Link    *LinkConfig  `json:",omitempty"` // Kind Link
	Mount   *MountConfig `json:",omitempty"` // Kind Mount
	Pool    *PoolConfig  `json:",omitempty"` // Kind Pool
}

// Argv is what a part of the unit executes; nil: it has no such part.
func (u *Unit) Argv(p Part) []string {
	if p == Main {
		return u.Command
	}
	return u.Hooks[p]
}

// LinkConfig is a [[link]] of init.toml.
type LinkConfig struct {
	Name string
	// Match picks the interface: every field that is set must match. MatchName
	// is a shell pattern, MatchMAC six bytes in lower-case hex with colons,
	// MatchDriver the name of the kernel's driver (virtio_net).
	MatchName, MatchMAC, MatchDriver string
	DHCP4                            bool
	Essential                        bool // see Unit.Essential
}

// Machine is init.toml.
type Machine struct {
	Hostname  string   // empty: "hoopy", or what DHCP says
	Modules   []string // loaded by name at boot: what no modalias asks for
	Instances []string // of templates, started at boot
	Links     []LinkConfig
	HostID    uint32 // for ZFS; 0: none
	Mounts    []MountConfig
	Pools     []PoolConfig
	Rules     []DeviceRule
}

// Defaults that DESIGN fixes.
const (
	DefaultStartTimeout = 60 * time.Second
	DefaultStopTimeout  = 10 * time.Second
	DefaultHookTimeout  = 30 * time.Second
	DefaultPidsMax      = 4096
	LeaseTimeout        = 30 * time.Second // a link's StartTimeout
	KillTimeout         = 5 * time.Second  // from SIGKILL to stuck
	EndTimeout          = 90 * time.Second // the whole end
	EssentialDeadline   = 20 * time.Second // then an essential unit's edges no longer hold
	BackOffFirst        = 500 * time.Millisecond
	BackOffMost         = 30 * time.Second
	BackOffReset        = 30 * time.Second // up that long: the next failure starts anew
	WaitNote            = 5 * time.Second  // what waits longer is named on the console
	HealthPeriod        = 10 * time.Second
	HealthTimeout       = 3 * time.Second
	HealthThreshold     = 3 // failures in a row
)

// Names of the milestones that every machine has.
const (
	Devices = "devices" // the first coldplug is through
	Network = "network" // an essential link has an address
	Online  = "online"  // there is a default route
	Boot    = "boot"    // every boot unit is ready, failed or skipped
)

// LinkUnit is the name of the unit of a [[link]].
func LinkUnit(name string) string { return "link:" + name }

// Word errors are for the reader of a foreign JSON document.
type wordError struct{ what, word string }

func (e *wordError) Error() string { return "unknown " + e.what + " \"" + e.word + "\"" }

func word(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return "?"
}

func index(words []string, b []byte, what string) (int, error) {
	for i, w := range words {
		if strings.EqualFold(w, string(b)) {
			return i, nil
		}
	}
	return 0, &wordError{what, string(b)}
}
