// Package launch is the launcher: what runs as /init exec between the keeper's
// clone(2) and the execve(2) of a service. Everything that can fail or wait
// stands here and not in the keeper: the terminal, files, limits, mounts, the
// working directory, capabilities, the change of user, the execve itself.
//
// The supervisor describes the start in a Spec, sealed in a memfd that the
// keeper passes on unread as descriptor 3. What goes wrong comes back as a
// Failure on descriptor 4, which closes by itself when execve succeeds.
package launch

import (
	"errors"
	"time"
)

// Spec is everything that the launcher needs to know. The zero value of each
// field but Command leaves things as the field says.
type Spec struct {
	Command   []string // argv; Command[0] is the file
	Directory string   // empty: /
	User      string   // name or number; empty: root
	Group     string   // name or number; empty: the user's own
	Groups    []string // names or numbers, besides those that group(5) has the user in
	Umask     uint32
	Cgroup    string // what the process's path in the cgroup2 hierarchy must end in; empty: not checked

	// The environment: PATH, HOME, USER, LOGNAME, SHELL and what follows from
	// Notify, Watchdog, Listen and TTY; over it EnvFiles, one after the other;
	// over all that Env.
	Env      []string // NAME=value
	EnvFiles []string // files of such lines, read as root; with - before it one may be missing
	Notify   string   // NOTIFY_SOCKET; empty: none
	Watchdog time.Duration

	// Where 0, 1 and 2 lead. Files are absolute paths in the machine's own mount
	// namespace, opened by root; see openStream for what is refused.
	TTY         string // under /dev: stdin, stdout, stderr and controlling terminal; the next three over it
	Stdin       string // a file; "null"; empty: as the keeper gave it
	Stdout      string // a file that is appended to, made for the user with mode 0640; "null"; empty: as given
	Stderr      string // the same
	Interactive bool   // stay in the caller's session, with its 0, 1 and 2; TTY, Stdin, Stdout and Stderr are not used

	// Descriptors that come as 5, 6, … (OpSpawn's after SpawnStderr): first, if
	// NotifyFD is set, the one that becomes NotifyFD; then one for each of
	// Listen, which become 3, 4, … in that order.
	NotifyFD int      // s6's notification-fd, 3 or more and not one of Listen's numbers; 0: none
	Listen   []string // LISTEN_FDNAMES of sd_listen_fds(3)

	Limits   []Limit // nofile is FilesSoft and FilesHard when it is not here; others stay as the keeper has them
	OOM      int32   // oom_score_adj
	Nice     int32
	IOClass  string // realtime, best-effort or idle; empty: as the nice value says
	IOLevel  int32  // 0, the first, to 7, of realtime and best-effort
	Policy   string // other, batch, idle, fifo or rr, see sched(7); empty: other
	Priority int32  // 1 to 99, of fifo and rr

	// Names as capabilities(7) has them, in any case, with or without CAP_.
	Bounded    bool     // Bounding is all that it can ever have, though it be empty
	Bounding   []string // without Bounded: not used, nothing is taken away
	Ambient    []string // kept across the change of user and the execve
	NoNewPrivs bool

	// Any of these gives it a mount namespace of its own. What the machine mounts
	// later comes in, if the machine's mounts are shared.
	PrivateTmp bool     // an empty tmpfs on /tmp, and on /var/tmp where there is one
	ReadOnly   bool     // everything but Writable and below /dev, /proc, /sys, /run
	Writable   []string // with ReadOnly: stay as they are; with - before it one may be missing
}

// Limit is one of setrlimit(2), in that limit's own unit.
type Limit struct {
	Resource   string // see LimitNumber
	Soft, Hard uint64 // Unlimited: none
}

// Unlimited is RLIM_INFINITY.
const Unlimited = 1<<64 - 1

// Defaults of RLIMIT_NOFILE: soft for select(2), hard for who asks.
const (
	FilesSoft = 1024
	FilesHard = 524288
)

// SpecMax bounds an encoded spec, in bytes.
const SpecMax = 1 << 20

const specVersion = 2

// ErrSpec: the bytes are no spec of this version.
var ErrSpec = errors.New("launch spec: malformed or of another version")

// Append encodes s after b: the version, then every field in order; numbers as
// 8 bytes little endian, strings and lists with their length before them.
func (s *Spec) Append(b []byte) []byte {
	c := codec{b: append(b, specVersion)}
	same := *s
	same.code(&c)
	return c.b
}

// Decode reads what Append wrote, and nothing else: what is left over is an
// error, as are a command without a word and a zero byte in a string.
func (s *Spec) Decode(b []byte) error {
	if len(b) == 0 || len(b) > SpecMax || b[0] != specVersion {
		return ErrSpec
	}
	c := codec{b: b[1:], decode: true}
	*s = Spec{}
	s.code(&c)
	if c.bad || len(c.b) != 0 || len(s.Command) == 0 {
		return ErrSpec
	}
	return nil
}

// code is the order of the fields, for both directions.
func (s *Spec) code(c *codec) {
	umask, notify, watchdog := int32(s.Umask), int32(s.NotifyFD), uint64(s.Watchdog)
	for _, l := range [...]*[]string{&s.Command, &s.Groups, &s.Env, &s.EnvFiles, &s.Listen, &s.Bounding, &s.Ambient, &s.Writable} {
		c.list(l)
	}
	for _, t := range [...]*string{&s.Directory, &s.User, &s.Group, &s.Cgroup, &s.Notify,
		&s.TTY, &s.Stdin, &s.Stdout, &s.Stderr, &s.IOClass, &s.Policy} {
		c.text(t)
	}
	for _, v := range [...]*int32{&umask, &notify, &s.OOM, &s.Nice, &s.IOLevel, &s.Priority} {
		c.word(v)
	}
	for _, v := range [...]*bool{&s.Interactive, &s.Bounded, &s.NoNewPrivs, &s.PrivateTmp, &s.ReadOnly} {
		c.bool(v)
	}
	c.number(&watchdog)
	c.limits(&s.Limits)
	s.Umask, s.NotifyFD, s.Watchdog = uint32(umask), int(notify), time.Duration(watchdog)
}
