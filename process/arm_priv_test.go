//go:build priv

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"hoopy/process/launch"
	"hoopy/unit"
)

func TestService(t *testing.T) {
	b := newBench(t)
	u := shell("a", "echo one; echo two >&2; exit 3")
	id := b.start(u)
	b.expect("spawned", "ready", "exit 3", "empty")
	if d := cmp.Diff([]string{"one", "two"}, b.lines("a")); d != "" {
		t.Error(d)
	}
	b.do(unit.Release, u, id)
	b.over()
}

func TestStartFails(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/nosuch/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		unit unit.Unit
		want string
	}{
		{unit.Unit{Command: []string{"/nosuch"}}, `exec "/nosuch": no such file or directory`},
		{unit.Unit{Command: []string{script}}, fmt.Sprintf(`exec %q: its interpreter "/nosuch/interpreter": no such file or directory`, script)},
		{unit.Unit{Command: []string{plain}}, fmt.Sprintf("exec %q: permission denied", plain)},
		{unit.Unit{Command: []string{"/bin/true"}, Process: unit.Process{Directory: "/nosuch"}}, `chdir "/nosuch": no such file or directory`},
		{unit.Unit{Command: []string{"/bin/true"}, Process: unit.Process{User: "nosuch"}}, `user "nosuch": no such user in /etc/passwd`},
		{unit.Unit{Command: []string{"/bin/true"}, Process: unit.Process{Group: "nosuch"}}, `user: no group "nosuch" in /etc/group`},
	} {
		b := newBench(t)
		c.unit.Name = "bad"
		id := b.start(&c.unit)
		ev := b.expect("failed: " + c.want)
		if ev.Seq == 0 {
			t.Error("nothing to commit")
		}
		if d := cmp.Diff([]string{c.want}, b.lines("bad")); d != "" {
			t.Error(d)
		}
		b.do(unit.Release, &c.unit, id)
		b.over()
	}
}

// A start that fails before there is anything to spawn: that, and nothing else.
func TestStartFailsEarly(t *testing.T) {
	b := newBench(t)
	u := acting("n", unit.ByNotify, "act:notify-stay")
	b.arm.cfg.RunDir = filepath.Join(b.run, strings.Repeat("x", 100))
	id := b.start(u)
	if ev := b.next(); ev.Op != unit.StartFailed || !strings.Contains(ev.Text, "bytes, more than 107") {
		t.Fatal(word(ev))
	}
	b.do(unit.Kill, u, id)
	b.do(unit.Release, u, id)
	b.over()
	if len(b.events) != 0 {
		t.Error(word(b.next()))
	}
}

// TestInside looks at everything that a service is given.
func TestInside(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	os.Chmod(filepath.Dir(dir), 0o755)
	u := shell("inside", `
echo "umask $(umask)"; echo "dir $PWD"; echo "files $(ulimit -Sn) $(ulimit -Hn)"; echo "oom $(cat /proc/self/oom_score_adj)"
echo "stdin $(readlink /proc/self/fd/0)"; echo "env $PATH $HOME $USER $LOGNAME $A"
grep -E '^(Uid|Gid|Groups|SigBlk|SigIgn|SigCgt|CapEff|CapPrm):' /proc/self/status
ls -x -w 1000 /proc/$$/fd
read pid comm state ppid pgrp session rest < /proc/$$/stat; [ $session = $$ ] && echo leader
grep ^0:: /proc/$$/cgroup
exit 0`)
	u.User, u.Group, u.Directory, u.Umask, u.Env = "nobody", "", dir, 0o27, []string{"A=b c"}
	id := b.start(u)
	b.expect("spawned", "ready", "exit 0", "empty")
	got := strings.Join(b.lines("inside"), "\n")
	for _, want := range []string{"umask 0027", "dir " + dir, "files 1024 " + filesHard(), "oom 0", "stdin /dev/null",
		"env /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "nobody nobody b c", "Uid:\t65534\t65534\t65534\t65534",
		"Gid:\t65534\t65534\t65534\t65534", "SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000", "CapEff:\t0000000000000000",
		"CapPrm:\t0000000000000000", "\n0  1  2\n", "leader", "/svc/inside/" + runName(id)} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q", want)
		}
	}
	if t.Failed() {
		t.Errorf("it said:\n%s", got)
	}
}

// filesHard is the hard limit that a service gets: 524288, unless we may not
// raise ours.
func filesHard() string {
	var l unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &l)
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: l.Cur, Max: launch.FilesHard}) != nil {
		return strconv.FormatUint(l.Max, 10)
	}
	return strconv.Itoa(launch.FilesHard)
}

func TestStop(t *testing.T) {
	b := newBench(t)
	u := shell("s", "echo up; exec sleep 1000")
	id := b.start(u)
	ev := b.expect("spawned", "ready")
	_ = ev
	b.line("s", "up")
	b.do(unit.Stop, u, id)
	b.expect("signal 15", "empty")
	b.do(unit.Release, u, id)
	b.over()
}

// A stopped process hears the stop signal; another signal than TERM is sent
// when the unit says so.
func TestStopOfAStoppedProcess(t *testing.T) {
	b := newBench(t)
	u := shell("s", `trap 'echo bye; exit 5' HUP; kill -STOP $$; while :; do sleep 0.01; done`)
	u.StopSignal = int(unix.SIGHUP)
	id := b.start(u)
	pid := 0
	for pid == 0 {
		if ev := b.next(); ev.Op == unit.Spawned {
			pid = ev.Pid
		}
	}
	b.until("it is stopped", func() bool {
		s, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return strings.Contains(string(s), ") T ")
	})
	b.do(unit.Stop, u, id)
	b.expect("ready", "exit 5", "empty")
	if d := cmp.Diff([]string{"bye"}, b.lines("s")); d != "" {
		t.Error(d)
	}
}

// What a service leaves behind, in sessions of its own, keeps it from being
// empty until it is killed.
func TestKillOfAll(t *testing.T) {
	b := newBench(t)
	u := shell("k", `setsid sh -c 'setsid sleep 1000 & sleep 1000' & echo up; exit 0`)
	id := b.start(u)
	b.expect("spawned", "ready", "exit 0")
	if n := b.arm.Processes("k"); n == 0 {
		t.Error("nothing is left to kill")
	}
	if b.arm.Memory("k") <= 0 {
		t.Error("no memory")
	}
	select {
	case ev := <-b.events:
		t.Fatalf("%s while processes live", word(ev))
	default:
	}
	b.do(unit.Kill, u, id)
	b.expect("empty")
	if n := b.arm.Processes("k"); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	b.do(unit.Release, u, id)
	b.over()
}

func TestTTY(t *testing.T) {
	b := newBench(t)
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no pseudo terminals: %v", err)
	}
	master := os.NewFile(uintptr(m), "ptmx")
	defer master.Close()
	n, err := unix.IoctlGetInt(m, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	u := shell("tty", `exec 3>/dev/tty; echo "term $TERM at $(readlink /proc/self/fd/0)"; read x; echo "got $x" >&3; exit 7`)
	u.TTY = fmt.Sprintf("pts/%d", n)
	b.start(u)
	b.expect("spawned", "ready")
	master.Write([]byte("word\n"))
	b.expect("exit 7", "empty")
	buf := make([]byte, 4096)
	k, _ := master.Read(buf)
	got := string(buf[:k])
	for k > 0 && !strings.Contains(got, "got word") {
		k, _ = master.Read(buf)
		got += string(buf[:k])
	}
	if !strings.Contains(got, fmt.Sprintf("at /dev/pts/%d", n)) || !strings.Contains(got, "got word") {
		t.Errorf("on the terminal: %q", got)
	}
	bad := shell("tty2", "true")
	bad.TTY = "ttyNOSUCH"
	b.start(bad)
	b.expect("absent: no terminal ttyNOSUCH on this machine")
}

// A frozen cgroup: the launcher never comes to run. Others start all the same,
// and it can be killed.
func TestFrozenStart(t *testing.T) {
	// The mini keeper forks in this process: a collection would wait for the
	// fork that hangs, and the test for the collection. And a fork that hangs
	// keeps one of the runtime's processors.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	b := newBench(t)
	group := filepath.Join(b.root, groupOf("f"))
	if err := os.MkdirAll(group, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(group, "cgroup.freeze"), []byte("1"), 0); err != nil {
		t.Skipf("no freezer here: %v", err)
	}
	u := shell("f", "echo never")
	id := b.start(u)
	b.until("the launcher is there", func() bool { return b.arm.Processes("f") == 1 })
	b.start(shell("other", "exit 0"))
	b.expect("spawned", "ready", "exit 0", "empty")
	b.do(unit.Kill, u, id)
	for ev := b.next(); ev.Op != unit.Empty && ev.Op != unit.StartFailed; ev = b.next() {
	}
	if lines := b.lines("f"); len(lines) != 0 {
		t.Errorf("%q", lines)
	}
}

func TestLimits(t *testing.T) {
	b := newBench(t)
	u := shell("l", "exit 0")
	u.PidsMax, u.MemoryMax = 7, 64<<20
	b.start(u)
	b.expect("spawned", "ready", "exit 0", "empty")
	for file, want := range map[string]string{"pids.max": "7", "memory.max": strconv.Itoa(64 << 20)} {
		got, err := os.ReadFile(filepath.Join(b.root, "svc/l", file))
		if err != nil {
			t.Skipf("no controller for %s in %s", file, b.root)
		}
		if strings.TrimSpace(string(got)) != want {
			t.Errorf("%s: %q", file, got)
		}
	}
}
