package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// Memory is what a unit uses, in bytes: memory.current of its cgroup, which
// includes its page cache, else the resident sets of its processes. 0: nothing,
// or not known.
func (a *Arm) Memory(name string) int64 {
	group := filepath.Join(a.cfg.CgroupRoot, groupOf(name))
	if b, err := os.ReadFile(filepath.Join(group, "memory.current")); err == nil {
		n, _ := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
		return n
	}
	var pages int64
	for _, pid := range a.pids(name) {
		b, err := os.ReadFile("/proc/" + pid + "/statm")
		if f := bytes.Fields(b); err == nil && len(f) > 1 {
			n, _ := strconv.ParseInt(string(f[1]), 10, 64)
			pages += n
		}
	}
	return pages * int64(os.Getpagesize())
}

// Processes is how many processes a unit has, those of earlier runs included.
func (a *Arm) Processes(name string) int { return len(a.pids(name)) }

func (a *Arm) pids(name string) (pids []string) {
	files, _ := filepath.Glob(filepath.Join(a.cfg.CgroupRoot, groupOf(name), "*", "cgroup.procs"))
	for _, file := range files {
		b, _ := os.ReadFile(file) // a leaf that has gone has none
		for _, pid := range bytes.Fields(b) {
			pids = append(pids, string(pid))
		}
	}
	return pids
}
