//go:build priv

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hoopy/control"
	"hoopy/unit"
)

// TestLogs asks for the logs of several units and of the kernel, as svc logs does.
func TestLogs(t *testing.T) {
	units := map[string]string{"chatty": player("chatty"), "quiet": player("steady")}
	for _, name := range []string{"a", "b"} {
		units[name] = player("short", fmt.Sprintf(", %q", name)) + "kind = \"task\"\n"
	}
	units["loud"] = player("chatty")
	h := bootMachine(t, units)
	h.untilState("chatty", unit.Ready)
	h.untilState("loud", unit.Ready)
	// The machine's /dev is its own: it takes nobody else's syslog(3).
	if ours, err := os.Stat(fmt.Sprintf("/proc/%d/root/dev/log", h.cmd.Process.Pid)); err != nil {
		t.Error(err)
	} else if theirs, err := os.Stat("/dev/log"); err == nil && os.SameFile(ours, theirs) {
		t.Error("the machine has the host's /dev/log")
	}
	var lines []control.Line
	h.until("enough lines", func() bool {
		lines = h.must(control.Request{Op: control.Logs, Names: []string{"chatty", "loud"}, N: -1}).Lines
		return len(lines) > 1500
	})
	byTime := func(a, b control.Line) int { return cmp.Compare(a.Stamp, b.Stamp) }
	counts := map[string]int{}
	for _, l := range lines {
		counts[l.Unit]++
	}
	if !slices.IsSortedFunc(lines, byTime) || counts["chatty"] < 300 || counts["loud"] < 300 || len(counts) != 2 {
		t.Errorf("in disorder, or of the wrong units: %v", counts)
	}
	last := h.must(control.Request{Op: control.Logs, Names: []string{"chatty", "loud", "quiet"}, N: 7}).Lines
	if len(last) != 7 || !slices.IsSortedFunc(last, byTime) || last[0].Stamp < lines[len(lines)-1].Stamp-unit.Time(time.Second) {
		t.Errorf("the last 7: %+v", last)
	}
	since := lines[len(lines)-100].Stamp
	late := h.must(control.Request{Op: control.Logs, All: true, N: -1, Since: since}).Lines
	if len(late) < 100 || late[0].Stamp < since || late[0].Stamp > since+unit.Time(10*time.Second) {
		t.Errorf("%d lines since %d", len(late), since)
	}
	if got := h.must(control.Request{Op: control.Logs, Names: []string{"quiet"}, N: 9}).Lines; len(got) != 0 {
		t.Errorf("%+v", got)
	}
	ctx, stop := context.WithTimeout(t.Context(), bound)
	defer stop()
	if r, err := h.ask(ctx, control.Request{Op: control.Logs, Names: []string{"chatty", "nosuch"}}); err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("a name that nobody has: %v, %v", r, err)
	}
	// Whether the test's kernel lets us read its log or not, everything ends.
	if r, err := h.ask(ctx, control.Request{Op: control.Logs, Kernel: true, N: 5}); err != nil {
		t.Logf("the kernel's log: %v", err)
	} else if len(r.Lines) > 5 || len(r.Lines) > 0 && (r.Lines[0].Unit != "" || r.Lines[0].Severity == 0) {
		t.Errorf("%+v", r.Lines)
	}
	c, err := control.Dial(ctx, fmt.Sprintf("/proc/%d/root%s", h.cmd.Process.Pid, control.Path))
	if err != nil {
		t.Fatal(err)
	}
	next := map[string]uint64{}
	seen := 0
	_ = c.Do(ctx, control.Request{Op: control.Logs, All: true, N: 1, Follow: true}, func(r *control.Response) error {
		for _, l := range r.Lines {
			if n := next[l.Unit]; n != 0 && l.Seq != n {
				t.Errorf("%s: line %d where %d was due", l.Unit, l.Seq, n)
			}
			next[l.Unit] = l.Seq + 1
			if seen++; seen == 1000 {
				stop()
			}
		}
		return nil
	})
	if seen < 1000 || next["loud"] == 0 || next["chatty"] == 0 {
		t.Errorf("%d lines followed, %v", seen, next)
	}
}
