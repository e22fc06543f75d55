//go:build priv

package process

import (
	"debug/elf"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/keeper"
	"hoopy/unit"
)

// The real keeper as PID 1 of its own namespaces, with supervisors that kill
// themselves at any moment while a service writes.

const (
	killedEpochs = 25
	countedLines = 20000
)

func init() {
	faces["pid1"], faces["keep"], faces["supervise"] = pid1, keep, supervise
}

func must(what string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, what+":", err)
		os.Exit(3)
	}
}

// pid1 makes a root like that of an initramfs, with a cgroup as the root of its
// cgroup namespace, and executes the keeper in it.
func pid1(args []string) {
	shared, cgroup := args[0], args[1]
	runtime.LockOSThread()
	must("private", unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""))
	// The keeper moves its root once more and leaves mounts below it behind, so
	// what is shared is a directory of the root itself.
	root := shared
	must("bind", unix.Mount(root, root, "", unix.MS_BIND, ""))
	must("move", os.WriteFile(cgroup+"/cgroup.procs", []byte("0"), 0))
	must("unshare", unix.Unshare(unix.CLONE_NEWCGROUP))
	self, err := os.ReadFile("/proc/self/exe")
	must("read self", err)
	must("copy self", os.WriteFile(root+"/init", self, 0o755))
	must("chroot", unix.Chroot(root))
	must("chdir", unix.Chdir("/"))
	must("close_range", unix.CloseRange(3, 1<<32-1, unix.CLOSE_RANGE_CLOEXEC))
	must("exec", unix.Exec("/init", []string{"/init", "keep", "x"}, nil))
}

func keep([]string) {
	cfg := keeper.Config{Self: "/init", Watchdog: "-", DeathWindow: keeper.Millisecond,
		Procs: runtime.GOMAXPROCS, StopGC: func() { debug.SetGCPercent(-1) }, Stack: debug.Stack,
		Reboot: func(int) error { os.Exit(0); return nil }}
	cfg.Log.Console, cfg.Log.Kmsg = "/test/console", "/test/kmsg"
	keeper.Run(cfg)
	os.Exit(4)
}

// supervise is one epoch: it starts or adopts the service, and lives for a few
// milliseconds, but for the last one, which writes what became of the service.
func supervise(args []string) {
	n, err := strconv.Atoi(args[0])
	must("epoch", err)
	conn, err := NewKeeper(keeper.SupervisorFD, uint32(n))
	must("keeper", err)
	if _, err := os.Stat("/test/daemons"); err == nil {
		superviseDaemons(n, conn)
	}
	if n <= killedEpochs {
		go func() {
			time.Sleep(time.Duration(rand.IntN(15000)) * time.Microsecond)
			unix.Kill(os.Getpid(), unix.SIGKILL)
		}()
	}
	table, err := conn.Hello(bound)
	must("hello", err)
	events := make(chan unit.Event, 1000)
	conn.OnSignal, conn.OnPing = func(int) {}, conn.Pong
	conn.OnLost = func(err error) { must("lost", err) }
	arm, err := New(Config{Keeper: conn, Table: table, Epoch: uint32(n), Emit: func(ev unit.Event) { events <- ev },
		Log: func(s string) { fmt.Fprintln(os.Stderr, s) }})
	must("arm", err)
	go conn.Serve()
	u := &unit.Unit{Name: "w", Command: []string{"/init", "act:count", strconv.Itoa(countedLines)}, Essential: true}
	switch len(table.Rows) {
	case 0:
		arm.Do(unit.Action{Op: unit.Start, Unit: u, Run: unit.Run(n)<<32 | 1})
	case 1:
		arm.Do(unit.Action{Op: unit.Adopt, Unit: u, Run: table.Rows[0].Run})
	default:
		must("rows", fmt.Errorf("%d of them", len(table.Rows)))
	}
	if n <= killedEpochs {
		select {}
	}
	var said []string
	for {
		select {
		case ev := <-events:
			said = append(said, word(ev))
			if ev.Op != unit.Empty && ev.Op != unit.StartFailed {
				continue
			}
			lines, lost := arm.Logs("w").Since(0, 1<<30)
			said = append(said, fmt.Sprintf("run %x", ev.Run), fmt.Sprintf("%d lost of %d", lost, len(lines)))
			for i, l := range lines {
				if l.Text != strconv.Itoa(i+1) || l.Seq != uint64(i+1) {
					said = append(said, fmt.Sprintf("line %d is %d, %q", i+1, l.Seq, l.Text))
					break
				}
			}
			must("result", os.WriteFile("/test/result.new", []byte(strings.Join(said, "\n")), 0o644))
			must("result", os.Rename("/test/result.new", "/test/result"))
			conn.End(unit.PowerOff, true, "the test")
		case <-time.After(bound):
			must("wait", fmt.Errorf("no event after %q", said))
		}
	}
}

// realKeeper runs the keeper with its supervisors until it ends the machine, and
// returns what they wrote to /test/result. The file what, if any, tells them
// what to do.
func realKeeper(t *testing.T, what string) (result, console string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: namespaces and mounts")
	}
	self, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range self.Progs {
		if p.Type == elf.PT_INTERP {
			t.Skip("the test binary is linked dynamically and cannot be an /init")
		}
	}
	dir, err := os.MkdirTemp("/dev/shm", "process")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	test := filepath.Join(dir, "test")
	if err := os.Mkdir(test, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"console", "kmsg", what} {
		if f == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(test, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/proc/self/exe", "pid1", dir, cgroupRoot(t))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(3 * bound):
		cmd.Process.Kill()
		<-ended
	}
	said, _ := os.ReadFile(filepath.Join(test, "result"))
	shown, _ := os.ReadFile(filepath.Join(test, "console"))
	return string(said), string(shown)
}

func TestRealKeeper(t *testing.T) {
	result, console := realKeeper(t, "")
	t.Logf("%d lines on the console", strings.Count(console, "\n"))
	want := fmt.Sprintf("exit 7\nempty\nrun %x\n0 lost of %d", unit.Run(1)<<32|1, countedLines)
	got := strings.TrimPrefix(result, "spawned\nready\n")
	// The first epoch may have died before it asked for anything.
	if i := strings.Index(got, "run "); i >= 0 {
		want = want[:strings.Index(want, "run ")] + got[i:i+strings.IndexByte(got[i:], '\n')] + want[strings.LastIndex(want, "\n"):]
	}
	if got != want {
		t.Errorf("the service came to:\n%s\nnot:\n%s\nconsole:\n%s", result, want, console)
	}
}
