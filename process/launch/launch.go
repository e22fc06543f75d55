package launch

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where the keeper puts the spec and the error pipe, see keeper/proto.go.
const (
	specFD  = 3
	errorFD = 4
)

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Main is /init exec NAME. It returns only when the command could not be
// executed, with 127 when there is no such file and 126 otherwise, as sh does;
// by then the Failure is on the error pipe and on stderr.
func Main() int {
	// Priority, credentials and the signal mask are a thread's own; execve
	// keeps those of the thread that calls it.
	runtime.LockOSThread()
	// Not even a child of ours, or the service, is to get these, nor anything
	// that was left open by mistake.
	unix.CloseRange(specFD, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC)
	// A TTY replaces 2; an error still belongs in the log.
	stderr, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		stderr = 2
	}
	spec, err := ReadSpec(specFD)
	f := fail("read spec", "", err)
	if err == nil {
		f = run(spec)
	}
	unix.Write(errorFD, f.append(nil))
	unix.Write(stderr, []byte(f.Text+"\n"))
	if f.Step == "exec" && f.Errno == unix.ENOENT {
		return 127
	}
	return 126
}

// run takes the steps in their order and returns the one that failed.
func run(s *Spec) *Failure {
	if f := session(s.TTY); f != nil {
		return f
	}
	unix.Umask(int(s.Umask))
	if err := limitFiles(s.FilesSoft, s.FilesHard); err != nil {
		return fail("limit open files", "", err)
	}
	if err := os.WriteFile("/proc/self/oom_score_adj", strconv.AppendInt(nil, int64(s.OOM), 10), 0); err != nil {
		return fail("set oom_score_adj", "", err)
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, int(s.Nice)); err != nil {
		return fail("set nice", "", err)
	}
	if f := placed(s.Cgroup); f != nil {
		return f
	}
	dir := s.Directory
	if dir == "" {
		dir = "/"
	}
	if err := unix.Chdir(dir); err != nil {
		return fail("chdir", dir, err)
	}
	a, err := LookupAccount("/etc", s.User, s.Group)
	if err != nil {
		return fail("user", s.User, err)
	}
	if s.User != "" || s.Group != "" {
		if f := become(a); f != nil {
			return f
		}
	}
	// PID 1 does without huge pages and this process inherited that.
	_ = unix.Prctl(unix.PR_SET_THP_DISABLE, 0, 0, 0, 0) // EINVAL: a kernel without them
	env := environment(s, a)
	if err := resetSignals(); err != nil {
		return fail("reset signals", "", err)
	}
	err = syscall.Exec(s.Command[0], s.Command, env)
	return explain(s.Command[0], err)
}

// session makes the process the leader of a session of its own and gives it
// the terminal /dev/tty, if one is named. Opening must not wait for a carrier,
// nor make it the controlling terminal too early.
func session(tty string) *Failure {
	if pid := unix.Getpid(); sid(0) != pid {
		if _, err := unix.Setsid(); err != nil {
			return fail("setsid", "", err)
		}
	}
	if tty == "" {
		return nil
	}
	name := "/dev/" + tty
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail("open terminal", name, err)
	}
	// 0: not from a session that has it. That is the rescue shell, or a person's:
	// two readers of one terminal get every other letter each.
	if err := unix.IoctlSetInt(fd, unix.TIOCSCTTY, 0); err == unix.EPERM {
		return fail("control terminal", name, fmt.Errorf("another session has it (%w)", err))
	} else if err != nil {
		return fail("control terminal", name, err)
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		return fail("control terminal", name, err)
	}
	for i := range 3 {
		if err := unix.Dup3(fd, i, 0); err != nil {
			return fail("dup terminal", name, err)
		}
	}
	return nil
}

func sid(pid int) int {
	n, err := unix.Getsid(pid)
	if err != nil {
		return -1
	}
	return n
}

// limitFiles sets RLIMIT_NOFILE. Where the hard limit may not be raised (in a
// container without CAP_SYS_RESOURCE) it stays: fewer files are better than no
// service.
func limitFiles(soft, hard uint64) error {
	if soft == 0 {
		soft = FilesSoft
	}
	if hard == 0 {
		hard = FilesHard
	}
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

// placed checks that the process is where its signals will go.
func placed(want string) *Failure {
	if want == "" {
		return nil
	}
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return fail("check cgroup", want, err)
	}
	for line := range bytes.Lines(b) {
		if p, ok := strings.CutPrefix(string(bytes.TrimSpace(line)), "0::"); ok {
			if strings.HasSuffix(p, want) {
				return nil
			}
			return fail("check cgroup", want, fmt.Errorf("process is in %q", p))
		}
	}
	return fail("check cgroup", want, fmt.Errorf("no cgroup2 hierarchy"))
}

// become changes to the account; afterwards no capability is left unless it is
// root's. The raw calls change this thread, which is the one that execs.
func become(a *Account) *Failure {
	groups := append([]uint32{a.GID}, a.Groups...)
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0); e != 0 {
		return fail("set groups of", a.Name, e)
	}
	g, u := uintptr(a.GID), uintptr(a.UID)
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, g, g, g); e != 0 {
		return fail("set group of", a.Name, e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, u, u, u); e != 0 {
		return fail("become user", a.Name, e)
	}
	return nil
}

// environment is the standard one with the unit's own over it.
func environment(s *Spec, a *Account) []string {
	env := []string{path, "HOME=" + a.Home, "USER=" + a.Name, "LOGNAME=" + a.Name, "SHELL=" + a.Shell}
	if s.Notify != "" {
		env = append(env, "NOTIFY_SOCKET="+s.Notify)
	}
	switch {
	case s.TTY == "":
	case len(s.TTY) > 3 && s.TTY[3] >= '0' && s.TTY[3] <= '9':
		env = append(env, "TERM=linux")
	default:
		env = append(env, "TERM=vt220")
	}
	for _, e := range s.Env {
		name, _, _ := strings.Cut(e, "=")
		kept := env[:0]
		for _, old := range env {
			if !strings.HasPrefix(old, name+"=") {
				kept = append(kept, old)
			}
		}
		env = append(kept, e)
	}
	return env
}

// resetSignals gives every signal its default action and blocks none. execve(2)
// keeps ignored signals ignored and the mask as it is, and the Go runtime keeps
// what it was started with.
func resetSignals() error {
	var action [4]uint64 // struct sigaction of the kernel: SIG_DFL, no flags
	for sig := uintptr(1); sig <= 64; sig++ {
		if sig == uintptr(unix.SIGKILL) || sig == uintptr(unix.SIGSTOP) {
			continue
		}
		if _, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0); e != 0 {
			return e
		}
	}
	return unix.PthreadSigmask(unix.SIG_SETMASK, new(unix.Sigset_t), nil)
}

// explain says why a file could not be executed; ENOENT of a file that is there
// means its interpreter.
func explain(file string, err error) *Failure {
	f := fail("exec", file, err)
	if err != unix.ENOENT {
		return f
	}
	if _, e := os.Stat(file); e != nil {
		return f
	}
	if in := interpreter(file); in != "" {
		f.Text = fmt.Sprintf("exec %q: its interpreter %q: %v", file, in, err)
	}
	return f
}
