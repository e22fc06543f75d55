package process

import (
	"errors"
	"time"

	"hoopy/unit"
)

// guestWait is how long the leaf of Exec waits for its process.
const guestWait = 30 * time.Second

// Exec prepares a command that somebody else runs as u's processes run (svc
// exec): he moves into the cgroup, given as its folder in the hierarchy's file
// system, and lets the launcher have the spec. The leaf goes when it is empty
// again, or when nobody has moved in within half a minute. It may be called from
// any goroutine, and asks no disk.
func (a *Arm) Exec(u *unit.Unit, argv []string) (spec []byte, cgroup string, err error) {
	if len(argv) == 0 {
		return nil, "", errors.New("exec: no command")
	}
	if !u.Kind.HasProcess() {
		return nil, "", errors.New("unit " + u.Name + ": a " + u.Kind.String() + " has no processes")
	}
	// A run that nobody starts: its leaf and its circumstances are all of it.
	r := newRun(a.ownRun(), u.Name, unit.Parts)
	r.unit, r.argv = u, argv
	l, err := a.newLeaf(u, r.id)
	if err != nil {
		return nil, "", err
	}
	a.isGuest(l.path, true)
	a.post(func() { a.expectGuest(l) })
	s := a.spec(r)
	s.Interactive = true
	return s.Append(nil), l.path, nil
}

// expectGuest waits for the process of a leaf, and then for its end.
func (a *Arm) expectGuest(l *leaf) {
	left := &leftover{leaf: l, retryAt: time.Now().Add(guestWait)}
	a.left[l.path] = left
	l.populated() // a fresh descriptor has an event, which this quiets
	if err := a.set.Add(l.events, pollPri, func() { a.sweep(left) }); err != nil {
		a.cfg.Log("process: cgroup " + l.path + ": watch: " + err.Error())
	}
}
