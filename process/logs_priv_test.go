//go:build priv

package process

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"hoopy/process/ring"
	"hoopy/process/syslog"
	"hoopy/unit"
)

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(bound); !ok(); unix.Poll(nil, 2) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

// TestSyslogOfUnits: what a unit says through /dev/log is in its own log.
func TestSyslogOfUnits(t *testing.T) {
	if _, err := os.Stat("/usr/bin/logger"); err != nil {
		t.Skip("needs logger of util-linux: ", err)
	}
	b := newBench(t)
	path := filepath.Join(b.run, "log")
	if err := b.arm.SystemLog(syslog.Name); err != nil {
		t.Fatal(err)
	}
	s, err := syslog.New(syslog.Config{Path: path, Unit: b.arm.UnitOf, Ring: b.arm.Logs, Say: func(s string) { t.Error(s) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// The second is sent when the first is read, by a process that lives: the shell
	// waits for its word.
	u := shell("a", "echo plain; logger -u "+path+" -t tag -p daemon.err 'of the unit; next'; exec sleep 100")
	b.start(u)
	b.expect("spawned", "ready")
	all := func() (lines []ring.Line) {
		return append(b.arm.Logs("a").Lines(9), b.arm.Logs(syslog.Name).Lines(9)...)
	}
	until(t, "both lines", func() bool { return len(all()) == 2 })
	// logger may have exited when its turn came: then it is of no unit. And two
	// goroutines read, so either may come first.
	plain, tagged := all()[0], all()[1]
	if plain.Text != "plain" {
		plain, tagged = tagged, plain
	}
	if !strings.HasPrefix(tagged.Text, "tag: of the unit") || tagged.Severity != 4 || tagged.Facility != 3 {
		t.Errorf("%+v", tagged)
	}
	if plain.Text != "plain" || plain.Severity != 0 {
		t.Errorf("%+v", plain)
	}
	until(t, "logger ends", func() bool { return b.arm.Processes("a") == 1 })
	procs, err := filepath.Glob(filepath.Join(b.root, "svc/a/*/cgroup.procs"))
	if err != nil || len(procs) != 1 {
		t.Fatalf("%v, %v", procs, err)
	}
	text, err := os.ReadFile(procs[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := b.arm.UnitOf(atoi(t, string(text))); got != "a" {
		t.Errorf("its process is of %q", got)
	}
	if got := b.arm.UnitOf(os.Getpid()); got != "" {
		t.Errorf("we are of %q", got)
	}
}

func atoi(t *testing.T, s string) (n int) {
	t.Helper()
	for _, c := range strings.TrimSpace(s) {
		n = n*10 + int(c-'0')
	}
	return n
}

// TestForget: a unit's log is dropped when it has no run, with all that the
// keeper has of it.
func TestForget(t *testing.T) {
	b := newBench(t)
	stored := func() (keys []string) {
		b.keeper.mu.Lock()
		defer b.keeper.mu.Unlock()
		for k := range b.keeper.stored {
			if strings.HasSuffix(k, ":a") || strings.Contains(k, ":a:") {
				keys = append(keys, k)
			}
		}
		return keys
	}
	dir := t.TempDir()
	u := shell("a", "echo one; exit 3")
	u.LogFile = &unit.LogFile{Path: dir + "/log"}
	id := b.start(u)
	b.expect("spawned", "ready", "exit 3", "empty")
	until(t, "the keeper has all four", func() bool { return len(stored()) == 4 })
	if d := cmp.Diff([]string{"a"}, b.arm.LogNames()); d != "" {
		t.Error(d)
	}
	b.arm.Forget("a") // it has a run
	b.do(unit.Release, u, id)
	b.over()
	if b.arm.Logs("a") == nil {
		t.Fatal("forgotten while it had a run")
	}
	b.arm.Forget("a")
	until(t, "the keeper lets go", func() bool { return len(stored()) == 0 && b.arm.Logs("a") == nil })
	until(t, "the file has its last line", func() bool { return logText(dir+"/log") == "one\n" })
	// A unit of that name begins anew.
	b.start(u)
	b.expect("spawned", "ready", "exit 3", "empty")
	if l := b.arm.Logs("a").Lines(9); len(l) != 1 || l[0].Seq != 1 {
		t.Errorf("%+v", l)
	}
}

func logText(path string) string {
	b, _ := os.ReadFile(path)
	return regexp.MustCompile(`(?m)^\S+Z `).ReplaceAllString(string(b), "")
}

// TestLogFile: an epoch goes on where the last one ended, and what is flushed at
// the end is all.
func TestLogFile(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	u := shell("a", "echo one; echo two; exec sleep 100")
	u.LogFile = &unit.LogFile{Path: dir + "/log", Every: time.Millisecond}
	id := b.start(u)
	b.expect("spawned", "ready")
	until(t, "written", func() bool { return logText(dir+"/log") == "one\ntwo\n" })
	u.LogFile = &unit.LogFile{Path: dir + "/log", Every: time.Hour}
	b.arm.LogTo(u)
	b.end()
	b.begin()
	b.do(unit.Adopt, u, id)
	until(t, "adopted", func() bool { return b.arm.Logs("a") != nil && b.hasFile("a") })
	b.arm.Logs("a").Note("three")
	b.arm.FlushLogs(bound)
	if d := cmp.Diff("one\ntwo\nthree\n", logText(dir+"/log")); d != "" {
		t.Error(d)
	}
}

func (b *bench) hasFile(name string) bool {
	l := b.arm.unitLog(name)
	b.arm.mu.Lock()
	defer b.arm.mu.Unlock()
	return l != nil && l.file != nil
}
