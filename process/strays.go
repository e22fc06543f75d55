package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// Strays are processes that are of no run: sessions, what people left running or
// run by svc exec, containers. While the machine lives they are nobody's business;
// at its end they are in the way of file systems that have to go.

// Bounds of Clear.
const (
	strayLook    = 20 * time.Millisecond  // between two looks
	askEverybody = 300 * time.Millisecond // before that only those who have a terminal
	killStrays   = 2 * time.Second        // from the first signal
	leaveStrays  = time.Second            // from SIGKILL
)

// clearing is a Clear under way.
type clearing struct {
	at     time.Time // of the next look
	began  time.Time // when somebody was asked to go; zero: not yet
	killAt time.Time
	ask    bool
	nobody int         // looks that found none
	asked  map[int]int // by pid, the step that it has been through
}

// Steps of what is done about a stray. A shell with a terminal goes at once, and
// with it what sshd has to say about it still gets through.
const (
	askTerminals = 1 + iota
	askAll
	killAll
)

// clear carries out Clear.
func (a *Arm) clear(sig int) {
	c := a.clearing
	if c == nil {
		c = &clearing{asked: map[int]int{}}
		a.clearing = c
	}
	c.nobody = 0
	c.ask = c.ask || sig != 0
	now := time.Now()
	if sig == int(unix.SIGKILL) {
		c.killAt = now
	}
	a.lookForStrays(now)
}

// lookForStrays looks once, and does what is due.
func (a *Arm) lookForStrays(now time.Time) {
	c := a.clearing
	c.at = now.Add(strayLook)
	all := a.strays()
	if len(all) == 0 {
		// Sessions may be on their way into a cgroup of their own; they are not
		// missed twice.
		if c.nobody++; c.nobody > 1 {
			a.cleared("ended")
		}
		return
	}
	c.nobody = 0
	if !c.ask {
		return
	}
	if c.began.IsZero() {
		c.began = now
	}
	if c.killAt.IsZero() {
		c.killAt = now.Add(killStrays + a.cfg.testOnlyPatience)
	}
	step := askTerminals
	switch {
	case now.Sub(c.killAt) >= leaveStrays:
		a.cfg.Log("process: " + namesOf(all) + " survive SIGKILL: they wait for a disk or the kernel")
		a.cleared("gone or given up")
		return
	case !now.Before(c.killAt):
		step = killAll
	case now.Sub(c.began) >= askEverybody:
		step = askAll
	}
	var late []stray
	for _, p := range all {
		if c.asked[p.pid] >= step || step == askTerminals && !p.terminal {
			continue
		}
		c.asked[p.pid] = step
		if step == killAll {
			late = append(late, p)
			continue
		}
		signalIn(p.group, p.pid, unix.SIGHUP, unix.SIGTERM, unix.SIGCONT)
	}
	if len(late) > 0 {
		a.cfg.Log("process: " + namesOf(late) + " did not end when asked to, killed")
	}
	for _, p := range late {
		signalIn(p.group, p.pid, unix.SIGKILL)
	}
}

// cleared ends a Clear.
func (a *Arm) cleared(how string) {
	if c := a.clearing; len(c.asked) > 0 {
		a.cfg.Log(fmt.Sprintf("process: %d processes of no unit %s after %.1f s", len(c.asked), how, time.Since(c.began).Seconds()))
	}
	a.clearing = nil
	a.cfg.Emit(unit.Event{Op: unit.Cleared})
}

// stray is a process of no run.
type stray struct {
	pid      int
	group    string // its cgroup, below the root of the hierarchy
	terminal bool   // it has one that controls it
}

// namesOf names processes, not more than a line holds.
func namesOf(all []stray) string {
	var names []string
	for _, p := range all {
		if len(names) == 3 {
			names = append(names, fmt.Sprintf("%d more", len(all)-3))
			break
		}
		comm, _ := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/comm") // it may have ended
		names = append(names, string(bytes.TrimSpace(comm))+" (pid "+strconv.Itoa(p.pid)+")")
	}
	return strings.Join(names, ", ")
}

// strays finds them in the whole hierarchy but the cgroups of init's own processes
// and of runs; of a run that spares its sessions, those. What is in the root itself
// is the kernel's.
func (a *Arm) strays() (all []stray) {
	skip := map[string]int{"keeper": 0, "supervisor": 0, "rescue": 0} // to the main process, where others count
	for _, r := range a.runs {
		if r.leaf == nil {
			continue
		}
		skip[strings.TrimPrefix(r.leaf.path, a.cfg.CgroupRoot+"/")] = 0
		if r.spares() && (r.exited || r.pid > 0) {
			skip[strings.TrimPrefix(r.leaf.path, a.cfg.CgroupRoot+"/")] = max(r.pid, 1)
		}
	}
	var walk func(group string, depth int)
	walk = func(group string, depth int) {
		main, known := skip[group]
		if known && main == 0 || depth == 0 {
			return
		}
		dir := filepath.Join(a.cfg.CgroupRoot, group)
		if group != "" {
			for _, pid := range processes(dir + "/cgroup.procs") {
				if pid != main {
					all = append(all, stray{pid, "/" + group, hasTerminal(pid)})
				}
			}
		}
		f, err := os.Open(dir)
		if err != nil {
			return // it went meanwhile
		}
		entries, _ := f.ReadDir(-1) // as far as it goes
		f.Close()
		for _, e := range entries {
			if e.IsDir() {
				walk(strings.TrimPrefix(group+"/"+e.Name(), "/"), depth-1)
			}
		}
	}
	walk("", 16)
	return all
}

// hasTerminal says whether a terminal controls the process.
func hasTerminal(pid int) bool {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat") // it may have ended
	tty := statField(b, 7)
	return tty != "" && tty != "0"
}
