package launch

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

var errUnknown = errors.New("unknown")

// checkLimits finds what is wrong before anything has been done.
func checkLimits(limits []Limit) *Failure {
	for _, l := range limits {
		if _, ok := unit.LimitNumber(l.Resource); !ok {
			return fail("limit", l.Resource, errUnknown)
		}
		if l.Soft > l.Hard {
			return fail("limit", l.Resource, errors.New("the soft limit is above the hard one"))
		}
	}
	return nil
}

// limit sets what was checked. From here on this process may be unable to open,
// map or start anything more.
func limit(limits []Limit) *Failure {
	files := Limit{"nofile", FilesSoft, FilesHard}
	for _, l := range limits {
		n, _ := unit.LimitNumber(l.Resource)
		if n == unix.RLIMIT_NOFILE {
			files = l
			continue
		}
		if err := unix.Setrlimit(n, &unix.Rlimit{Cur: l.Soft, Max: l.Hard}); err != nil {
			return fail("limit", l.Resource, err)
		}
	}
	if err := limitFiles(files.Soft, files.Hard); err != nil {
		return fail("limit", files.Resource, err)
	}
	return nil
}

// limitFiles sets RLIMIT_NOFILE. Where the hard limit may not be raised (in a
// container without CAP_SYS_RESOURCE) it stays: fewer files are better than no
// service.
func limitFiles(soft, hard uint64) error {
	err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: soft, Max: hard})
	if err != unix.EPERM {
		return err
	}
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		return err
	}
	hard = min(hard, now.Max)
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: min(soft, hard), Max: hard})
}

// prioritize says how gladly the process is killed and how it shares processors
// and disks. All but the first are a thread's own, and execve(2) keeps those of
// the thread that calls it.
func prioritize(s *Spec) *Failure {
	oom := strconv.Itoa(int(s.OOM))
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(oom), 0); err != nil {
		return fail("oom_score", oom, bare(err))
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, int(s.Nice)); err != nil {
		return fail("nice", strconv.Itoa(int(s.Nice)), err)
	}
	if s.IOClass != "" {
		class, err := ioClass(s.IOClass, s.IOLevel)
		if err != nil {
			return fail("io_class", s.IOClass, err)
		}
		const process = 1 // IOPRIO_WHO_PROCESS; 0: this thread
		if _, _, e := unix.RawSyscall(unix.SYS_IOPRIO_SET, process, 0, class); e != 0 {
			return fail("io_class", s.IOClass, e)
		}
	}
	if s.Policy != "" {
		n, err := policy(s.Policy, s.Priority)
		if err != nil {
			return fail("policy", s.Policy, err)
		}
		// struct sched_param is the priority alone.
		if _, _, e := unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, n, uintptr(unsafe.Pointer(&s.Priority))); e != 0 {
			return fail("policy", s.Policy, e)
		}
	}
	return nil
}

// bare is an error without the path that the word before it already is.
func bare(err error) error {
	var e unix.Errno
	if errors.As(err, &e) {
		return e
	}
	return err
}

// ioClass is the number of ioprio_set(2): the class above bit 13, then the level.
func ioClass(name string, level int32) (uintptr, error) {
	for n, known := range [...]string{"", "realtime", "best-effort", "idle"} {
		if name != known {
			continue
		}
		if level < 0 || level > 7 {
			return 0, fmt.Errorf("level %d is not within 0 to 7", level)
		}
		if name == "idle" {
			level = 0
		}
		return uintptr(n)<<13 | uintptr(level), nil
	}
	return 0, errUnknown
}

// policy is the number of sched_setscheduler(2).
func policy(name string, priority int32) (uintptr, error) {
	for n, known := range [...]string{"other", "fifo", "rr", "batch", "", "idle"} {
		if name != known {
			continue
		}
		realtime := n == unix.SCHED_FIFO || n == unix.SCHED_RR
		if realtime && (priority < 1 || priority > 99) {
			return 0, fmt.Errorf("priority %d is not within 1 to 99", priority)
		}
		if !realtime && priority != 0 {
			return 0, fmt.Errorf("has no priority %d; fifo and rr have", priority)
		}
		return uintptr(n), nil
	}
	return 0, errUnknown
}
