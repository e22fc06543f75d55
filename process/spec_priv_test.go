//go:build priv

package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// TestProcessOfAUnit: everything that a unit says of its processes reaches them,
// the command as well as its hooks.
func TestProcessOfAUnit(t *testing.T) {
	b := newBench(t)
	env := filepath.Join(b.run, "env")
	if err := os.WriteFile(env, []byte("FROM_FILE=yes\nA=file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	look := []string{"/bin/sh", "-c", `
echo "core $(ulimit -c) nice $(nice) oom $(cat /proc/self/oom_score_adj) env $A $FROM_FILE"
grep -E '^(NoNewPrivs|CapBnd|Groups):' /proc/self/status
ls /tmp | wc -l
touch /etc/hoopy-was-here 2>&1`}
	u := &unit.Unit{Name: "p", Command: look, Process: unit.Process{
		Groups: []string{"4242"}, Env: []string{"A=unit"}, EnvFiles: []string{env, "-/nosuch"},
		Rlimits: []unit.Rlimit{{Name: "core", Soft: 0, Hard: 0}}, Nice: 7, OOMScore: 300, Policy: "batch", IOClass: "idle",
		Bounded: true, Capabilities: []string{"net_bind_service", "dac_override"}, NoNewPrivs: true, PrivateTmp: true, ReadOnly: true,
	}}
	u.Hooks[unit.StartPre] = look
	for part, name := range map[unit.Part]string{unit.Main: "main", unit.StartPre: "start_pre"} {
		u.Name = name
		id := b.startPart(u, part)
		b.until(name+" has ended", func() bool { return b.next().Op == unit.Empty })
		got := strings.Join(b.lines(name), "\n")
		for _, want := range []string{"core 0 nice 7 oom 300 env unit yes", "NoNewPrivs:\t1", "CapBnd:\t0000000000000402",
			"4242", "\n0\n", "ead-only file system"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in:\n%s", name, want, got)
			}
		}
		b.do(unit.Release, u, id)
	}
	b.over()
}

// TestStreams: what is written to files does not come to the log.
func TestStreams(t *testing.T) {
	b := newBench(t)
	in, out := filepath.Join(b.run, "in"), filepath.Join(b.run, "out")
	if err := os.WriteFile(in, []byte("question\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	u := shell("s", "read x; echo got $x; echo complaint >&2")
	u.Hooks[unit.StartPre] = u.Command
	u.Stdin, u.Stdout = in, out
	for _, part := range []unit.Part{unit.StartPre, unit.Main} {
		b.startPart(u, part)
		b.until("it has ended", func() bool { return b.next().Op == unit.Empty })
	}
	text, err := os.ReadFile(out)
	if err != nil || string(text) != "got\ngot question\n" {
		t.Errorf("%q, %v", text, err)
	}
	if got := strings.Join(b.lines("s"), ";"); got != "complaint;complaint" {
		t.Errorf("%q", got)
	}
	var st unix.Stat_t
	if err := unix.Stat(out, &st); err != nil || st.Mode&0o777 != 0o640 {
		t.Errorf("mode %o, %v", st.Mode, err)
	}
}
