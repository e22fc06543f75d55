package image

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"hoopy/build/apk"
	"hoopy/build/config"
	"hoopy/build/install"
	"hoopy/unit/schema"
)

// lockName is the file in the folder of the image. When packages are not those
// that the folder asks for, or not Alpine's, it is in Out.
const lockName = "packages.lock"

// own says that the options ask for something else than the folder does.
func (b *builder) own() bool { return len(b.Repos) > 0 || len(b.Only) > 0 || b.Packages != "" }

// committed is the lock beside image.toml, nil when there is none or the
// options ask for something else; how says where it does not answer what the
// folder asks for.
func (b *builder) committed() (l *config.Lock, how []string, err error) {
	if b.own() {
		return nil, nil, nil
	}
	l, err = config.ReadLock(filepath.Join(b.Dir, lockName))
	if err != nil || l == nil {
		return nil, nil, err
	}
	return l, l.Differs(b.config, b.want), nil
}

// resolve gives the packages and the lock that names them: those of the
// committed lock, else what the solver chooses. A lock that answers something
// else than what is asked for is an error: what changes is to be seen.
func (b *builder) resolve(ctx context.Context, s *sources) ([]*apk.Package, *config.Lock, error) {
	if !s.local {
		l, how, err := b.committed()
		if err != nil {
			return nil, nil, err
		}
		if l != nil && len(how) > 0 {
			return nil, nil, staleLock(how)
		}
		if l != nil {
			pkgs, err := b.locked(ctx, l, s)
			return pkgs, l, err
		}
	}
	old, err := config.ReadLock(b.lockFile(s))
	if err != nil {
		return nil, nil, err
	}
	return b.solve(s, old)
}

// staleLock says that the committed lock answers something else.
func staleLock(how []string) error {
	return &schema.Mistake{File: lockName, Text: fmt.Sprintf("does not answer image.toml and packages any more: %s; run build update, look at what changes, and commit it",
		strings.Join(how, "; "))}
}

// solve chooses packages anew; ids come from old, which may be nil.
func (b *builder) solve(s *sources, old *config.Lock) ([]*apk.Package, *config.Lock, error) {
	pkgs, err := apk.Solve(b.want, s.repos, apk.SolveOptions{Provides: b.config.Provides})
	if err != nil {
		return nil, nil, err
	}
	l := config.NewLock(b.config, b.want, old)
	for _, p := range pkgs {
		l.Packages = append(l.Packages, config.Locked{
			Name: p.Name, Version: p.Version, Hash: p.Checksum.String(), Repository: s.names[p.Repo],
		})
	}
	return pkgs, l, nil
}

func (b *builder) lockFile(s *sources) string {
	if s.local || b.own() {
		return filepath.Join(b.Out, lockName)
	}
	return filepath.Join(b.Dir, lockName)
}

// locked finds the packages of a lock in the signed indexes, of today or, where
// the cache has them, of an earlier day. A lock that names others, or that lacks
// what its own packages need, is refused.
func (b *builder) locked(ctx context.Context, l *config.Lock, s *sources) ([]*apk.Package, error) {
	byHash := map[string]*apk.Package{}
	for _, r := range s.repos {
		for _, p := range r.Packages {
			if h := p.Checksum.String(); byHash[h] == nil {
				byHash[h] = p
			}
		}
	}
	if err := b.recall(ctx, l, s, byHash); err != nil {
		return nil, err
	}
	pkgs := make([]*apk.Package, len(l.Packages))
	for i, want := range l.Packages {
		p := byHash[want.Hash]
		if p == nil || p.Name != want.Name || p.Version != want.Version {
			return nil, fmt.Errorf("package %s-%s: %s names it, but %s has no such package any more; run build update to choose anew",
				want.Name, want.Version, lockName, want.Repository)
		}
		pkgs[i] = p
	}
	if lacks := newNeeds(b.want, pkgs, b.config.Provides).lacking(); len(lacks) > 0 {
		return nil, fmt.Errorf("%s: was changed by hand: %s; run build update to choose anew", lockName, strings.Join(lacks, "; "))
	}
	return pkgs, nil
}

// recall adds to byHash the packages of a lock that the indexes list no more,
// from the older ones in the cache. Those are kept by the address that they came
// from, and that need not be the mirror which answers today.
func (b *builder) recall(ctx context.Context, l *config.Lock, s *sources, byHash map[string]*apk.Package) error {
	for _, r := range s.repos {
		want := map[apk.Checksum]bool{}
		for _, p := range l.Packages {
			if byHash[p.Hash] != nil || p.Repository != s.names[r] {
				continue
			}
			sum, err := apk.ParseChecksum(p.Hash)
			if err != nil {
				return fmt.Errorf("%s: package %s: %w", lockName, p.Name, err)
			}
			want[sum] = true
		}
		for _, place := range b.places(r, s) {
			past := *r
			past.Location = place
			pkgs, err := b.cache.Recall(ctx, &past, want)
			if err != nil {
				return fmt.Errorf("repository %s: %w", place, err)
			}
			for _, p := range pkgs {
				p.Repo = r
				byHash[p.Checksum.String()] = p
				delete(want, p.Checksum)
			}
		}
	}
	return nil
}

// places are the addresses that a repository may have been opened at.
func (b *builder) places(r *apk.Repo, s *sources) []string {
	places := []string{r.Location}
	for _, repository := range b.config.Repositories {
		if s.local || repository.Address != "" || repository.String() != s.names[r] {
			continue
		}
		for _, m := range b.config.Mirrors {
			places = append(places, b.place(m, repository))
		}
	}
	return places
}

// ids are what image.toml and the lock fix; image.toml wins.
func (b *builder) ids(l *config.Lock) install.IDs {
	ids := install.IDs{Users: map[string]int{}, Groups: map[string]int{}}
	users, groups := b.config.IDs()
	for _, from := range []map[string]int{l.Users, users} {
		maps.Copy(ids.Users, from)
	}
	for _, from := range []map[string]int{l.Groups, groups} {
		maps.Copy(ids.Groups, from)
	}
	return ids
}

// saveLock writes the lock with the ids that installing gave, if it changed.
func (b *builder) saveLock(s *sources, l *config.Lock) error {
	file := b.lockFile(s)
	if have, err := os.ReadFile(file); err == nil && string(have) == l.String() {
		return nil
	}
	if filepath.Dir(file) == filepath.Clean(b.Dir) {
		b.Note("lock       " + file + " was written; commit it")
	}
	return writeBeside(file, []byte(l.String()), 0o644)
}
