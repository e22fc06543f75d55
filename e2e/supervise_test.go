//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"hoopy/build/qemu"
	"hoopy/unit"
)

// crowd is how many services end at once.
const crowd = 500

// superviseUnits are the services of TestSupervise.
func superviseUnits(t *testing.T) map[string]File {
	files := map[string]File{
		"init": program(t, "../cmd/init", "-tags", "faults", "-ldflags", "-s -w"),
		"etc/svc/crowd@.toml": file(`command = ["/bin/busybox", "sleep", "100000"]
restart = "never"
manual = true
`),
		"etc/svc/stuck.toml": file(`command = "echo x >/mnt/frozen; exec sleep 100000"
manual = true
stop_timeout = "1s"
`),
		"etc/svc/hook.toml": file(`command = ["/bin/busybox", "sleep", "100000"]
start_pre = "echo no such pool; exit 3"
restart = "never"
manual = true
`),
		"etc/svc/order.toml": file(`command = "echo main; exec sleep 100000"
start_pre = "echo pre"
start_post = "echo post"
stop_pre = "echo bye"
stop_post = "echo gone $EXIT_STATUS"
reload_signal = "HUP"
manual = true
`),
		"etc/svc/page.toml": file(`command = ["/bin/busybox", "nc", "-ll", "-p", "8099", "-e", "/bin/busybox", "true"]
ready = { tcp = 8099 }
health = { exec = ["/bin/busybox", "test", "!", "-e", "/run/page-is-sick"], period = "200ms", threshold = 2 }
manual = true
`),
		"etc/svc/tick.toml": file(`kind = "timer"
command = "echo tick"
every = "1s"
`),
		"etc/svc/flood.toml": file(`command = ["/bin/busybox", "yes", "a line of a flood that nobody reads, again and again"]
manual = true
pids_max = 8
`),
		"etc/svc/poor.toml": file(`command = "ulimit -n; cat /proc/self/limits; exec sleep 100000"
limits = { nofile = "64:128", core = 0 }
cpu_max = "50%"
cpu_weight = 50
memory_high = "32M"
memory_max = "48M"
nice = 5
no_new_privs = true
capabilities = ["net_bind_service"]
private_tmp = true
read_only = true
manual = true
`),
		"etc/svc/talker.toml": file(`command = "logger -t chat hello from a service; exec sleep 100000"
manual = true
`),
		"etc/svc/scribe.toml": file(`command = "n=0; while :; do n=$((n+1)); echo line $n; usleep 20000; done"
log_file = { path = "/mnt/log/scribe", every = "1s" }
manual = true
`),
		"etc/svc/lonely.toml": file(`command = ["/bin/busybox", "sleep", "100000"]
`),
		"etc/svc/absent.toml": file(`command = ["/bin/busybox", "sleep", "1"]
conditions = { path = "/dev/no-such-device" }
`),
	}
	return files
}

// TestSupervise is the life of a supervisor in one machine. It is killed now and
// then, and nobody is to notice.
func TestSupervise(t *testing.T) {
	disk := Ext4(t, 64, "7a9b5a34-6d37-4e46-8fd1-7c5e0d0a8a12", "frozen")
	v := bootWith(t, superviseUnits(t), func(c *Config) {
		c.MemoryMB = 1024
		c.Disks = append(c.Disks, qemu.Disk{Path: disk})
	})
	v.Expect(`(?m)boot +ready`, 0)
	lonely := v.untilState("lonely", unit.Ready).Pid
	sh := v.shell()
	kill := func() {
		epoch, _ := v.epoch()
		v.Must(killSupervisor)
		v.untilEpoch(epoch)
	}

	run := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			outer := v.t
			v.t = t // what fails is this part, and the others go on
			defer func() { v.t = outer }()
			f(t)
		})
	}
	run("hooks", func(t *testing.T) {
		out, exit := v.Run("svc start hook")
		if exit != 1 || !strings.Contains(out, "start_pre: exit 3") || !strings.Contains(out, "no such pool") {
			t.Errorf("exit %d:\n%s", exit, out)
		}
		v.Must("svc start order")
		v.Must("svc stop order")
		var lines []string
		for _, l := range strings.Split(v.Must("svc logs order"), "\n") {
			f := strings.Fields(l)
			lines = append(lines, strings.Join(f[min(2, len(f)):], " "))
		}
		if got := strings.Join(lines, ","); got != "pre,main,post,bye,gone TERM" {
			t.Errorf("hooks said %q", got)
		}
	})
	run("health", func(t *testing.T) {
		v.Must("svc start page")
		old := v.untilState("page", unit.Ready).Pid
		v.Must("touch /run/page-is-sick")
		v.untilUnit("page", "restarted for its health", func(r unit.Report) bool { return r.Restarts > 0 })
		kill()
		v.Must("rm /run/page-is-sick")
		v.untilUnit("page", "ready and healthy", func(r unit.Report) bool {
			return r.State == unit.Ready && r.Pid != old && r.Sick == ""
		})
		v.Must("svc stop page")
	})
	run("timer", func(t *testing.T) {
		r := v.untilUnit("tick", "run once", func(r unit.Report) bool { return r.LastRun > 0 && r.State == unit.Waiting })
		if !r.Well() || r.Next == 0 {
			t.Errorf("%+v", r)
		}
		// NTP's first answer on a machine without a clock.
		v.Must("date -s '2076-01-01 00:00:00' && date -s '2026-06-01 12:00:00'")
		kill()
		v.untilUnit("tick", "run after the clock was set", func(now unit.Report) bool { return now.LastRun > r.LastRun })
	})
	run("limits", func(t *testing.T) {
		v.Must("svc start poor")
		r := v.untilState("poor", unit.Ready)
		for file, want := range map[string]string{"cpu.max": "50000 100000", "cpu.weight": "50", "memory.high": "33554432", "memory.max": "50331648"} {
			if got := v.Must("cat /sys/fs/cgroup/svc/poor/" + file); got != want {
				t.Errorf("%s is %q, want %q", file, got, want)
			}
		}
		proc := v.Must(fmt.Sprintf("cd /proc/%d; cat status limits mountinfo; awk '{print \"nice\", $19}' stat", r.Pid))
		for _, want := range []string{`NoNewPrivs:\s+1`, `CapBnd:\s+0000000000000400`, `Max open files\s+64\s+128`, ` /tmp .* tmpfs `, `nice 5`} {
			if !regexp.MustCompile(want).MatchString(proc) {
				t.Errorf("no %s in\n%s", want, proc)
			}
		}
		if out, exit := v.Run("svc exec poor touch /etc/x"); exit == 0 {
			t.Errorf("read_only does not hold for svc exec: %s", out)
		}
		v.Must("svc stop poor")
	})
	run("syslog", func(t *testing.T) {
		v.Must("svc start talker")
		v.Must("until svc logs talker syslog | grep -q 'chat.*: hello from a service'; do usleep 20000; done")
		v.Must("svc stop talker")
		kill()
		v.Must("logger -t person hello && until svc logs --all | grep -q 'person.*: hello'; do usleep 20000; done")
		if out := v.Must("svc logs -k -n 5"); !strings.Contains(out, "\n") {
			t.Errorf("svc logs -k: %q", out)
		}
	})
	run("500 end at once", func(t *testing.T) {
		names := fmt.Sprintf("$(seq %d | sed s/^/crowd@/)", crowd)
		v.Must("svc start --timeout 5m " + names + " >/dev/null")
		if got := v.Must("pgrep -f 'sleep 100000' | wc -l"); got < strconv.Itoa(crowd) {
			t.Errorf("%s processes run", got)
		}
		v.Start("kill -9 $(cat /sys/fs/cgroup/svc/crowd@*/*/cgroup.procs)")
		kill()
		v.Must("until [ -z \"$(cat /sys/fs/cgroup/svc/crowd@*/*/cgroup.procs 2>/dev/null)\" ]; do usleep 50000; done")
		v.Must("svc wait --timeout 2m " + names + " >/dev/null; true")
		if got := v.Must("grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l"); got != "0" {
			t.Errorf("%s zombies", got)
		}
		if got := v.Must("svc status -a | grep -c 'crowd@.* failed .*killed by SIGKILL'"); got != strconv.Itoa(crowd) {
			t.Errorf("%s of %d are known to have failed", got, crowd)
		}
		v.Must("svc reset " + names + " >/dev/null")
		if got := v.Must("svc status -a | grep -c crowd@ || true"); got != "0" {
			t.Errorf("%s instances are left after reset", got)
		}
	})
	run("a flood", func(t *testing.T) {
		v.Must("svc start flood")
		kill()
		v.Must("svc logs flood -n 3 | grep -q 'a line of a flood'")
		if out := v.Must("svc status flood"); !strings.Contains(out, "ready") {
			t.Error(out)
		}
		v.Must("svc stop flood")
	})
	run("no more processes", func(t *testing.T) {
		// From a cgroup of its own, or svc could not start either.
		out, exit := v.Run("mkdir -p /sys/fs/cgroup/person && echo $$ >/sys/fs/cgroup/person/cgroup.procs && " +
			"echo 1 >/sys/fs/cgroup/svc/pids.max && svc start poor; r=$?; echo max >/sys/fs/cgroup/svc/pids.max; exit $r")
		if exit != 1 || !strings.Contains(out, "resource temporarily unavailable") {
			t.Errorf("exit %d:\n%s", exit, out)
		}
		v.untilState("poor", unit.Ready)
		v.Must("svc stop poor")
	})
	run("full run", func(t *testing.T) {
		v.Must("mount -t tmpfs -o size=64k none /run/hoopy/notify 2>/dev/null || mkdir -p /run/hoopy/notify && mount -t tmpfs -o size=64k none /run/hoopy/notify; dd if=/dev/zero of=/run/hoopy/notify/full bs=4k count=100 2>/dev/null; true")
		v.Must("svc start lonely page && svc status >/dev/null && svc stop page")
		v.Must("umount /run/hoopy/notify")
	})
	run("pids come round", func(t *testing.T) {
		v.Must("echo 600 >/proc/sys/kernel/pid_max")
		v.Must("for i in $(seq 30); do svc start order >/dev/null; svc stop order >/dev/null; for k in $(seq 20); do /bin/busybox true; done; done")
		v.Must("echo 4194304 >/proc/sys/kernel/pid_max")
	})
	run("conditions", func(t *testing.T) {
		if r := v.unitStatus("absent"); r.State != unit.Skipped || !strings.Contains(r.Why, "/dev/no-such-device") {
			t.Errorf("%+v", r)
		}
	})
	run("reload", func(t *testing.T) {
		epoch, _ := v.epoch()
		v.Must(`printf 'command = ["/bin/busybox", "sleep", "99999"]\n' >/etc/svc/fresh.toml; printf 'comand = 1\n' >/etc/svc/lonely.toml`)
		if out, exit := v.Run("svc reload"); exit != 1 || !strings.Contains(out, `etc/svc/lonely.toml:1: unknown key "comand"`) {
			t.Errorf("a bad file: exit %d:\n%s", exit, out)
		}
		v.Must(`printf 'command = ["/bin/busybox", "sleep", "100000"]\ndescription = "alone"\n' >/etc/svc/lonely.toml; rm /etc/svc/talker.toml; printf 'command = ["/bin/busybox", "sleep", "5"]\nkind = "timer"\nevery = "1h"\n' >/etc/svc/tick.toml`)
		dry := v.Must("svc reload --dry-run")
		for _, want := range []string{"fresh", "lonely", "talker", "tick", "description"} {
			if !strings.Contains(dry, want) {
				t.Errorf("no %s in\n%s", want, dry)
			}
		}
		if now, _ := v.epoch(); now != epoch {
			t.Error("a dry run changed the epoch")
		}
		v.Must("svc reload")
		v.untilState("fresh", unit.Ready)
		if r := v.untilState("lonely", unit.Ready); r.Pid != lonely || r.Description != "alone" {
			t.Errorf("lonely was pid %d: %+v", lonely, r)
		}
		if _, exit := v.Run("svc status talker"); exit != 2 {
			t.Errorf("talker is still known: exit %d", exit)
		}
	})
	run("run, exec, why, blame, graph", func(t *testing.T) {
		if out, exit := v.Run("svc run --name once -w -- /bin/sh -c 'echo one; exit 7'"); exit != 7 || !strings.Contains(out, "one") {
			t.Errorf("svc run: exit %d:\n%s", exit, out)
		}
		v.Must("svc run --name stay --kind service -- /bin/busybox sleep 100000")
		stay := v.untilState("stay", unit.Ready).Pid
		kill()
		if r := v.untilState("stay", unit.Ready); r.Pid != stay {
			t.Errorf("stay was pid %d, is %d", stay, r.Pid)
		}
		if got := v.Must("svc exec lonely cat /proc/self/cgroup"); !strings.Contains(got, "/svc/lonely/") {
			t.Errorf("svc exec: %q", got)
		}
		if out := v.Must("svc why absent"); !strings.Contains(out, "no-such-device") {
			t.Error(out)
		}
		if out := v.Must("svc blame"); !strings.Contains(out, "sshd") || !strings.Contains(out, "link:lan") {
			t.Error(out)
		}
		if out := v.Must("svc graph --dot"); !strings.Contains(out, "digraph") {
			t.Error(out)
		}
		v.Must("svc stop stay && svc reset stay")
	})
	run("a session through all of it", func(t *testing.T) {
		sh.says("echo here$((1))", "here1")
		if r := v.unitStatus("sshd"); r.Sessions == 0 {
			t.Errorf("no session is counted: %+v", r)
		}
		if r := v.unitStatus("lonely"); r.Pid != lonely || r.Restarts != 0 {
			t.Errorf("lonely was pid %d: %+v", lonely, r)
		}
	})
	run("uninterruptible sleep, and the end", func(t *testing.T) {
		v.Must("mkdir -p /mnt && mount -t ext4 /dev/vda /mnt && mkdir /mnt/log && svc start scribe")
		v.eventually("lines in the file", "grep -q line /mnt/log/scribe")
		v.Must("fsfreeze --freeze /mnt")
		v.eventually("a writer that the file system holds", "grep -q '^State:.D' /proc/$(cat /sys/fs/cgroup/supervisor/cgroup.procs)/task/*/status")
		// The log goes on without its file, and so does everything else.
		last := func() int {
			words := strings.Fields(v.Must("svc logs -n 1 scribe"))
			n, err := strconv.Atoi(words[len(words)-1])
			if err != nil {
				t.Fatal(words)
			}
			return n
		}
		held := last()
		for end := time.Now().Add(Patience); last() < held+200; {
			if time.Now().After(end) {
				v.Fatalf("the log stands at line %d", last())
			}
		}
		v.Must("svc start stuck")
		v.Must("until grep -q '^State:.D' /proc/$(cat /sys/fs/cgroup/svc/stuck/*/cgroup.procs | head -1)/status; do usleep 20000; done")
		began := time.Now()
		v.Start("poweroff")
		if got := v.Ended(2 * time.Minute); got != "guest-shutdown" {
			t.Errorf("ended by %s", got)
		}
		t.Logf("off after %v with a process that nothing ends and a file system that is frozen", time.Since(began).Round(time.Second))
		if !strings.Contains(v.Console(), "stuck") {
			t.Error("nobody said what was stuck")
		}
	})
}
