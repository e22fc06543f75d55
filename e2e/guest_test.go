//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"hoopy/build/qemu"
	"hoopy/unit"
)

// boot starts the image under test with files laid over it.
func bootWith(t *testing.T, files map[string]File, with ...func(*Config)) *VM {
	t.Helper()
	kernel, initrd := Image(t)
	if len(files) > 0 {
		initrd = Overlay(t, initrd, files)
	}
	c := Config{Config: qemu.Config{Kernel: kernel, Initrd: initrd, Cmdline: cmdline, MemoryMB: 1024, SMP: 2}}
	for _, f := range with {
		f(&c)
	}
	return Boot(t, c)
}

// program builds a Go program for the guest.
func program(t *testing.T, pkg string, flags ...string) File {
	t.Helper()
	out := filepath.Join(t.TempDir(), "program")
	args := append([]string{"build", "-o", out}, flags...)
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return File{Mode: 0o755, Content: b}
}

func file(text string) File { return File{Content: []byte(text)} }

// unitStatus is one row of svc status --json.
func (v *VM) unitStatus(name string) unit.Report {
	v.t.Helper()
	out, _ := v.Run("svc status --json " + name)
	var r struct{ Units []unit.Report }
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Units) != 1 {
		v.Fatalf("svc status --json %s: %v\n%s", name, err, out)
	}
	return r.Units[0]
}

// untilUnit waits until the unit satisfies ok.
func (v *VM) untilUnit(name, what string, ok func(unit.Report) bool) unit.Report {
	v.t.Helper()
	var r unit.Report
	for end := time.Now().Add(Patience); time.Now().Before(end); {
		if r = v.unitStatus(name); ok(r) {
			return r
		}
	}
	v.Fatalf("waited in vain for %s to be %s: it is %+v", name, what, r)
	return r
}

func (v *VM) untilState(name string, want unit.State) unit.Report {
	v.t.Helper()
	return v.untilUnit(name, want.String(), func(r unit.Report) bool { return r.State == want })
}

// shell is an interactive session: what a person has open.
type shell struct {
	v     *VM
	in    interface{ Write([]byte) (int, error) }
	lines chan string
}

func (v *VM) shell() *shell {
	v.t.Helper()
	s, err := v.Client().NewSession()
	if err != nil {
		v.Fatalf("%v", err)
	}
	if err := s.RequestPty("vt100", 24, 80, ssh.TerminalModes{ssh.ECHO: 0}); err != nil {
		v.Fatalf("%v", err)
	}
	in, err := s.StdinPipe()
	if err != nil {
		v.Fatalf("%v", err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		v.Fatalf("%v", err)
	}
	if err := s.Shell(); err != nil {
		v.Fatalf("%v", err)
	}
	sh := &shell{v: v, in: in, lines: make(chan string, 1024)}
	go func() {
		defer close(sh.lines)
		b := make([]byte, 4096)
		rest := ""
		for {
			n, err := out.Read(b)
			rest += string(b[:n])
			for {
				line, more, found := strings.Cut(rest, "\n")
				if !found {
					break
				}
				rest = more
				sh.lines <- strings.TrimSpace(line)
			}
			if err != nil {
				return
			}
		}
	}()
	return sh
}

// says types a command and waits for a line that ends with want.
func (s *shell) says(command, want string) {
	s.v.t.Helper()
	if _, err := s.in.Write([]byte(command + "\n")); err != nil {
		s.v.Fatalf("the session is gone: %v", err)
	}
	late := time.After(Patience)
	for {
		select {
		case line, open := <-s.lines:
			if !open {
				s.v.Fatalf("the session ended before %q", want)
			}
			if strings.HasSuffix(line, want) && !strings.Contains(line, command) {
				return
			}
		case <-late:
			s.v.Fatalf("the session did not answer %q with %q", command, want)
		}
	}
}

// TestGuest looks around in one machine.
func TestGuest(t *testing.T) {
	disk := Ext4(t, 64, "7a9b5a34-6d37-4e46-8fd1-7c5e0d0a8a11", "data")
	v := bootWith(t, map[string]File{
		"usr/bin/pivot": program(t, "./testdata/pivot"),
		"etc/svc/pivot.toml": file(`kind = "task"
command = ["/usr/bin/pivot"]
`),
		"etc/svc/bomb.toml": file(`description = "a fork bomb"
command = ["/bin/sh", "-c", "b() { b | b & }; b; sleep 1000"]
manual = true
pids_max = 64
stop_timeout = "1s"
`),
		"etc/svc/hog.toml": file(`kind = "task"
command = ["/bin/busybox", "tail", "/dev/zero"]
manual = true
memory_max = "16M"
`),
		// Four of these nodes are always there, with no line behind them.
		"etc/svc/getty@ttyS1.toml": file(`command = ["/sbin/getty", "-L", "115200", "ttyS1", "vt100"]
tty = "ttyS1"
`),
		"etc/svc/getty@hvc0.toml": file(`command = ["/sbin/getty", "-L", "115200", "hvc0", "vt100"]
tty = "hvc0"
`),
		"etc/svc/bad.toml": file("comand = [\"/bin/true\"]\n"),
	}, func(c *Config) { c.Disks = append(c.Disks, qemu.Disk{Path: disk}) })
	// The getty on the serial console, with its terminal, in any order.
	v.Expect(`(?s)login:.*boot +ready|boot +ready.*login:`, 0)

	t.Run("pivot_root works in a service", func(t *testing.T) {
		v.untilState("pivot", unit.Ready)
		if got := v.Must("svc logs pivot"); !strings.HasSuffix(got, "pivoted") {
			t.Errorf("svc logs pivot: %q", got)
		}
	})
	t.Run("a console that is not there is skipped", func(t *testing.T) {
		for _, name := range []string{"getty@ttyS1", "getty@hvc0"} {
			if r := v.unitStatus(name); r.State != unit.Skipped {
				t.Errorf("%s is %s: %s", name, r.State, r.Why)
			}
		}
	})
	t.Run("status", func(t *testing.T) {
		out, exit := v.Run("svc status")
		for _, want := range []string{"hoopy", "link:lan", "10.0.2.15/24", "sshd", "getty@ttyS0", "bad.toml"} {
			if !strings.Contains(out, want) {
				t.Errorf("svc status lacks %q (exit %d):\n%s", want, exit, out)
			}
		}
		if strings.Contains(out, "\x1b[") {
			t.Error("svc status is coloured though it is piped")
		}
		if _, exit := v.Run("svc status sshd"); exit != 0 {
			t.Errorf("svc status sshd: exit %d", exit)
		}
		if _, exit := v.Run("svc status nothing"); exit == 0 {
			t.Error("svc status of a unit that does not exist: exit 0")
		}
		if _, exit := v.Run("svc nonsense"); exit != 2 {
			t.Errorf("svc nonsense: exit %d, want 2", exit)
		}
	})
	t.Run("the disk's file system is loaded on demand", func(t *testing.T) {
		// The kernel itself calls /sbin/modprobe for fs-ext4.
		if strings.Contains(v.Must("cat /proc/filesystems"), "ext4") {
			t.Log("ext4 was there already")
		}
		v.Must("mkdir -p /tmp/disk && mount -t ext4 /dev/vda /tmp/disk && umount /tmp/disk")
		if got := v.Must("readlink /sbin/modprobe"); !strings.HasSuffix(got, "init") {
			t.Errorf("/sbin/modprobe is %q", got)
		}
	})
	t.Run("network", func(t *testing.T) {
		if got := v.Must("hostname"); got != "hoopy" {
			t.Errorf("host name %q", got)
		}
		// A restricted net has no name server to offer.
		if got := v.Must("cat /etc/resolv.conf"); got != "# hoopy" {
			t.Errorf("resolv.conf: %q", got)
		}
		if got := v.Must("cat /sys/class/net/lo/flags"); got != "0x9" {
			t.Errorf("lo has flags %s, want up and loopback", got)
		}
	})
	t.Run("restart of sshd keeps the session", func(t *testing.T) {
		sh := v.shell()
		old := v.untilState("sshd", unit.Ready).Pid
		sh.says("echo one$((1))", "one1")
		v.Must("svc restart sshd")
		if pid := v.untilState("sshd", unit.Ready).Pid; pid == old {
			t.Errorf("sshd is still pid %d", pid)
		}
		sh.says("echo two$((2))", "two2")
	})
	t.Run("kill -9 of sshd", func(t *testing.T) {
		sh := v.shell()
		old := v.untilState("sshd", unit.Ready)
		v.Must("kill -9 " + strconv.Itoa(old.Pid))
		now := v.untilUnit("sshd", "ready as another process", func(r unit.Report) bool {
			return r.State == unit.Ready && r.Pid != old.Pid && r.Pid != 0
		})
		if now.Restarts != old.Restarts+1 {
			t.Errorf("%d restarts, then %d", old.Restarts, now.Restarts)
		}
		sh.says("echo three$((3))", "three3")
		v.client.Close()
		v.client = nil
		v.Must("true") // a new login
	})
	t.Run("a fork bomb is stopped clean", func(t *testing.T) {
		v.Must("svc start bomb")
		// Shells that cannot fork give up, so the limit is seen in the events.
		v.Must("until grep -q 'max [1-9]' /sys/fs/cgroup/svc/bomb/pids.events; do usleep 10000; done")
		if out, exit := v.Run("svc stop bomb"); exit != 0 {
			t.Errorf("svc stop bomb: exit %d\n%s", exit, out)
		}
		r := v.untilState("bomb", unit.Inactive)
		if r.Processes != 0 {
			t.Errorf("%d processes are left", r.Processes)
		}
	})
	t.Run("memory_max holds", func(t *testing.T) {
		if _, exit := v.Run("svc start hog"); exit != 1 {
			t.Errorf("svc start of a task that is killed: exit %d, want 1", exit)
		}
		if r := v.untilState("hog", unit.Failed); r.Why != "killed by SIGKILL: out of memory (memory_max 16M)" {
			t.Errorf("hog: %s", r.Why)
		}
		if got := v.Must("grep oom_kill /sys/fs/cgroup/svc/hog/memory.events"); strings.Contains(got, "oom_kill 0") {
			t.Errorf("memory.events: %s", got)
		}
	})
	t.Run("no zombies, no leaves", func(t *testing.T) {
		if got := v.Must("grep -l '^State:.Z' /proc/[0-9]*/status | wc -l"); got != "0" {
			t.Errorf("%s zombies", got)
		}
		if got := v.Must("ls -d /sys/fs/cgroup/svc/bomb/*/ 2>/dev/null | wc -l"); got != "0" {
			t.Errorf("%s leaves of bomb are left", got)
		}
	})
	t.Run("busybox reboot", func(t *testing.T) {
		v.Run("busybox reboot")
		if got := v.Ended(0); got != "guest-reset" {
			t.Errorf("ended by %q, want a reset", got)
		}
	})
}
