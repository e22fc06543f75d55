package process

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hoopy/process/launch"
	"hoopy/unit"
)

// The keeper labels a run by its unit's name; one that is not the command has
// the part behind a "!", which no name contains: sshd!start_pre, sshd!probe.

const probeWord = "probe"

func label(name string, part unit.Part) string {
	switch {
	case part == unit.Main:
		return name
	case part >= unit.Parts:
		return name + "!" + probeWord
	}
	return name + "!" + part.String()
}

// parseLabel reads what label made. What it does not know is a probe, that is
// unit.Parts: nobody waits for one, so it is ended.
func parseLabel(s string) (name string, part unit.Part) {
	name, word, ok := strings.Cut(s, "!")
	if !ok {
		return name, unit.Main
	}
	for part = unit.StartPre; part < unit.Parts; part++ {
		if part.String() == word {
			break
		}
	}
	return name, part
}

// spec describes what r executes and how. A hook or a probe runs as the command
// does, but for what only one of them can have: the terminal and the file that
// it reads. A probe has no standard output but /dev/null, see askExec.
func (a *Arm) spec(r *run) launch.Spec {
	u := r.unit
	s := launch.Spec{Command: r.argv, Directory: u.Directory, User: u.User, Group: u.Group, Groups: u.Groups,
		Umask: u.Umask, Cgroup: r.group(), Env: u.Env, EnvFiles: u.EnvFiles,
		OOM: int32(u.OOMScore), Nice: int32(u.Nice), IOClass: u.IOClass, IOLevel: int32(u.IOLevel),
		Policy: u.Policy, Priority: int32(u.Priority),
		Bounded: u.Bounded, Bounding: u.Capabilities, Ambient: u.Ambient, NoNewPrivs: u.NoNewPrivs,
		PrivateTmp: u.PrivateTmp, ReadOnly: u.ReadOnly, Writable: u.Writable}
	for _, l := range u.Rlimits {
		s.Limits = append(s.Limits, launch.Limit{Resource: l.Name, Soft: l.Soft, Hard: l.Hard})
	}
	if r.part != unit.Main {
		s.Env = append(a.circumstances(u.Name, r.part), u.Env...)
	}
	switch r.part {
	case unit.Main:
		s.TTY, s.Stdin, s.Stdout, s.Stderr = u.TTY, u.Stdin, u.Stdout, u.Stderr
	case unit.Parts:
	default:
		s.Stdout, s.Stderr = u.Stdout, u.Stderr
	}
	return s
}

// circumstances are what a hook is told in its environment, as systemd.exec(5)
// has it: MAINPID while there is a command, and after its end how that was.
func (a *Arm) circumstances(name string, part unit.Part) (env []string) {
	a.mu.Lock()
	pid := a.mains[name]
	a.mu.Unlock()
	if pid > 0 {
		env = append(env, "MAINPID="+strconv.Itoa(pid))
	}
	if part != unit.StopPost {
		return env
	}
	if st, ok := a.fate[name]; ok {
		how, what := outcome(st)
		env = append(env, "EXIT_CODE="+how, "EXIT_STATUS="+what)
	}
	return env
}

// outcome is a wait status in systemd's words.
func outcome(st unit.Status) (how, what string) {
	if sig, ok := st.Signal(); ok {
		what, ok = unit.SignalName(sig)
		if !ok {
			what = strconv.Itoa(sig)
		}
		if unix.WaitStatus(st).CoreDump() {
			return "dumped", what
		}
		return "killed", what
	}
	code, _ := st.Exit()
	return "exited", strconv.Itoa(code)
}

// alone says that no other run of r's unit is under way, so that a line without
// its end can only be r's.
func (a *Arm) alone(r *run) bool {
	for _, o := range a.runs {
		if o != r && o.name == r.name && o.part != unit.Parts && !o.saidEnd {
			return false
		}
	}
	return true
}
