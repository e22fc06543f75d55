//go:build priv

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hoopy/control"
	"hoopy/process/launch"
)

func init() { realLauncher = launch.Main }

// svc exec ends as the command itself: same pid, same terminal, in the cgroup.
func TestExecForReal(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, as init does")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	procs := filepath.Join(dir, "cgroup.procs")
	if err := os.WriteFile(procs, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := &backend{}
	defer serving(t, path, b)()
	call := func(s launch.Spec) (*exec.Cmd, string, error) {
		b.mu.Lock()
		b.Launch = control.Launch{Spec: s.Append(nil), Cgroup: dir}
		b.mu.Unlock()
		init := filepath.Join(dir, "init")
		if err := os.Symlink(os.Args[0], init); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
		cmd := &exec.Cmd{Path: os.Args[0], Args: []string{"svc", "exec", "sshd", "sh"}}
		cmd.Env = append(os.Environ(), "TEST_SOCKET="+path, "TEST_REAL_LAUNCHER=1", "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		return cmd, string(out), err
	}

	cmd, out, _ := call(launch.Spec{Command: []string{"/bin/sh", "-c", "echo $$ $A; exit 7"}, Env: []string{"A=hello"}, Interactive: true})
	if want := fmt.Sprint(cmd.Process.Pid, " hello\n"); out != want || cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("%q, want %q; exit %d", out, want, cmd.ProcessState.ExitCode())
	}
	if got, err := os.ReadFile(procs); string(got) != fmt.Sprint(cmd.Process.Pid) {
		t.Errorf("cgroup.procs: %q %v", got, err)
	}
	cmd, out, _ = call(launch.Spec{Command: []string{"/no/such"}, Interactive: true})
	if cmd.ProcessState.ExitCode() != 127 || !strings.Contains(out, `exec "/no/such": no such file`) {
		t.Errorf("exit %d: %q", cmd.ProcessState.ExitCode(), out)
	}
}
