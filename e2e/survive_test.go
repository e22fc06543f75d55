//go:build e2e

package e2e

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

// epoch is the life of the supervisor that answers; 0: none does.
func (v *VM) epoch() (epoch int, safe bool) {
	v.t.Helper()
	out, _ := v.Run("svc status --json sshd")
	var r struct {
		Machine struct {
			Epoch int
			Safe  bool
		}
	}
	_ = json.Unmarshal([]byte(out), &r) // no answer: 0
	return r.Machine.Epoch, r.Machine.Safe
}

func (v *VM) untilEpoch(more int) int {
	v.t.Helper()
	for end := time.Now().Add(Patience); time.Now().Before(end); {
		if e, _ := v.epoch(); e > more {
			return e
		}
	}
	v.Fatalf("no supervisor after epoch %d", more)
	return 0
}

const killSupervisor = "kill -9 $(cat /sys/fs/cgroup/supervisor/cgroup.procs)"

// TestSupervisorKilled kills it 20 times while a session is open. /init is
// built with the tag faults, which lets it die as often as this without safe
// mode.
func TestSupervisorKilled(t *testing.T) {
	v := bootWith(t, map[string]File{
		"init": program(t, "../cmd/init", "-tags", "faults", "-ldflags", "-s -w"),
		"etc/svc/chatty.toml": file(`command = ["/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; usleep 20000; done"]
`),
	})
	v.Expect(`(?m)boot +ready`, 0)
	sh := v.shell()
	pid := v.untilState("sshd", unit.Ready).Pid
	chatty := v.untilState("chatty", unit.Ready).Pid
	epoch, _ := v.epoch()
	for i := range 20 {
		v.Must(killSupervisor)
		sh.says("echo still$(("+strconv.Itoa(i)+"))", "still"+strconv.Itoa(i))
		epoch = v.untilEpoch(epoch)
	}
	for name, was := range map[string]int{"sshd": pid, "chatty": chatty} {
		if r := v.untilState(name, unit.Ready); r.Pid != was || r.Restarts != 0 {
			t.Errorf("%s is pid %d after %d restarts, it was %d", name, r.Pid, r.Restarts, was)
		}
	}
	lines := strings.Split(v.Must("svc logs -n 100000 chatty"), "\n")
	if len(lines) < 20 {
		t.Fatalf("only %d lines", len(lines))
	}
	last := 0
	for _, line := range lines {
		_, text, _ := strings.Cut(line, "line ")
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || last != 0 && n != last+1 {
			t.Fatalf("%q follows line %d", line, last)
		}
		last = n
	}
	t.Logf("%d lines through 20 kills", len(lines))
}

// TestCrashLoop drives the supervisor into safe mode and on to the shell on
// the console.
func TestCrashLoop(t *testing.T) {
	v := bootWith(t, nil)
	v.Expect(`(?m)boot +ready`, 0)
	pid := v.untilState("sshd", unit.Ready).Pid
	getty := v.untilState("getty@ttyS0", unit.Ready).Pid
	sh := v.shell()
	epoch, safe := v.epoch()
	if safe {
		t.Fatal("safe mode from the beginning")
	}
	for range 3 {
		v.Must(killSupervisor)
		epoch = v.untilEpoch(epoch)
	}
	v.Expect(`safe mode`, 0)
	if _, safe := v.epoch(); !safe {
		t.Error("three deaths in a minute, and no safe mode")
	}
	if out, _ := v.Run("svc status"); !strings.Contains(out, "safe mode") {
		t.Errorf("svc status does not say that this is safe mode:\n%s", out)
	}
	if r := v.unitStatus("getty@ttyS0"); r.Pid != getty {
		t.Errorf("safe mode replaced the getty: pid %d, it was %d", r.Pid, getty)
	}
	for range 3 {
		v.Run("while ! " + killSupervisor + "; do usleep 10000; done 2>/dev/null")
		v.Run("usleep 300000")
	}
	v.Expect(`(?i)rescue`, 0)
	sh.says("echo in the rescue$((7))", "rescue7")
	v.Expect(`[#$] `, 0)
	if err := v.Send("echo shell$((40+2))\n"); err != nil {
		t.Fatal(err)
	}
	v.Expect(`shell42`, 0)
	// Thirty seconds later a supervisor is tried again, and lives.
	epoch = v.untilEpoch(epoch)
	if r := v.untilState("sshd", unit.Ready); r.Pid != pid {
		t.Errorf("sshd is pid %d, it was %d", r.Pid, pid)
	}
	// svc reload ends safe mode.
	if _, safe := v.epoch(); safe {
		v.Run("svc reload")
		v.untilEpoch(epoch)
		if _, safe := v.epoch(); safe {
			t.Error("still in safe mode after svc reload")
		}
	}
	v.Run("svc poweroff")
	if got := v.Ended(0); got != "guest-shutdown" {
		t.Errorf("ended by %q", got)
	}
}
