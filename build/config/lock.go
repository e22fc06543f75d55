package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hoopy/build/apk"
	"hoopy/unit/schema"
)

// Lock is packages.lock: what the wanted names resolved to, and the ids that
// users and groups were given once. Ids are never taken back: files on the
// pools carry them.
type Lock struct {
	Arch, Branch string
	// Want is the list of names that was resolved, sorted.
	Want []string
	// Provides are the names that the image provided, sorted.
	Provides []string
	// Repositories are those of image.toml, in its order, pins included.
	Repositories []string
	// Packages are in the order in which they are installed.
	Packages []Locked
	// Users and Groups map names to ids.
	Users, Groups map[string]int
}

// Locked is one package: Hash is the index's checksum of its control part.
type Locked struct {
	Name, Version, Hash, Repository string
}

// Differs says how image.toml and the list ask for something else than the
// lock answers, a line each; none means that it can be used as it stands.
func (l *Lock) Differs(c *Config, want []string) (how []string) {
	one := func(what, have, now string) {
		if have != now {
			how = append(how, fmt.Sprintf("%s is now %s, was %s", what, orNone(now), orNone(have)))
		}
	}
	one("arch", l.Arch, c.Arch)
	one("branch", l.Branch, c.Branch)
	one("repositories", strings.Join(l.Repositories, ", "), strings.Join(c.RepositoryNames(), ", "))
	many := func(what string, have, now []string) {
		for _, w := range sorted(now) {
			if !slices.Contains(have, w) {
				how = append(how, what+" has "+w+" in addition")
			}
		}
		for _, w := range sorted(have) {
			if !slices.Contains(now, w) {
				how = append(how, what+" no longer has "+w)
			}
		}
	}
	many("packages", l.Want, want)
	many("provides", l.Provides, c.Provides)
	if len(l.Packages) == 0 {
		how = append(how, "no package stands in it")
	}
	return how
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// ReadLock reads a lock. A file that does not exist gives nil and no error.
func ReadLock(file string) (*Lock, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return ParseLock(filepath.Base(file), string(text))
}

// ParseLock reads the text of a lock; file is the name for mistakes.
func ParseLock(file, text string) (*Lock, error) {
	l := &Lock{Users: map[string]int{}, Groups: map[string]int{}}
	var errs []*schema.Mistake
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if wrong := l.line(f); wrong != "" {
			errs = append(errs, mistake(file, i+1, wrong+"; this file is written by build update, not by hand"))
		}
	}
	if len(errs) == 0 && (l.Arch == "" || l.Branch == "") {
		errs = append(errs, mistake(file, 0, "arch or branch is missing; build update makes it anew"))
	}
	if err := schema.Join(errs); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Lock) line(f []string) string {
	switch {
	case f[0] == "arch" && len(f) == 2:
		l.Arch = f[1]
	case f[0] == "branch" && len(f) == 2:
		l.Branch = f[1]
	case f[0] == "want":
		l.Want = append(l.Want, f[1:]...)
	case f[0] == "provides":
		l.Provides = append(l.Provides, f[1:]...)
	case f[0] == "repository" && len(f) > 1:
		l.Repositories = append(l.Repositories, strings.Join(f[1:], " "))
	case f[0] == "package" && len(f) == 5:
		if _, err := apk.ParseChecksum(f[3]); err != nil {
			return fmt.Sprintf("package %s: %q is no checksum", f[1], f[3])
		}
		if slices.ContainsFunc(l.Packages, func(p Locked) bool { return p.Name == f[1] }) {
			return fmt.Sprintf("package %s stands here twice", f[1])
		}
		l.Packages = append(l.Packages, Locked{f[1], f[2], f[3], f[4]})
	case (f[0] == "user" || f[0] == "group") && len(f) == 3:
		id, err := strconv.ParseUint(f[2], 10, 31)
		if err != nil {
			return fmt.Sprintf("%s %s: %q is no id", f[0], f[1], f[2])
		}
		ids := l.Users
		if f[0] == "group" {
			ids = l.Groups
		}
		if have, twice := ids[f[1]]; twice && have != int(id) {
			return fmt.Sprintf("%s %s: two numbers, %d and %d", f[0], f[1], have, id)
		}
		ids[f[1]] = int(id)
	default:
		return fmt.Sprintf("line %q is not understood", strings.Join(f, " "))
	}
	return ""
}

// String is the text of the lock, the same for the same content.
func (l *Lock) String() string {
	var b strings.Builder
	b.WriteString("# What `packages` resolved to, and the ids of users. Written by build update; commit it.\n")
	fmt.Fprintf(&b, "arch %s\nbranch %s\nwant %s\n", l.Arch, l.Branch, strings.Join(sorted(l.Want), " "))
	if len(l.Provides) > 0 {
		fmt.Fprintf(&b, "provides %s\n", strings.Join(sorted(l.Provides), " "))
	}
	for _, r := range l.Repositories {
		fmt.Fprintf(&b, "repository %s\n", r)
	}
	for _, p := range l.Packages {
		fmt.Fprintf(&b, "package %s %s %s %s\n", p.Name, p.Version, p.Hash, p.Repository)
	}
	for _, n := range slices.Sorted(maps.Keys(l.Users)) {
		fmt.Fprintf(&b, "user %s %d\n", n, l.Users[n])
	}
	for _, n := range slices.Sorted(maps.Keys(l.Groups)) {
		fmt.Fprintf(&b, "group %s %d\n", n, l.Groups[n])
	}
	return b.String()
}

// NewLock starts a lock for these wishes. The ids of an older lock, which may
// be nil, are kept.
func NewLock(c *Config, want []string, old *Lock) *Lock {
	l := &Lock{
		Arch: c.Arch, Branch: c.Branch, Want: sorted(want), Provides: sorted(c.Provides),
		Repositories: c.RepositoryNames(),
		Users:        map[string]int{}, Groups: map[string]int{},
	}
	if old != nil {
		maps.Copy(l.Users, old.Users)
		maps.Copy(l.Groups, old.Groups)
	}
	return l
}
