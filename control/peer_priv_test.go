//go:build priv

package control

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"hoopy/unit"
)

// The kernel's word counts: another user may see the status and nothing else.
func TestStranger(t *testing.T) {
	if path := os.Getenv("TEST_STRANGER"); path != "" {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			t.Fatal(err)
		}
		if got, err := ask(t, path, Request{Op: Status}); err != nil || len(got.Units) != 1 {
			t.Errorf("status: %v", err)
		}
		for op, root := range rootOnly {
			_, err := ask(t, path, Request{Op: op, Names: []string{"a"}, How: "halt", Signal: 1, Unit: "x", Command: []string{"x"}, From: "10.0.0.1", Via: "svc"})
			if denied := errors.Is(err, &Error{Code: CodeDenied}); denied != root {
				t.Errorf("%s: %v", op, err)
			}
		}
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, to become somebody else")
	}
	f := &fake{units: []unit.Report{{Name: "a"}}}
	path := listening(t, f, limits{})
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestStranger$", "-test.v")
	cmd.Env = append(os.Environ(), "TEST_STRANGER="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.asked) != 1 || f.asked[0] != "wait a force=false" { // that changes nothing
		t.Errorf("a stranger changed something: %q", f.asked)
	}
}
