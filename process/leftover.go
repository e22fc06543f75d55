package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// leftover is the leaf of a run that is over: empty and to be removed, or with
// processes that may live on (the sessions of a StopMain unit) and to be removed
// when they have ended.
type leftover struct {
	leaf    *leaf
	retryAt time.Time // rmdir(2) said EBUSY; zero: wait for cgroup.events
	tries   int
}

const (
	sweepEvery = 200 * time.Millisecond
	sweepTries = 50
)

// leave puts a leaf, which is in no set, on its own.
func (a *Arm) leave(l *leaf) {
	left := &leftover{leaf: l}
	a.left[l.path] = left
	if err := a.set.Add(l.events, pollPri, func() { a.sweep(left) }); err != nil {
		a.cfg.Log(fmt.Sprintf("process: cgroup %s: watch: %v", l.path, err))
	}
	a.sweep(left)
}

// retake takes a leaf back for a run that is adopted.
func (a *Arm) retake(left *leftover) *leaf {
	a.set.Del(left.leaf.events)
	delete(a.left, left.leaf.path)
	return left.leaf
}

// sweep removes the leaf if nothing is in it.
func (a *Arm) sweep(left *leftover) {
	left.retryAt = time.Time{}
	if left.leaf.populated() {
		return
	}
	err := removeGroup(left.leaf.path, 8)
	if err != nil && err != unix.ENOENT {
		if left.tries++; left.tries < sweepTries {
			left.retryAt = time.Now().Add(sweepEvery)
			return
		}
		a.cfg.Log(fmt.Sprintf("process: cgroup %s: rmdir: %v; left behind", left.leaf.path, err))
	}
	a.isGuest(left.leaf.path, false)
	a.retake(left).close()
}

// removeGroup removes a cgroup and what a service made below it, to depth.
func removeGroup(path string, depth int) error {
	err := unix.Rmdir(path)
	if err == nil || err == unix.ENOENT || depth == 0 {
		return err
	}
	if dir, err := os.Open(path); err == nil {
		entries, _ := dir.ReadDir(-1) // what cannot be read makes the rmdir below fail
		dir.Close()
		for _, e := range entries {
			if e.IsDir() {
				removeGroup(filepath.Join(path, e.Name()), depth-1)
			}
		}
	}
	return unix.Rmdir(path)
}

// takeLeaves finds the leaves that earlier epochs left and no row belongs to. A
// run that is adopted without a row takes its leaf back, so nothing is removed
// before the loop has had its first actions: sweep runs from a timer.
func (a *Arm) takeLeaves() {
	paths, _ := filepath.Glob(filepath.Join(a.cfg.CgroupRoot, "svc", "*", "????????*"))
	for _, path := range paths {
		id, ok := parseRun(filepath.Base(path))
		if !ok && !strings.HasPrefix(filepath.Base(path), sessionPrefix) {
			continue
		}
		if r := a.runs[id]; r != nil && r.leaf != nil && r.leaf.path == path {
			continue
		}
		l, err := openLeaf(path)
		if err != nil {
			continue // it went meanwhile
		}
		l.populated() // a fresh descriptor has an event, which this quiets
		left := &leftover{leaf: l, retryAt: time.Now().Add(sweepEvery)}
		a.left[path] = left
		if err := a.set.Add(l.events, pollPri, func() { a.sweep(left) }); err != nil {
			a.cfg.Log(fmt.Sprintf("process: cgroup %s: watch: %v", path, err))
		}
	}
}
