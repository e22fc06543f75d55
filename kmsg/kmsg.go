// Package kmsg says plain lines to the kernel's log and to the console, and
// waits for neither longer than a moment.
//
// A line goes to /dev/kmsg as one record with its level, so that dmesg keeps
// the story of the boot, and to the console with the seconds since the machine
// booted before it. Both are opened O_NONBLOCK: a serial line that nobody
// reads, or that is stopped by flow control, costs lines and a tenth of a second
// once. What was dropped is counted, and the count is said as soon as a line passes
// again.
//
// The kernel itself prints records below its console log level (see
// /proc/sys/kernel/printk) on the console; the level in a record is raised to
// that threshold, so that no line is seen twice.
//
// The package does not format: callers join strings. Any process may use it;
// keeper and supervisor both do.
package kmsg

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Level is how much a line matters; the numbers are those of syslog(2).
type Level uint8

// Levels. The console shows all but Debug; with "quiet" on the kernel's command
// line only Warning and worse.
const (
	Error   Level = 3
	Warning Level = 4
	Info    Level = 6
	Debug   Level = 7
)

// RecordMax is the most bytes of one record, prefix and newline included; the
// kernel's own limit is 976 (LOG_LINE_MAX of the oldest supported kernels).
const RecordMax = 900

// Options says where lines go. The zero value is right for a machine.
type Options struct {
	Kmsg    string // empty: /dev/kmsg
	Console string // empty: /dev/console
	Printk  string // empty: /proc/sys/kernel/printk
	Quiet   bool   // only Warning and worse, and final lines, go to the console
	Debug   bool   // Debug lines are said too
}

// Log is an open pair of kernel log and console. Safe for use by several
// goroutines; a nil Log drops everything.
type Log struct {
	mu            sync.Mutex
	opt           Options
	kmsg, console sink
	threshold     Level // records below it are printed by the kernel
	line          [RecordMax]byte
}

// Open opens what can be opened now; what cannot is tried again by Reopen.
func Open(opt Options) *Log {
	if opt.Kmsg == "" {
		opt.Kmsg = "/dev/kmsg"
	}
	if opt.Console == "" {
		opt.Console = "/dev/console"
	}
	if opt.Printk == "" {
		opt.Printk = "/proc/sys/kernel/printk"
	}
	l := &Log{opt: opt, kmsg: sink{fd: -1}, console: sink{fd: -1}}
	l.Reopen()
	return l
}

// Reopen opens what is not open yet (PID 1 starts without /dev/kmsg) and reads
// the kernel's console log level again.
func (l *Log) Reopen() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kmsg.open(l.opt.Kmsg, unix.O_WRONLY)
	l.console.open(l.opt.Console, unix.O_WRONLY|unix.O_APPEND) // keeper and supervisor may share a file
	l.threshold = consoleLevel(l.opt.Printk)
}

// Filter sets quiet and debug, when the command line has been read.
func (l *Log) Filter(quiet, debug bool) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opt.Quiet, l.opt.Debug = quiet, debug
}

// Close closes both; lines said later are dropped.
func (l *Log) Close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kmsg.close()
	l.console.close()
}

// Say says one line, made of parts joined without a space. Control characters
// in it become '?'; what goes beyond RecordMax is cut.
func (l *Log) Say(level Level, parts ...string) { l.say(level, false, parts) }

// Final says a line that reaches the console in quiet mode too: the last words
// of the machine.
func (l *Log) Final(parts ...string) { l.say(Info, true, parts) }

func (l *Log) say(level Level, always bool, parts []string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if level >= Debug && !l.opt.Debug {
		return
	}
	l.kmsg.write(l.record(level, parts))
	if always || level <= Warning || !l.opt.Quiet {
		l.console.write(l.screen(parts))
	}
}

// record is "<prio>hoopy: text\n": facility 3, "daemon", as syslog(3) has it.
func (l *Log) record(level Level, parts []string) []byte {
	b := append(l.line[:0], '<')
	b = appendInt(b, int64(3<<3|max(level, l.threshold)))
	b = append(b, ">hoopy: "...)
	return l.finish(b, parts)
}

// screen is "[ 12.345] text\r\n".
func (l *Log) screen(parts []string) []byte {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // cannot fail: the clock is known
	b := append(l.line[:0], '[')
	for pad := int64(10); pad <= 1000 && ts.Sec < pad; pad *= 10 {
		b = append(b, ' ')
	}
	b = appendInt(b, ts.Sec)
	ms := ts.Nsec / 1e6
	b = append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
	b = append(b, "] "...)
	b = l.finish(b, parts)
	b[len(b)-1] = '\r'
	return append(b, '\n')
}

// finish appends the text and a newline, leaving room for one byte more.
func (l *Log) finish(b []byte, parts []string) []byte {
	for _, p := range parts {
		for i := 0; i < len(p) && len(b) < RecordMax-2; i++ {
			c := p[i]
			if c < ' ' && c != '\t' || c == 0x7f {
				c = '?'
			}
			b = append(b, c)
		}
	}
	return append(b, '\n')
}

// Drain waits until the console has put out everything, at most ms
// milliseconds: the last line must be out before the power is off.
func (l *Log) Drain(ms int) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for ; ms > 0 && l.console.fd >= 0; ms -= 5 {
		left, err := unix.IoctlGetInt(l.console.fd, unix.TIOCOUTQ)
		if err != nil || left == 0 {
			return
		}
		_, _ = unix.Poll(nil, 5) // a bounded wait; EINTR shortens it
	}
}
