// Package install lays packages into a tree as apk would on a disk.
//
// Entries keep their type, every mode bit, links and hard links; owners are
// looked up by name in the tree's own etc/passwd and etc/group, after the
// .pre-install scripts had their chance to make them. Files that two packages
// bring are decided by apk's rules: the same origin, or "replaces" and its
// priority; all else is a conflict and an error.
//
// # Scripts
//
// The .pre-install, .post-install and .trigger of the packages are interpreted,
// never executed: every open, test, glob, redirect and command goes to the tree,
// none to the host. The commands are our own, and few (see commands.go). A
// script that wants another one is an error that names package, script and
// command; Options.Skip is the way out.
//
// # What differs from "apk add --root"
//
// On purpose, and held by a test against the real apk:
//
//   - nothing of apk itself: no lib/apk/db, lib/apk/exec as its package has it, no
//     var/cache/apk, no etc/apk/world and etc/apk/arch, no keys but those that
//     packages bring; proc with the mode that its package says (apk makes it
//     first, 0555; it is a mount point);
//   - a directory that a package forgot to name is made, where apk refuses the
//     file ("no dirent in archive");
//   - no device nodes under dev, which the build lays itself;
//   - no backups etc/passwd-, etc/group-, etc/shadow-;
//   - in etc/shadow the day of the last change stays empty, as in Alpine's own
//     lines, where adduser writes the day of the build;
//   - no extended attributes, file capabilities among them: an initramfs has
//     none (Report.Notes names each file that loses some);
//   - times are those of the packages, never of the build;
//   - depmod does nothing: the build writes the module index itself.
package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"
	"time"

	"hoopy/build/apk"
	"hoopy/build/tree"
)

// Options directs Install; the zero value is apk's behaviour.
type Options struct {
	// Skip names packages whose scripts and triggers are not run.
	Skip map[string]bool
	// IDs pins the numbers of users and groups that scripts create. A number
	// that is pinned for one name is not given to another.
	IDs IDs
	// ScriptTime bounds one script; 0 means 20 s. Real ones take less than a
	// millisecond.
	ScriptTime time.Duration
	// Report, if set, is filled in.
	Report *Report
}

// IDs are the numbers once given to users and groups, by name.
type IDs struct {
	Users, Groups map[string]int
}

// Report tells what Install did.
type Report struct {
	// IDs holds the users and groups that scripts created, for the lock.
	IDs IDs
	// Sizes is the sum of file sizes by package ID, in bytes. A file that was
	// replaced counts for both.
	Sizes map[string]int64
	// Notes are lines worth showing: links that were not made, attributes that
	// were dropped, scripts that were skipped.
	Notes []string
}

// ConflictError says that two packages bring the same file and neither may
// replace the other's.
type ConflictError struct {
	Path       string
	Have, With string // package IDs; Have laid it first
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("package %s: %q is already there, from %s, and neither replaces the other", e.With, e.Path, e.Have)
}

// Install lays pkgs, in the order given (that of apk.Solve), into t and runs
// their scripts. When it fails, t is half done and of no use.
func Install(ctx context.Context, t *tree.Tree, pkgs []*apk.Package, cache *apk.Cache, o Options) error {
	report := o.Report
	if report == nil {
		report = &Report{}
	}
	*report = Report{Sizes: map[string]int64{}, IDs: IDs{map[string]int{}, map[string]int{}}}
	in := &installer{
		t: t, o: o, report: report,
		owner: map[string]*laid{},
		dirs:  map[string]bool{}, laidIn: map[string]bool{},
	}
	for a, err := range fetchAll(ctx, cache, pkgs) {
		if err != nil {
			return err
		}
		if err := in.add(ctx, a); err != nil {
			return err
		}
	}
	return in.triggers(ctx)
}

// laid is a package that is in the tree.
type laid struct {
	*apk.Info
	archive *apk.Archive
}

func (l *laid) id() string { return l.Name + "-" + l.Version }

type installer struct {
	// mu guards all of this while a script runs, for both sides of a pipe run
	// at once. It is never held while reading from or writing to a pipe.
	mu     sync.Mutex
	t      *tree.Tree
	o      Options
	report *Report
	pkgs   []*laid
	owner  map[string]*laid // of every path but directories, as resolved
	dirs   map[string]bool  // directories that packages made
	laidIn map[string]bool  // directories, as packages name them, that something was laid in
	ids    idTable
}

func (in *installer) note(format string, a ...any) {
	in.report.Notes = append(in.report.Notes, fmt.Sprintf(format, a...))
}

// add lays one package and runs what scripts go with that.
func (in *installer) add(ctx context.Context, a *apk.Archive) error {
	l := &laid{Info: &a.Info, archive: a}
	if err := in.script(ctx, l, "pre-install", l.Version); err != nil {
		return err
	}
	moved := map[string]string{}
	for _, e := range a.Entries {
		in.noteXattrs(l, e)
		if dir := e.Path; e.Mode.IsDir() {
			in.laidIn[dir] = true
		} else {
			in.laidIn[path.Dir(dir)] = true
		}
		if err := in.lay(l, e, moved); err != nil {
			return err
		}
	}
	in.pkgs = append(in.pkgs, l)
	return in.script(ctx, l, "post-install", l.Version)
}

// noteXattrs tells of extended attributes, which no initramfs can hold.
func (in *installer) noteXattrs(l *laid, e *apk.Entry) {
	for _, name := range slices.Sorted(maps.Keys(e.Xattrs)) {
		what := fmt.Sprintf("extended attribute %q is lost", name)
		if name == "security.capability" {
			what = "file capabilities are lost, so what they allowed takes root"
		}
		in.note("package %s: %q: %s (an initramfs has no extended attributes)", l.id(), e.Path, what)
	}
}

// lay puts one entry of a package into the tree. moved has the names of the
// package that were laid elsewhere, or, if empty, not at all.
func (in *installer) lay(l *laid, e *apk.Entry, moved map[string]string) error {
	wrap := func(err error) error { return fmt.Errorf("package %s: %w", l.id(), err) }
	ids, err := in.ids.of(in.t)
	if err != nil {
		return wrap(err)
	}
	e.UID, e.GID = ids.uid(e.User, e.UID), ids.gid(e.Group, e.GID)
	e.Source = l.id()
	if err := in.parents(e.Path, l); err != nil {
		return wrap(err)
	}
	if e.Mode.IsDir() {
		return in.layDir(l, e)
	}
	old, err := in.t.Lstat(e.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return wrap(err)
	}
	if to, ok := moved[e.Hard]; ok && e.Hard != "" {
		if to == "" {
			return wrap(fmt.Errorf("%q: hard link to %q, which another package replaces", e.Path, e.Hard))
		}
		e.Hard = to
	}
	if old != nil {
		name := e.Path
		keep, err := in.replace(l, e, old)
		if err != nil {
			return err
		}
		if keep {
			moved[name] = ""
			return nil
		}
		if e.Path != name {
			moved[name] = e.Path
		}
	}
	if err := in.t.Add(&e.Entry); err != nil {
		return wrap(err)
	}
	in.owner[e.Path] = l
	in.report.Sizes[l.id()] += e.Size
	return nil
}

// parents makes the directories above name where a package forgot them.
func (in *installer) parents(name string, l *laid) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	if _, err := in.t.Stat(dir); err == nil {
		return nil
	}
	return in.t.MkdirAll(dir, 0o755)
}

// layDir makes a directory. One that packages made before ends with the lowest
// of their owners and, among equal owners, with the bits that all agree on; one
// that was there before any package, or that a script made, stays as it is.
func (in *installer) layDir(l *laid, e *apk.Entry) error {
	wrap := func(err error) error { return fmt.Errorf("package %s: %w", l.id(), err) }
	old, err := in.t.Stat(e.Path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := in.t.Add(&e.Entry); err != nil {
			return wrap(err)
		}
		in.dirs[e.Path] = true
		return nil
	}
	if err != nil {
		return wrap(err)
	}
	if !old.Mode.IsDir() {
		return wrap(fmt.Errorf("%q: a directory here, but %s laid something else", e.Path, source(old)))
	}
	if !in.dirs[old.Path] {
		return nil
	}
	switch {
	case e.UID < old.UID || e.UID == old.UID && e.GID < old.GID:
		old.UID, old.GID, old.Mode = e.UID, e.GID, e.Mode
	case e.UID == old.UID && e.GID == old.GID:
		old.Mode &= e.Mode
	}
	return nil
}

func source(e *tree.Entry) string {
	if e.Source == "" {
		return "a script"
	}
	return e.Source
}

// replace decides about an entry whose name is taken: keep says that what is
// there stays. It may change e.Path instead.
func (in *installer) replace(l *laid, e *apk.Entry, old *tree.Entry) (keep bool, err error) {
	if old.Mode.IsDir() {
		return false, fmt.Errorf("package %s: %q: a directory is there, from %s", l.id(), e.Path, source(old))
	}
	have := in.owner[old.Path]
	if have == nil {
		if inEtc(old.Path) && old.Mode.IsRegular() {
			// a script, or whoever filled the tree, configured this already
			e.Path += ".apk-new"
		}
		return false, nil
	}
	if have.Name == l.Name || have.Origin != "" && have.Origin == l.Origin {
		return false, nil
	}
	haveRank, rank := replaces(have, l), replaces(l, have)
	switch {
	case haveRank > rank:
		return true, nil
	case rank >= 0:
		return false, nil
	}
	return false, &ConflictError{Path: old.Path, Have: have.id(), With: l.id()}
}

func inEtc(name string) bool { return len(name) > 4 && name[:4] == "etc/" }

// replaces gives the priority with which one package may replace files of
// another, -1 for not at all.
func replaces(l, other *laid) int {
	for i := range l.Replaces {
		if l.Replaces[i].MetBy(other.Name, other.Version, other.archive.Checksum) {
			return l.ReplacesPriority
		}
	}
	return -1
}

// triggers runs the .trigger of every package whose patterns match a directory
// that a package laid something in.
func (in *installer) triggers(ctx context.Context) error {
	dirs := make([]string, 0, len(in.laidIn))
	for d := range in.laidIn {
		dirs = append(dirs, path.Join("/", d))
	}
	slices.Sort(dirs)
	for _, l := range in.pkgs {
		var hit []string
		for _, d := range dirs {
			for _, pattern := range l.Triggers {
				if ok, err := path.Match(pattern, d); err != nil {
					return fmt.Errorf("package %s: trigger pattern %q: %w", l.id(), pattern, err)
				} else if ok {
					hit = append(hit, d)
					break
				}
			}
		}
		if len(hit) > 0 {
			if err := in.script(ctx, l, "trigger", hit...); err != nil {
				return err
			}
		}
	}
	return nil
}
