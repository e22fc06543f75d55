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
// by then the Failure is on the error pipe and on what stderr was at first.
func Main() int {
	// Priority, credentials, mounts and the signal mask are a thread's own;
	// execve keeps those of the thread that calls it.
	runtime.LockOSThread()
	// Not even a child of ours, or the service, is to get these, nor anything
	// that was left open by mistake.
	unix.CloseRange(specFD, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC)
	d := descriptors{report: errorFD, stderr: 2}
	spec, err := ReadSpec(specFD)
	f := fail("read spec", "", err)
	if err == nil {
		f = run(spec, &d)
	}
	unix.Write(d.report, f.append(nil))
	unix.Write(d.stderr, []byte(f.Text+"\n"))
	if f.Step == "exec" && f.Errno == unix.ENOENT {
		return 127
	}
	return 126
}

// run takes the steps and returns the one that failed. Their order:
//
//   - First what only looks at the spec and at files of the machine, as root and
//     in the machine's own mounts: nothing has been changed when a word is wrong.
//   - Then what needs root's rights: terminal, files, priorities, mounts.
//   - The working directory is one of the service's own mounts.
//   - Limits come after everything that opens, maps or may start a thread, for
//     this process has to live under them too (nofile, as, data, and nproc once
//     it is the user's), and before the user, for raising one takes
//     CAP_SYS_RESOURCE.
//   - The bounding set is lowered while CAP_SETPCAP is there; the ambient set is
//     raised after the change of user, which empties it. no_new_privs is last:
//     nothing after it may want a right.
func run(s *Spec, d *descriptors) *Failure {
	if f := d.clear(s); f != nil {
		return f
	}
	if f := checkLimits(s.Limits); f != nil {
		return f
	}
	caps, f := capabilities(s)
	if f != nil {
		return f
	}
	a, err := LookupAccount("/etc", s.User, s.Group, s.Groups...)
	if err != nil {
		return fail("user", s.User, err)
	}
	files, f := envFiles(s.EnvFiles)
	if f != nil {
		return f
	}
	env := environment(s, a, files, strconv.Itoa(unix.Getpid()))

	if !s.Interactive {
		if f := session(s.TTY); f != nil {
			return f
		}
		if f := streams(s, a); f != nil {
			return f
		}
	}
	if f := placed(s.Cgroup); f != nil {
		return f
	}
	if f := prioritize(s); f != nil {
		return f
	}
	if f := private(s); f != nil {
		return f
	}
	unix.Umask(int(s.Umask))
	dir := s.Directory
	if dir == "" {
		dir = "/"
	}
	if err := unix.Chdir(dir); err != nil {
		return fail("chdir", dir, err)
	}
	// PID 1 does without huge pages and this process inherited that.
	_ = unix.Prctl(unix.PR_SET_THP_DISABLE, 0, 0, 0, 0) // EINVAL: a kernel without them

	if f := d.place(); f != nil {
		return f
	}
	if f := limit(s.Limits); f != nil {
		return f
	}
	if f := caps.lower(); f != nil {
		return f
	}
	if s.User != "" || s.Group != "" || len(s.Groups) > 0 {
		if f := become(a, caps.ambient != 0); f != nil {
			return f
		}
	}
	if f := caps.raise(a.UID); f != nil {
		return f
	}
	if s.NoNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fail("no_new_privs", "", err)
		}
	}
	if err := resetSignals(); err != nil {
		return fail("reset signals", "", err)
	}
	err = syscall.Exec(s.Command[0], s.Command, env)
	if err == unix.EAGAIN {
		// setuid(2) does not fail over this limit, the execve after it does.
		return fail("limit", "nproc", fmt.Errorf("%s has as many processes already: %w", a.Name, err))
	}
	return explain(s.Command[0], err)
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
