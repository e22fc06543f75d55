//go:build priv

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"hoopy/control"
	"hoopy/unit"
)

// The whole of /init, as PID 1 of its own namespaces, in a root that holds
// nothing but /init, /etc and testdata/player, which is every service. /init
// is built with the tag faults.

const bound = 2 * time.Minute // how long a test waits for anything

func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "enter" {
		enter(os.Args[2], os.Args[3])
	}
	if len(os.Args) > 2 && os.Args[1] == "rmcgroup" {
		removeCgroup(os.Args[2])
	}
	os.Exit(m.Run())
}

func must(what string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, what+":", err)
		os.Exit(3)
	}
}

// enter makes the root and a cgroup of its own, and becomes /init.
func enter(shared, cgroup string) {
	runtime.LockOSThread()
	root := filepath.Join(shared, "root")
	must("private", unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""))
	must("cgroup2", unix.Mount("cgroup2", root, "cgroup2", 0, ""))
	must("mkdir", os.Mkdir(root+"/"+cgroup, 0o755))
	must("move", os.WriteFile(root+"/"+cgroup+"/cgroup.procs", []byte("0"), 0))
	must("unshare", unix.Unshare(unix.CLONE_NEWCGROUP))
	must("umount", unix.Unmount(root, 0))
	must("bind", unix.Mount(root, root, "", unix.MS_BIND, ""))
	must("mkdir", os.MkdirAll(root+"/test", 0o755))
	must("bind", unix.Mount(shared, root+"/test", "", unix.MS_BIND, ""))
	ownDev(root + "/dev")
	must("chroot", unix.Chroot(root))
	must("chdir", unix.Chdir("/"))
	must("exec", unix.Exec("/init", []string{"/init"}, nil))
}

// ownDev makes a /dev with what every program needs: a devtmpfs would be the
// host's, with its disks, its power button and its /dev/log.
func ownDev(dev string) {
	must("mkdir", os.MkdirAll(dev, 0o755))
	must("tmpfs", unix.Mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID, "mode=0755"))
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		must("make", os.WriteFile(dev+"/"+name, nil, 0o666))
		must("bind", unix.Mount("/dev/"+name, dev+"/"+name, "", unix.MS_BIND, ""))
	}
}

func removeCgroup(name string) {
	dir, err := os.MkdirTemp("", "cgroup2")
	must("mkdir", err)
	must("private", unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""))
	must("cgroup2", unix.Mount("cgroup2", dir, "cgroup2", 0, ""))
	var dirs []string
	_ = filepath.WalkDir(filepath.Join(dir, name), func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		return nil
	})
	_ = os.WriteFile(filepath.Join(dir, name, "cgroup.kill"), []byte("1"), 0)
	for end := time.Now().Add(bound); len(dirs) > 0 && time.Now().Before(end); {
		if unix.Rmdir(dirs[len(dirs)-1]) == nil {
			dirs = dirs[:len(dirs)-1]
			continue
		}
		_, _ = unix.Poll(nil, 10)
	}
	must("umount", unix.Unmount(dir, 0))
	must("rmdir", os.Remove(dir))
	os.Exit(0)
}

// host is a machine seen from the test.
type host struct {
	t     *testing.T
	cmd   *exec.Cmd
	dir   string
	ended chan error
	links int // made by newLink
}

// bootMachine starts /init with the unit files given by name and content.
func bootMachine(t *testing.T, units map[string]string) *host {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: namespaces and mounts")
	}
	h := &host{t: t, dir: t.TempDir(), ended: make(chan error, 1)}
	root := filepath.Join(h.dir, "root")
	for _, d := range []string{"etc/svc", ".hoopy", "bin"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"console", "kmsg", "root/.hoopy/complete"} {
		write(name, "")
	}
	write("root/etc/init.toml", "hostname = \"tested\"\n[[link]]\nname = \"lan\"\nmatch = { name = \"eth*\" }\n")
	for name, content := range units {
		write("root/etc/svc/"+name+".toml", content)
	}
	for _, args := range [][]string{
		{"-o", filepath.Join(root, "init"), "-tags", "faults", "."},
		{"-o", filepath.Join(root, "bin/player"), "./testdata/player"},
	} {
		build := exec.Command("go", append([]string{"build"}, args...)...)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	cgroup := fmt.Sprintf("hoopy-init-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	h.cmd = exec.Command("/proc/self/exe", "enter", h.dir, cgroup)
	h.cmd.Stdout, h.cmd.Stderr = os.Stderr, os.Stderr
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { h.ended <- h.cmd.Wait() }()
	t.Cleanup(func() {
		_ = h.cmd.Process.Kill()
		<-h.ended
		if t.Failed() {
			t.Logf("console:\n%s", tail(h.console(), 8000))
		}
		rm := exec.Command("/proc/self/exe", "rmcgroup", cgroup)
		rm.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
		if out, err := rm.CombinedOutput(); err != nil {
			t.Logf("cgroup %s stays: %v %s", cgroup, err, out)
		}
	})
	return h
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

func (h *host) console() string {
	b, _ := os.ReadFile(filepath.Join(h.dir, "console"))
	return string(b)
}

// until waits for what no descriptor announces.
func (h *host) until(what string, ok func() bool) {
	h.t.Helper()
	for end := time.Now().Add(bound); !ok(); {
		if time.Now().After(end) {
			h.t.Fatalf("waited %s in vain for %s", bound, what)
		}
		select {
		case err := <-h.ended:
			h.ended <- err
			h.t.Fatalf("PID 1 ended while waiting for %s: %v", what, err)
		default:
		}
		_, _ = unix.Poll(nil, 5)
	}
}

func (h *host) ask(ctx context.Context, r control.Request) (control.Response, error) {
	c, err := control.Dial(ctx, fmt.Sprintf("/proc/%d/root%s", h.cmd.Process.Pid, control.Path))
	if err != nil {
		return control.Response{}, err
	}
	return c.Ask(ctx, r)
}

// must asks until there is an answer: a supervisor that is being replaced costs
// a request, and the next one reaches its successor.
func (h *host) must(r control.Request) control.Response {
	h.t.Helper()
	var out control.Response
	var err error
	h.until("an answer to "+string(r.Op), func() bool {
		ctx, cancel := context.WithTimeout(h.t.Context(), bound/4)
		defer cancel()
		out, err = h.ask(ctx, r)
		return err == nil
	})
	return out
}

func (h *host) unit(name string) unit.Report {
	h.t.Helper()
	r := h.must(control.Request{Op: control.Status, Names: []string{name}})
	if len(r.Units) != 1 {
		h.t.Fatalf("status of %s: %+v", name, r)
	}
	return r.Units[0]
}

func (h *host) untilState(name string, want unit.State) unit.Report {
	h.t.Helper()
	var r unit.Report
	h.until(name+" "+want.String(), func() bool { r = h.unit(name); return r.State == want })
	return r
}

// supervisor is the pid of the supervisor, as the test sees it; 0 if there is
// none just now.
func (h *host) supervisor() int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/root/sys/fs/cgroup/supervisor/cgroup.procs", h.cmd.Process.Pid))
	for _, word := range strings.Fields(string(b)) {
		if pid, err := strconv.Atoi(word); err == nil && pid > 0 {
			cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if strings.Contains(string(cmdline), "supervise") {
				return pid
			}
		}
	}
	return 0
}

// newLink makes one network interface more in the machine.
func (h *host) newLink() {
	h.t.Helper()
	ns, err := netns.GetFromPid(h.cmd.Process.Pid)
	if err != nil {
		h.t.Fatal(err)
	}
	defer ns.Close()
	nl, err := netlink.NewHandleAt(ns)
	if err != nil {
		h.t.Fatal(err)
	}
	defer nl.Close()
	h.links++
	attrs := netlink.NewLinkAttrs()
	attrs.Name = fmt.Sprintf("eth%d", h.links)
	if err := nl.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: fmt.Sprintf("peer%d", h.links)}); err != nil {
		h.t.Fatal(err)
	}
}
