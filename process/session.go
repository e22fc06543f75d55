package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"hoopy/unit"
)

// Sessions are what a unit that stops by its main process alone leaves behind:
// the logins of sshd. Nothing ever kills the leaf of such a run, and once its
// main process is gone, each session gets a cgroup of its own, svc/NAME/
// session-PID: whatever becomes of the service, it is none of theirs. Those that
// could not be moved live on in the old leaf, as safe as the others.

const sessionPrefix = "session-"

// Sessions is how many sessions of a unit are open: trees of processes in its
// cgroups that are not the main process's own, by those whose parent is the
// main process or, after it, nobody of the unit. Hooks, probes and what svc exec
// runs are none.
func (a *Arm) Sessions(name string) int {
	a.mu.Lock()
	main := a.mains[name]
	skip := make(map[string]bool, len(a.guests))
	for path := range a.guests {
		skip[path] = true
	}
	a.mu.Unlock()
	leaves, _ := filepath.Glob(filepath.Join(a.cfg.CgroupRoot, groupOf(name), "*", "cgroup.procs"))
	var pids []int
	for _, file := range leaves {
		if !skip[filepath.Dir(file)] {
			pids = append(pids, processes(file)...)
		}
	}
	return len(trees(pids, main, parentIn("/proc")))
}

// processes reads a cgroup.procs; a leaf that has gone has none.
func processes(file string) (pids []int) {
	b, _ := os.ReadFile(file)
	for _, f := range bytes.Fields(b) {
		if pid, err := strconv.Atoi(string(f)); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// trees sorts pids, without main, by the topmost ancestor among them. A process
// without a parent has ended.
func trees(pids []int, main int, parent func(pid int) int) map[int][]int {
	up := make(map[int]int, len(pids))
	for _, pid := range pids {
		if pid == main {
			continue
		}
		if p := parent(pid); p > 0 {
			up[pid] = p
		}
	}
	roots := make(map[int][]int)
	for pid := range up {
		root := pid
		for range len(up) { // a pid that was given away again may make a ring
			p := up[root]
			if _, ours := up[p]; !ours {
				break
			}
			root = p
		}
		roots[root] = append(roots[root], pid)
	}
	return roots
}

// parentIn reads parents from a /proc; 0: there is no such process.
func parentIn(proc string) func(pid int) int {
	return func(pid int) int {
		b, err := os.ReadFile(proc + "/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			return 0
		}
		return parseParent(string(b))
	}
}

// parseParent finds the ppid; 0: there is none.
func parseParent(stat string) int {
	ppid, err := strconv.Atoi(statField([]byte(stat), 4))
	if err != nil || ppid < 0 {
		return 0
	}
	return ppid
}

// statField is field n of proc_pid_stat(5), from 3 on: those before are the pid and
// a name that may have anything in it. Empty: it is not there.
func statField(stat []byte, n int) string {
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if n-3 >= len(f) {
		return ""
	}
	return string(f[n-3])
}

// partWithSessions moves what is left of a run into cgroups of its own. That
// waits for grace periods of the kernel, so it is done aside.
func (a *Arm) partWithSessions(r *run) {
	if !r.spares() || r.leaf == nil || !r.leaf.populated() {
		return
	}
	from := r.leaf.path
	a.aside("sessions:"+r.name, func() string { return strings.Join(moveSessions(from), "\n") }, func(said string) {
		for path := range strings.FieldsSeq(said) {
			if a.left[path] != nil {
				continue
			}
			if l, err := openLeaf(path); err == nil {
				a.leave(l)
			}
		}
	})
}

// movePasses bounds the hunt for processes that fork while they are moved.
const movePasses = 16

// moveSessions moves each tree of processes in the leaf from, whose main process
// is gone, and returns the cgroups.
func moveSessions(from string) (to []string) {
	moved := make(map[string]bool)
	for range movePasses {
		pids := processes(filepath.Join(from, "cgroup.procs"))
		if len(pids) == 0 {
			break
		}
		for root, pids := range trees(pids, 0, parentIn("/proc")) {
			dir := filepath.Join(filepath.Dir(from), sessionPrefix+strconv.Itoa(root))
			if _, err := mkdir(dir); err != nil {
				return to // it lives on where it is
			}
			if !moved[dir] {
				moved[dir], to = true, append(to, dir)
			}
			for _, pid := range pids {
				// ESRCH: it has ended. ENODEV: the cgroup was empty again and
				// swept; the next pass makes another.
				_ = writeFile(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid))
			}
		}
	}
	return to
}

// mainIs remembers the pid of a unit's main process for those who ask from
// other goroutines; 0: there is none.
func (a *Arm) mainIs(name string, pid int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if pid == 0 {
		delete(a.mains, name)
	} else {
		a.mains[name] = pid
	}
}

// isGuest remembers a leaf that is nobody's session, or, with false, forgets it.
func (a *Arm) isGuest(path string, is bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if is {
		a.guests[path] = true
	} else {
		delete(a.guests, path)
	}
}

// noteMain keeps mainIs up to date for r.
func (a *Arm) noteMain(r *run) {
	if r.part != unit.Main {
		return
	}
	if r.exited {
		a.mainIs(r.name, 0)
	} else if r.pid > 0 {
		a.mainIs(r.name, r.pid)
	}
}
