// Package control is the socket between svc and the supervisor: what is asked
// and answered (this file), frames, a server and a client.
//
// The socket is /run/hoopy/control.sock, mode 0666. The kernel says who is at
// the other end (SO_PEERCRED): everyone may ask for the status, only uid 0 may
// change anything or read logs, which can hold secrets. docs/control.md is the
// contract.
//
// One connection carries one request and its answers. Nobody can cost others
// anything: a request has to be whole within RequestTimeout, an answer has to
// be read within WriteTimeout, there are at most ConnMax connections, a full
// house turns the oldest idle one out, and users other than root have small
// requests, of which a few are answered at a time.
package control

import (
	"time"

	"hoopy/unit"
)

// Version of the protocol. It stands in every request and response; a server
// refuses a request of another version and says which it speaks. 2: waits are
// objects, reload answers with changes.
const Version = 2

// Path is where the supervisor listens.
const Path = "/run/hoopy/control.sock"

// LastEnd is the file with the time line of the machine's last end, if that is known:
// cmd/init/lastend.go says what is in it.
const LastEnd = "/run/hoopy/last-end"

// Limits of the protocol.
const (
	FrameMax       = 1 << 20          // bytes of JSON in an answer
	RequestMax     = 64 << 10         // bytes of JSON in a request
	StrangerMax    = 8 << 10          // the same, of who is not root
	Strangers      = 8                // requests of others than root that are answered at a time
	NamesMax       = 4096             // names in a request
	ConnMax        = 256              // connections at a time
	RequestTimeout = 10 * time.Second // from accept to the whole request
	WriteTimeout   = 5 * time.Second  // for each frame of an answer
	StatusTimeout  = 5 * time.Second  // for the supervisor to know its status
	WaitDefault    = 2 * time.Minute  // Request.Wait unless said
	WaitMax        = 25 * time.Hour   // longest Request.Wait: above the longest time-out of a unit
)

// Op is what is asked.
type Op string

const (
	Status  Op = "status"  // Names: of these units; none: of all
	Ping    Op = "version" // the Machine alone
	Start   Op = "start"   // start Names and what they need
	Stop    Op = "stop"    // stop Names; Force: and what needs them
	Restart Op = "restart" // stop and start Names
	Logs    Op = "logs"    // the last N lines of Names, merged; Follow: and what comes
	Reload  Op = "reload"  // read the configuration anew; Dry: only say what that would change
	End     Op = "end"     // end the machine as How says

	ReloadUnits Op = "reload-units" // have Names read their own configuration anew
	Reset       Op = "reset"        // forget past failures of Names
	Signal      Op = "signal"       // send Signal to the main processes of Names
	Wait        Op = "wait"         // until Names have settled: a task has ended, a service is up or has given up
	Run         Op = "run"          // start the transient unit that Unit (TOML) describes as Names[0]
	Exec        Op = "exec"         // prepare Command to run as Names[0] does
	Graph       Op = "graph"        // Nodes
	Blame       Op = "blame"        // Spans
	Unlock      Op = "unlock"       // load the key of the dataset Names[0] with the passphrase Secret
	Why         Op = "why"          // Reasons of Names[0]
)

// Request is a question. Version comes first. Which fields count depends on Op.
type Request struct {
	Version int      `json:"version"`
	Op      Op       `json:"op"`
	Names   []string `json:"names,omitempty"`
	Force   bool     `json:"force,omitempty"`  // Stop: what needs Names too
	Dry     bool     `json:"dry,omitempty"`    // Reload: change nothing
	How     string   `json:"how,omitempty"`    // End: "power-off", "reboot", "halt"
	Signal  int      `json:"signal,omitempty"` // Signal: its number on Linux

	Unit    string   `json:"unit,omitempty"`    // Run: what svc/NAME.toml would hold
	Secret  []byte   `json:"secret,omitempty"`  // Unlock: a passphrase, that is neither logged nor kept
	Command []string `json:"command,omitempty"` // Exec: argv

	// Of Logs: the last N lines, all of them if it is negative; of All units
	// instead of Names; the Kernel's log as well; only what was said at Since
	// (CLOCK_BOOTTIME) or later; and, with Follow, what comes.
	N      int       `json:"n,omitempty"`
	All    bool      `json:"all,omitempty"`
	Kernel bool      `json:"kernel,omitempty"`
	Since  unit.Time `json:"since_ns,omitempty"`
	Follow bool      `json:"follow,omitempty"`

	// Wait bounds what waits for units to settle (Start, Stop, Restart,
	// ReloadUnits, Reset, Signal, Wait), or for those to stop that a Reload
	// stops; 0: WaitDefault. When it is over the answer is CodeTimeout with the
	// units as they are then; what was asked for goes on.
	Wait time.Duration `json:"wait_ns,omitempty"`

	// From is the address the asker logged in from and Via the command, as the
	// client tells them. They are shown, not trusted.
	From string `json:"from,omitempty"`
	Via  string `json:"via,omitempty"`
}

// Response is an answer, or a part of it: More says that another follows.
type Response struct {
	Version int           `json:"version"`
	Error   *Error        `json:"error,omitempty"`
	Machine *Machine      `json:"machine,omitempty"`
	Units   []unit.Report `json:"units,omitempty"`
	Lines   []Line        `json:"lines,omitempty"`
	Changes []unit.Change `json:"changes,omitempty"` // Reload
	Nodes   []unit.Node   `json:"nodes,omitempty"`   // Graph
	Spans   []unit.Span   `json:"spans,omitempty"`   // Blame
	Reasons []unit.Reason `json:"reasons,omitempty"` // Why
	Text    string        `json:"text,omitempty"`    // Unlock: what became of it
	Exec    *Launch       `json:"exec,omitempty"`    // Exec
	More    bool          `json:"more,omitempty"`
}

// Machine is everything that svc status shows above the units.
type Machine struct {
	Hostname string        `json:"hostname"`
	Uptime   unit.Time     `json:"uptime_ns"`          // now, on CLOCK_BOOTTIME
	Boot     time.Duration `json:"boot_ns,omitempty"`  // from the start of PID 1 until boot was reached; 0: not yet
	Image    string        `json:"image,omitempty"`    // of /.hoopy/manifest
	Version  string        `json:"version"`            // of init
	Kernel   string        `json:"kernel,omitempty"`   // uname -r
	Epoch    uint32        `json:"epoch"`              // lives of the supervisor
	Safe     bool          `json:"safe,omitempty"`     // safe mode
	Ending   string        `json:"ending,omitempty"`   // how the machine is ending; empty: it is not
	Mistakes []string      `json:"mistakes,omitempty"` // of the configuration it runs with
	Notes    []string      `json:"notes,omitempty"`    // warnings about the machine
}

// Launch is what svc exec needs to run a command as a unit does: it moves itself
// into the cgroup and executes /init exec with the spec as descriptor 3.
type Launch struct {
	Spec   []byte `json:"spec"`   // of package launch, which svc passes on unread
	Cgroup string `json:"cgroup"` // absolute path of the directory
}

// Line is one line of a log. Unit is empty for the kernel's.
type Line struct {
	Seq   uint64    `json:"seq"`
	Stamp unit.Time `json:"stamp_ns"` // CLOCK_BOOTTIME
	Wall  int64     `json:"wall_ns"`  // the same on the wall clock of now, Unix time in nanoseconds
	Unit  string    `json:"unit"`
	Text  string    `json:"text"`
	// Severity is that of syslog(3) plus one: 1 emergency to 8 debug; 0: none was said.
	Severity int8   `json:"severity,omitempty"`
	Lost     uint64 `json:"lost,omitempty"` // lines that the ring dropped before this one
}

// Code says what kind of error an answer is, for programs.
type Code string

const (
	CodeRequest  Code = "request"  // the request makes no sense
	CodeVersion  Code = "version"  // another version of the protocol
	CodeDenied   Code = "denied"   // only uid 0 may ask that
	CodeUnknown  Code = "unknown"  // no such unit
	CodeExists   Code = "exists"   // there is a unit of that name already
	CodeRefused  Code = "refused"  // the supervisor will not: others need it, the machine is ending
	CodeTimeout  Code = "timeout"  // not settled within Wait
	CodeBusy     Code = "busy"     // too many connections, or too much to do: ask again
	CodeInternal Code = "internal" // a fault of the supervisor
)

// Error is a request that did not work, in words for people.
type Error struct {
	Code Code   `json:"code"`
	Text string `json:"text"`
}

func (e *Error) Error() string { return e.Text }

// Is makes errors.Is compare by Code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// ParseHow reads the words of Request.How.
func ParseHow(s string) (unit.How, bool) {
	for _, h := range [...]unit.How{unit.PowerOff, unit.Reboot, unit.Halt} {
		if h.String() == s {
			return h, true
		}
	}
	return 0, false
}
