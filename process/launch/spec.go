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
	// namespace, opened by root; see openFile for what is refused.
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
	b = append(b, specVersion)
	b = appendList(b, s.Command)
	b = appendText(b, s.Directory)
	b = appendText(b, s.User)
	b = appendText(b, s.Group)
	b = appendList(b, s.Groups)
	b = appendWord(b, int32(s.Umask))
	b = appendText(b, s.Cgroup)
	b = appendList(b, s.Env)
	b = appendList(b, s.EnvFiles)
	b = appendText(b, s.Notify)
	b = appendNumber(b, uint64(s.Watchdog))
	b = appendText(b, s.TTY)
	b = appendText(b, s.Stdin)
	b = appendText(b, s.Stdout)
	b = appendText(b, s.Stderr)
	b = appendBool(b, s.Interactive)
	b = appendWord(b, int32(s.NotifyFD))
	b = appendList(b, s.Listen)
	b = appendNumber(b, uint64(len(s.Limits)))
	for _, l := range s.Limits {
		b = appendNumber(appendNumber(appendText(b, l.Resource), l.Soft), l.Hard)
	}
	b = appendWord(b, s.OOM)
	b = appendWord(b, s.Nice)
	b = appendText(b, s.IOClass)
	b = appendWord(b, s.IOLevel)
	b = appendText(b, s.Policy)
	b = appendWord(b, s.Priority)
	b = appendBool(b, s.Bounded)
	b = appendList(b, s.Bounding)
	b = appendList(b, s.Ambient)
	b = appendBool(b, s.NoNewPrivs)
	b = appendBool(b, s.PrivateTmp)
	b = appendBool(b, s.ReadOnly)
	return appendList(b, s.Writable)
}

// Decode reads what Append wrote, and nothing else: what is left over is an
// error, as are a command without a word and a zero byte in a string.
func (s *Spec) Decode(b []byte) error {
	if len(b) == 0 || len(b) > SpecMax || b[0] != specVersion {
		return ErrSpec
	}
	d := decoder{b: b[1:]}
	*s = Spec{
		Command:     d.list(),
		Directory:   d.text(),
		User:        d.text(),
		Group:       d.text(),
		Groups:      d.list(),
		Umask:       d.word(),
		Cgroup:      d.text(),
		Env:         d.list(),
		EnvFiles:    d.list(),
		Notify:      d.text(),
		Watchdog:    time.Duration(d.number()),
		TTY:         d.text(),
		Stdin:       d.text(),
		Stdout:      d.text(),
		Stderr:      d.text(),
		Interactive: d.bool(),
		NotifyFD:    int(int32(d.word())),
		Listen:      d.list(),
		Limits:      d.limits(),
		OOM:         int32(d.word()),
		Nice:        int32(d.word()),
		IOClass:     d.text(),
		IOLevel:     int32(d.word()),
		Policy:      d.text(),
		Priority:    int32(d.word()),
		Bounded:     d.bool(),
		Bounding:    d.list(),
		Ambient:     d.list(),
		NoNewPrivs:  d.bool(),
		PrivateTmp:  d.bool(),
		ReadOnly:    d.bool(),
		Writable:    d.list(),
	}
	if d.bad || len(d.b) != 0 || len(s.Command) == 0 {
		return ErrSpec
	}
	return nil
}
