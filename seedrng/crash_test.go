package seedrng

import (
	"maps"
	"strings"
	"testing"
)

// class is all that matters of a seed that was never used.
func class(files map[string]string, name string) string {
	b, ok := files[name]
	switch {
	case !ok:
		return "none"
	case b == "":
		return "empty"
	case strings.Trim(b, "\x00") == "":
		return "zeros"
	case len(b) < seedLeast:
		return "short"
	}
	return "whole"
}

// world is a machine that is switched off.
type world struct {
	files  map[string]string
	used   map[string]int
	serial int
	boots  int
}

func (w *world) key() string {
	k := class(w.files, uncredited) + " " + class(w.files, credited)
	if a, ok := w.files[uncredited]; ok && a == w.files[credited] {
		k += " same"
	}
	return k
}

func (w *world) start(t testing.TB, ready bool) *fake {
	f := newFake(t, w.files)
	f.used, f.serial, f.boot, f.ready = maps.Clone(w.used), w.serial, w.boots, ready
	return f
}

// until runs do, and says whether it came to its end.
func until(do func()) (through bool) {
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(stopped); !ok {
				panic(v)
			}
		}
	}()
	do()
	return true
}

// aBoot is what is done with the seed from switching on to switching off.
func aBoot(f *fake) {
	s := &seed{system: f}
	s.restore(fakeDir)
	s.renew(fakeDir)
	s.renew(fakeDir)
}

// TestCrash cuts the power at every step of a boot, with every call before it
// failing once, before or after it has done its work, and with a supervisor that
// was killed at every step before; and goes on with everything that can then be
// on the disk, until there is nothing new. The fake holds what is promised.
func TestCrash(t *testing.T) {
	seen := map[string]bool{}
	var todo []*world
	runs := 0
	add := func(w *world) {
		if k := w.key(); !seen[k] {
			seen[k] = true
			todo = append(todo, w)
		}
	}
	add(&world{used: map[string]int{}})
	cut := func(f *fake) {
		runs++
		f.cut(func(files map[string]string) {
			w := &world{files: files, serial: f.serial, boots: f.boot + 1}
			if !seen[w.key()] {
				w.used = maps.Clone(f.used)
				add(w)
			}
		})
	}
	for len(todo) > 0 && !t.Failed() {
		w := todo[0]
		todo = todo[1:]
		for _, ready := range []bool{false, true} {
			for stop := 0; ; stop++ { // the power
				f := w.start(t, ready)
				f.stopAt = stop
				through := until(func() { aBoot(f) })
				cut(f)
				if through {
					if class(w.files, credited) == "whole" || ready {
						if class(oneOf(f), credited) != "whole" {
							t.Errorf("from %s: after a boot %s", w.key(), class(oneOf(f), credited))
						}
					}
					break
				}
			}
			for fail := 0; ; fail++ { // a call, then the power
				reached := false
				for _, after := range []bool{false, true} {
					for stop := fail + 1; ; stop++ {
						f := w.start(t, ready)
						f.failAt, f.after, f.stopAt = fail, after, stop
						through := until(func() { aBoot(f) })
						cut(f)
						reached = reached || f.step > fail
						if through {
							break
						}
					}
				}
				if !reached || t.Failed() {
					break
				}
			}
			for kill := 0; ; kill++ { // the supervisor, then the power
				ended := false
				for stop := 0; ; stop++ {
					f := w.start(t, ready)
					f.stopAt = kill
					ended = until(func() { aBoot(f) })
					f.restart()
					f.stopAt = stop
					through := until(func() { (&seed{system: f}).restore(fakeDir) })
					cut(f)
					if through {
						break
					}
				}
				if ended || t.Failed() {
					break
				}
			}
		}
	}
	if len(seen) < 8 {
		t.Errorf("only %d kinds of folders: %v", len(seen), seen)
	}
	t.Logf("%d kinds of folders, %d runs", len(seen), runs)
}

// oneOf is what a machine that is switched off cleanly has.
func oneOf(f *fake) (files map[string]string) {
	f.durable, f.pending = f.names(), nil
	f.cut(func(m map[string]string) { files = m })
	return files
}

// TestNeverWithout holds that a machine that had a seed to credit has one after a
// power cut at any step of a renewal.
func TestNeverWithout(t *testing.T) {
	old := strings.Repeat("o", 32)
	for stop := 0; ; stop++ {
		f := newFake(t, map[string]string{credited: old})
		f.ready, f.stopAt = true, stop
		through := until(func() { (&seed{system: f}).renew(fakeDir) })
		f.cut(func(files map[string]string) {
			if class(files, credited) != "whole" {
				t.Errorf("after %v: %v", f.calls, files)
			}
		})
		if through {
			if oneOf(f)[credited] == old {
				t.Error("not renewed")
			}
			break
		}
	}
}

// TestFakeSees holds that the fake would tell of a seed that is used too early.
func TestFakeSees(t *testing.T) {
	told := &recorder{TB: t}
	f := newFake(told, map[string]string{credited: strings.Repeat("o", 32)})
	var r report
	(&seed{system: f}).mix([]byte(strings.Repeat("o", 32)), true, &r)
	if told.errors == 0 {
		t.Error("a seed that is still on the disk was used unnoticed")
	}
	told.errors = 0
	f = newFake(told, nil)
	for range 2 {
		(&seed{system: f}).mix([]byte(strings.Repeat("o", 32)), true, &r)
	}
	if told.errors == 0 {
		t.Error("a seed was used twice unnoticed")
	}
}

type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Errorf(string, ...any) { r.errors++ }
