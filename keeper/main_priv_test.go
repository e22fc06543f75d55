//go:build priv

package keeper

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary is also everything that runs inside the namespaces: PID 1,
// the supervisor, the launcher, the rescue shell.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "pid1":
			pid1(os.Args[2:])
		case "keep":
			keep(os.Args[2])
		case "supervise":
			fakeSupervisor(os.Args[2])
		case "exec":
			fakeLauncher(os.Args[2])
		case "rescue":
			fakeShell(os.Args[2])
		case "rmcgroup":
			removeCgroup(os.Args[2])
		}
	}
	os.Exit(m.Run())
}

func must(what string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, what+":", err)
		os.Exit(3)
	}
}

// pid1 makes a root like that of a fresh initramfs and executes the keeper in
// it: unshare(2) is for one thread, and execve(2) makes that the only one.
// args: the shared directory, the cgroup's name, the Config as JSON.
func pid1(args []string) {
	shared, cgroup := args[0], args[1]
	runtime.LockOSThread()
	must("private", unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""))
	root := filepath.Join(shared, "root")
	must("mkdir", os.MkdirAll(root, 0o755))
	must("tmpfs", unix.Mount("test", root, "tmpfs", 0, "mode=755"))
	// A cgroup of its own, which is the root of its cgroup namespace.
	must("cgroup2", unix.Mount("cgroup2", root, "cgroup2", 0, ""))
	must("mkdir", os.Mkdir(root+"/"+cgroup, 0o755))
	must("move", os.WriteFile(root+"/"+cgroup+"/cgroup.procs", []byte("0"), 0))
	must("unshare", unix.Unshare(unix.CLONE_NEWCGROUP))
	must("umount", unix.Unmount(root, 0))

	must("mkdir", os.MkdirAll(root+"/test", 0o755))
	must("bind", unix.Mount(shared, root+"/test", "", unix.MS_BIND, ""))
	self, err := os.ReadFile("/proc/self/exe")
	must("read self", err)
	must("copy self", os.WriteFile(root+"/init", self, 0o755))
	must("chroot", unix.Chroot(root))
	must("chdir", unix.Chdir("/"))
	must("close_range", unix.CloseRange(3, 1<<32-1, unix.CLOSE_RANGE_CLOEXEC)) // what the test's own parents left
	must("exec", unix.Exec("/init", []string{"/init", "keep", args[2]}, nil))
}

// keep is PID 1.
func keep(config string) {
	var cfg Config
	must("config", json.Unmarshal([]byte(config), &cfg))
	reboot, err := os.OpenFile("/test/reboot", os.O_WRONLY|os.O_CREATE, 0o644)
	must("reboot", err)
	cfg.Self, cfg.Version, cfg.Watchdog = "/init", "test", "-"
	cfg.Log.Console, cfg.Log.Kmsg = "/test/console", "/test/kmsg"
	cfg.Procs = runtime.GOMAXPROCS
	cfg.StopGC = func() { debug.SetGCPercent(-1) }
	cfg.Stack = debug.Stack
	cfg.Reboot = func(cmd int) error {
		_, err := reboot.WriteString(strconv.Itoa(cmd))
		return err
	}
	cfg.testOnlyTurn = func() {
		if os.Remove("/test/panic") == nil { // one file, one panic
			panic("asked for by a test")
		}
	}
	Run(cfg)
	os.Exit(4)
}

// fakeSupervisor hands its end of the pair to the test, with a pidfd of its
// own, and stays: the test is the supervisor. A file /test/crash makes it die
// at once, /test/fresh asks for a fresh start.
func fakeSupervisor(epoch string) {
	if _, err := os.Stat("/test/crash"); err == nil {
		os.Exit(9)
	}
	fmt.Fprintln(os.Stderr, "epoch", epoch, "speaks")
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	must("pidfd", err)
	conn, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	must("socket", err)
	must("connect", unix.Connect(conn, &unix.SockaddrUnix{Name: "/test/sock"}))
	must("send", unix.Sendmsg(conn, []byte(epoch), unix.UnixRights(SupervisorFD, pidfd), nil, 0))
	var b [8]byte
	for {
		n, err := unix.Read(conn, b[:]) // one byte is an exit status
		if err == unix.EINTR {
			continue
		}
		if n == 1 {
			os.Exit(int(b[0]))
		}
		os.Exit(10)
	}
}

// fakeLauncher does what its unit is called.
func fakeLauncher(name string) {
	verb, arg, _ := strings.Cut(name, ":")
	n, _ := strconv.Atoi(arg)
	switch verb {
	case "exit":
		os.Exit(n)
	case "kill":
		must("kill", unix.Kill(os.Getpid(), syscall.Signal(n)))
	case "signal1":
		must("kill", unix.Kill(1, syscall.Signal(n)))
		os.Exit(0)
	case "overlay":
		for _, dir := range []string{"lower", "upper", "work", "merged"} {
			must("mkdir", os.Mkdir("/tmp/"+dir, 0o755))
		}
		must("write", os.WriteFile("/tmp/lower/hello", nil, 0o644))
		must("overlay", unix.Mount("overlay", "/tmp/merged", "overlay", 0,
			"lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work"))
		os.Exit(0)
	case "stubborn":
		signal.Ignore(unix.SIGTERM, unix.SIGHUP, unix.SIGINT)
	case "fds": // what it has been given, on standard output
		var all []string
		entries, _ := os.ReadDir("/proc/self/fd")
		for _, e := range entries {
			to, _ := os.Readlink("/proc/self/fd/" + e.Name())
			if to != "" && !strings.Contains(to, "/fd") && !strings.HasPrefix(to, "anon_inode:[event") {
				all = append(all, e.Name())
			}
		}
		fmt.Println(strings.Join(all, " "))
		os.Exit(0)
	case "later": // exits with n when it is asked to end
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, unix.SIGTERM)
		fmt.Println("up")
		<-asked
		os.Exit(n)
	case "daemon", "nanny": // has a child that exits later; stays to wait for it, or not
		pid, err := syscall.ForkExec("/init", []string{"/init", "exec", "later:" + arg}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
		must("fork", err)
		if verb == "daemon" {
			os.Exit(0)
		}
		_, err = syscall.Wait4(pid, nil, 0, nil)
		must("wait", err)
	case "orphans": // a child that outlives its parent, n times
		for range n {
			_, err := syscall.ForkExec("/init", []string{"/init", "exec", "exit:1"}, nil)
			must("fork", err)
		}
		os.Exit(0)
	}
	for {
		_ = unix.Pause()
	}
}

func fakeShell(reason string) {
	must("note", os.WriteFile("/test/rescue", []byte(reason), 0o644))
	if _, err := os.Stat("/test/leave"); err == nil {
		os.Exit(0)
	}
	for {
		_ = unix.Pause()
	}
}

// removeCgroup removes what pid1 made; it runs in a mount namespace of its own.
func removeCgroup(name string) {
	dir, err := os.MkdirTemp("", "cgroup")
	must("mkdir", err)
	must("private", unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""))
	must("cgroup2", unix.Mount("cgroup2", dir, "cgroup2", 0, ""))
	var dirs []string
	_ = filepath.WalkDir(filepath.Join(dir, name), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for i := len(dirs) - 1; i >= 0; i-- {
		err = os.Remove(dirs[i])
	}
	_ = unix.Unmount(dir, 0)
	_ = os.Remove(dir)
	if err != nil {
		os.Exit(5)
	}
	os.Exit(0)
}
