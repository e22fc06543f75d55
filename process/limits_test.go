package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hoopy/unit"
)

// groupDir is a folder that looks like the cgroup of unit u in a hierarchy with
// all controllers.
func groupDir(t *testing.T, root string) string {
	t.Helper()
	dir := filepath.Join(root, "svc", "u")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, l := range limits(&unit.Unit{}) {
		if err := os.WriteFile(filepath.Join(dir, l.file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLimitsAreWritten(t *testing.T) {
	usual := map[string]string{"pids.max": "4096", "memory.max": "max", "memory.high": "max", "memory.oom.group": "0",
		"cpu.weight": "100", "cpu.max": "max 100000", "io.weight": "100"}
	for _, c := range []struct {
		name string
		unit unit.Unit
		want map[string]string // other than usual
	}{
		{"nothing said", unit.Unit{}, nil},
		{"everything", unit.Unit{Process: unit.Process{PidsMax: 7, MemoryMax: 64 << 20, MemoryHigh: 48 << 20, CPUWeight: 20,
			CPUMax: 150 * time.Millisecond, IOWeight: 500}},
			map[string]string{"pids.max": "7", "memory.max": "67108864", "memory.high": "50331648", "memory.oom.group": "1",
				"cpu.weight": "20", "cpu.max": "150000 100000", "io.weight": "500"}},
		{"no limit of processes", unit.Unit{Process: unit.Process{PidsMax: -1}}, map[string]string{"pids.max": "max"}},
		{"less than the kernel takes", unit.Unit{Process: unit.Process{CPUMax: 100 * time.Microsecond}}, map[string]string{"cpu.max": "1000 100000"}},
		{"with sessions", unit.Unit{StopMain: true, Process: unit.Process{MemoryMax: 1 << 30}}, map[string]string{"memory.max": "1073741824"}},
	} {
		root := t.TempDir()
		dir := groupDir(t, root)
		a := &Arm{cfg: Config{CgroupRoot: root, Log: func(s string) { t.Error(s) }}}
		c.unit.Name = "u"
		if got, err := a.unitGroup(&c.unit); err != nil || got != dir {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
		got := map[string]string{}
		for file := range usual {
			b, _ := os.ReadFile(filepath.Join(dir, file))
			got[file] = string(b)
		}
		want := map[string]string{}
		for file, value := range usual {
			want[file] = value
			if v, ok := c.want[file]; ok {
				want[file] = v
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		for _, l := range limits(&c.unit) {
			if l.standard != (l.value == usual[l.file] && l.file != "pids.max" || l.value == "max") {
				t.Errorf("%s: %s = %q: standard is %v", c.name, l.file, l.value, l.standard)
			}
		}
	}
}

// A kernel without a file of a limit: it is said once, and the unit starts.
func TestLimitThatIsNotThere(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "svc"), 0o755); err != nil {
		t.Fatal(err)
	}
	var said []string
	a := &Arm{cfg: Config{CgroupRoot: root, Log: func(s string) { said = append(said, s) }}}
	u := &unit.Unit{Name: "u", Process: unit.Process{IOWeight: 50}}
	for range 2 {
		if _, err := a.unitGroup(u); err != nil {
			t.Error(err)
		}
	}
	if d := cmp.Diff([]string{"process: unit u: no io.weight here, that limit does not hold"}, said); d != "" {
		t.Error(d)
	}
}

func TestPrepareGroups(t *testing.T) {
	root := t.TempDir()
	services := filepath.Join(root, "svc")
	if err := os.Mkdir(services, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(dir, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(root, "memory pids cpu io\n")
	write(services, "memory\n")
	if notes := prepareGroups(root); len(notes) != 0 {
		t.Errorf("%q", notes)
	}
	for dir, want := range map[string]string{root: "memory pids cpu io\n", services: "+cpu +io +pids"} {
		got, _ := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
		if string(got) != want {
			t.Errorf("%s: %q, not %q", dir, got, want)
		}
	}
	os.Remove(filepath.Join(root, "cgroup.subtree_control"))
	notes := prepareGroups(root)
	if len(notes) != 4 || !strings.HasPrefix(notes[2], "no controller memory, its limits do not hold: ") {
		t.Errorf("%q", notes)
	}
}

func TestRanOut(t *testing.T) {
	root := t.TempDir()
	dir := groupDir(t, root)
	a := &Arm{cfg: Config{CgroupRoot: root}}
	kills := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "memory.events"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if n := a.oomKills("u"); n != -1 {
		t.Errorf("without a file: %d", n)
	}
	kills("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 9\n")
	r := newRun(1, "u", unit.Main)
	r.unit = &unit.Unit{Name: "u", Process: unit.Process{MemoryMax: 256 << 20}}
	r.status = 9
	if text := a.ranOut(r); text != "" {
		t.Errorf("no baseline: %q", text)
	}
	r.oomKills = a.oomKills("u")
	if text := a.ranOut(r); r.oomKills != 2 || text != "" {
		t.Errorf("%d kills, none since: %q", r.oomKills, text)
	}
	kills("oom_kill 3\n")
	for status, want := range map[unit.Status]string{9: "out of memory (memory_max 256M)", 15: "", 0: "", 9 << 8: ""} {
		r.status = status
		if text := a.ranOut(r); text != want {
			t.Errorf("status %d: %q, not %q", status, text, want)
		}
	}
	r.status, r.unit.MemoryMax = 9, 0
	if text := a.ranOut(r); text != "out of memory" {
		t.Errorf("%q", text)
	}
	for n, want := range map[int64]string{1: "1", 1 << 10: "1K", 1536 << 10: "1536K", 3 << 20: "3M", 2 << 30: "2G"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, not %q", n, got, want)
		}
	}
}
