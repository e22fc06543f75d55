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
	// Packages are in the order in which they are installed.
	Packages []Locked
	// Users and Groups map names to ids.
	Users, Groups map[string]int
}

// Locked is one package: Hash is the index's checksum of its control part.
type Locked struct {
	Name, Version, Hash, Repository string
}

// Matches reports whether the lock answers these wishes, so that it can be
// used as it stands.
func (l *Lock) Matches(c *Config, want []string) bool {
	return l != nil && l.Arch == c.Arch && l.Branch == c.Branch && len(l.Packages) > 0 &&
		slices.Equal(l.Want, sorted(want)) && slices.Equal(l.Provides, sorted(c.Provides))
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
		if right := l.line(f); right != "" {
			errs = append(errs, mistake(file, i+1, right+"; the build writes this file, delete it to make it anew"))
		}
	}
	if len(errs) == 0 && (l.Arch == "" || l.Branch == "") {
		errs = append(errs, mistake(file, 0, "arch or branch is missing; delete it and the build makes it anew"))
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
	case f[0] == "package" && len(f) == 5:
		l.Packages = append(l.Packages, Locked{f[1], f[2], f[3], f[4]})
	case (f[0] == "user" || f[0] == "group") && len(f) == 3:
		id, err := strconv.ParseUint(f[2], 10, 31)
		if err != nil {
			return fmt.Sprintf("%s %s: %q is no id", f[0], f[1], f[2])
		}
		if f[0] == "user" {
			l.Users[f[1]] = int(id)
		} else {
			l.Groups[f[1]] = int(id)
		}
	default:
		return fmt.Sprintf("line %q is not understood", strings.Join(f, " "))
	}
	return ""
}

// String is the text of the lock, the same for the same content.
func (l *Lock) String() string {
	var b strings.Builder
	b.WriteString("# What `packages` resolved to, and the ids of users. Written by the build; commit it.\n")
	fmt.Fprintf(&b, "arch %s\nbranch %s\nwant %s\n", l.Arch, l.Branch, strings.Join(sorted(l.Want), " "))
	if len(l.Provides) > 0 {
		fmt.Fprintf(&b, "provides %s\n", strings.Join(sorted(l.Provides), " "))
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
		Users: map[string]int{}, Groups: map[string]int{},
	}
	if old != nil {
		maps.Copy(l.Users, old.Users)
		maps.Copy(l.Groups, old.Groups)
	}
	return l
}
