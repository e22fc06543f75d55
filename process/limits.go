package process

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// The files of limits are in the kernel's Documentation/admin-guide/cgroup-v2.rst.

// controllers are those that limits need.
var controllers = [...]string{"cpu", "io", "memory", "pids"}

// prepareGroups makes ROOT/svc and asks for the controllers, where nobody has:
// all in one request, as each waits for a grace period of the kernel. The
// strings say what there is not; the limits of a missing controller do not hold,
// everything else works.
func prepareGroups(root string) (notes []string) {
	services := filepath.Join(root, "svc")
	if _, err := mkdir(services); err != nil {
		return []string{err.Error()}
	}
	lacks := make(map[string]error)
	for _, dir := range []string{root, services} {
		file := filepath.Join(dir, "cgroup.subtree_control")
		b, _ := os.ReadFile(file) // unreadable: as if nothing were there
		have := strings.Fields(string(b))
		var want []string
		for _, c := range controllers {
			if !slices.Contains(have, c) && lacks[c] == nil {
				want = append(want, c)
			}
		}
		if len(want) == 0 || writeFile(file, "+"+strings.Join(want, " +")) == nil {
			continue
		}
		for _, c := range want {
			// One by one: a controller that the kernel lacks must not cost the
			// others.
			if err := writeFile(file, "+"+c); err != nil {
				lacks[c] = err
			}
		}
	}
	for _, c := range controllers {
		if err := lacks[c]; err != nil {
			notes = append(notes, "no controller "+c+", its limits do not hold: "+err.Error())
		}
	}
	return notes
}

// limit is one file of a unit's cgroup.
type limit struct {
	file, value string
	standard    bool // it is what a fresh cgroup has
	wanted      bool // the unit's file says it
}

// cpuPeriod is the period of cpu.max.
const cpuPeriod = 100 * time.Millisecond

// limits are the files of u's cgroup.
func limits(u *unit.Unit) []limit {
	bytes := func(n int64) string {
		if n <= 0 {
			return "max"
		}
		return strconv.FormatInt(n, 10)
	}
	weight := func(n int) string {
		if n <= 0 {
			n = 100
		}
		return strconv.Itoa(n)
	}
	pids := u.PidsMax
	if pids == 0 {
		pids = unit.DefaultPidsMax
	}
	cpu := "max"
	if u.CPUMax > 0 {
		cpu = strconv.FormatInt(max(u.CPUMax.Microseconds(), 1000), 10) // the kernel takes no less than 1 ms
	}
	// A service that was too large ends as a whole: with one of its processes
	// gone it would look well and not be. Sessions that outlive their service
	// do not share its fate.
	whole := u.MemoryMax > 0 && !u.StopMain
	group := "0"
	if whole {
		group = "1"
	}
	return []limit{
		{"pids.max", bytes(pids), pids < 0, u.PidsMax != 0},
		{"memory.max", bytes(u.MemoryMax), u.MemoryMax <= 0, u.MemoryMax > 0},
		{"memory.high", bytes(u.MemoryHigh), u.MemoryHigh <= 0, u.MemoryHigh > 0},
		{"memory.oom.group", group, !whole, false},
		{"cpu.weight", weight(u.CPUWeight), u.CPUWeight <= 0, u.CPUWeight > 0},
		{"cpu.max", cpu + " " + strconv.FormatInt(cpuPeriod.Microseconds(), 10), u.CPUMax <= 0, u.CPUMax > 0},
		{"io.weight", weight(u.IOWeight), u.IOWeight <= 0, u.IOWeight > 0},
	}
}

// unitGroup makes the cgroup of a unit, with its limits as they are now, and
// returns its path.
func (a *Arm) unitGroup(u *unit.Unit) (string, error) {
	group := filepath.Join(a.cfg.CgroupRoot, groupOf(u.Name))
	made, err := mkdir(group)
	if err != nil {
		return "", err
	}
	for _, l := range limits(u) {
		if made && l.standard {
			continue
		}
		err := writeFile(filepath.Join(group, l.file), l.value)
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrNotExist):
			return "", err
		case made && l.wanted:
			// A missing controller was noted; but a kernel may also have one
			// without each of its files.
			a.cfg.Log("process: unit " + u.Name + ": no " + l.file + " here, that limit does not hold")
		}
	}
	return group, nil
}

// newLeaf makes the cgroup of a run.
func (a *Arm) newLeaf(u *unit.Unit, id unit.Run) (*leaf, error) {
	group, err := a.unitGroup(u)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(group, runName(id))
	if _, err := mkdir(path); err != nil {
		return nil, err
	}
	l, err := openLeaf(path)
	if err != nil {
		_ = unix.Rmdir(path) // nothing is in it, and nobody would look for it
	}
	return l, err
}

// oomKills is how often the kernel ended a process of the unit for want of
// memory, see memory.events; -1: not known.
func (a *Arm) oomKills(name string) int64 {
	b, err := os.ReadFile(filepath.Join(a.cfg.CgroupRoot, groupOf(name), "memory.events"))
	if err != nil {
		return -1
	}
	return parseOOMKills(string(b))
}

func parseOOMKills(events string) int64 {
	for line := range strings.Lines(events) {
		if v, ok := strings.CutPrefix(line, "oom_kill "); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
				return n
			}
		}
	}
	return -1
}

// ranOut says that the main process of r was killed for want of memory; empty:
// it was not, or nobody knows.
func (a *Arm) ranOut(r *run) string {
	if sig, _ := r.status.Signal(); sig != 9 || r.oomKills < 0 || a.oomKills(r.name) <= r.oomKills {
		return ""
	}
	if r.unit != nil && r.unit.MemoryMax > 0 {
		return "out of memory (memory_max " + size(r.unit.MemoryMax) + ")"
	}
	return "out of memory"
}

// size is a number of bytes as unit files have it.
func size(n int64) string {
	for _, s := range []struct {
		unit string
		by   int64
	}{{"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}} {
		if n%s.by == 0 {
			return strconv.FormatInt(n/s.by, 10) + s.unit
		}
	}
	return strconv.FormatInt(n, 10)
}
