package process

import (
	"os"
	"strings"
	"testing"

	"hoopy/process/launch"
)

// faces is what else the test binary can be.
var faces = map[string]func(args []string){}

// TestMain is the launcher when the mini keeper executes it, and the services of
// the privileged tests.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "exec" {
		os.Exit(launch.Main())
	}
	if len(os.Args) > 2 && faces[os.Args[1]] != nil {
		faces[os.Args[1]](os.Args[2:])
	}
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "act:") {
		os.Exit(act(os.Args[1], os.Args[2:]))
	}
	os.Exit(m.Run())
}

func TestGroupName(t *testing.T) {
	for name, want := range map[string]string{
		"sshd": "sshd", "getty@ttyS0": "getty@ttyS0", "a.b": "a.b", "pids.max": "_pids.max", "cgroup.procs": "_cgroup.procs",
		"memory": "memory", "a/b": "a_b", "..": "_..", ".": "_.", "a b\x00": "a_b_",
	} {
		if got := groupName(name); got != want {
			t.Errorf("%q: %q, not %q", name, got, want)
		}
	}
	if id, ok := parseRun(runName(0x1_0000_002a)); !ok || id != 0x1_0000_002a {
		t.Errorf("run name: %x %v", id, ok)
	}
}

func TestAbsent(t *testing.T) {
	for tty, want := range map[string]string{"": "", "ttyNOSUCH0": "no terminal ttyNOSUCH0 on this machine", "pts/nosuch": "no /dev/pts/nosuch"} {
		if got := absent(tty); got != want {
			t.Errorf("%q: %q, not %q", tty, got, want)
		}
	}
}
