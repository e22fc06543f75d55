package image

import (
	"fmt"
	"os"
	"path/filepath"

	"hoopy/build/apk"
	"hoopy/build/config"
	"hoopy/build/install"
)

// lockName is the file in the folder of the image. When packages are not those
// that the folder asks for, or not Alpine's, it is in Out.
const lockName = "packages.lock"

// own says that the options ask for something else than the folder does.
func (b *builder) own() bool { return len(b.Repos) > 0 || len(b.Only) > 0 || b.Packages != "" }

// committed is the lock beside image.toml when it answers what is wanted, and
// nil when packages must be chosen anew.
func (b *builder) committed() (*config.Lock, error) {
	if b.own() {
		return nil, nil
	}
	l, err := config.ReadLock(filepath.Join(b.Dir, lockName))
	if err != nil || !l.Matches(b.config, b.want) {
		return nil, err
	}
	return l, nil
}

// resolve gives the packages and the lock that names them: those of the
// committed lock where it matches, else what the solver chooses.
func (b *builder) resolve(s *sources) ([]*apk.Package, *config.Lock, error) {
	if !s.local {
		l, err := b.committed()
		if err != nil {
			return nil, nil, err
		}
		if l != nil {
			pkgs, err := locked(l, s.repos)
			return pkgs, l, err
		}
	}
	old, err := config.ReadLock(b.lockFile(s))
	if err != nil {
		return nil, nil, err
	}
	pkgs, err := apk.Solve(b.want, s.repos, apk.SolveOptions{Provides: b.config.Provides})
	if err != nil {
		return nil, nil, err
	}
	l := config.NewLock(b.config, b.want, old)
	for _, p := range pkgs {
		l.Packages = append(l.Packages, config.Locked{
			Name: p.Name, Version: p.Version, Hash: p.Checksum.String(), Repository: filepath.Base(p.Repo.Location),
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

// locked finds the packages of a lock in the signed indexes.
func locked(l *config.Lock, repos []*apk.Repo) ([]*apk.Package, error) {
	byHash := map[string]*apk.Package{}
	for _, r := range repos {
		for _, p := range r.Packages {
			if h := p.Checksum.String(); byHash[h] == nil {
				byHash[h] = p
			}
		}
	}
	pkgs := make([]*apk.Package, len(l.Packages))
	for i, want := range l.Packages {
		p := byHash[want.Hash]
		if p == nil || p.Name != want.Name || p.Version != want.Version {
			return nil, fmt.Errorf("package %s-%s: locked, but %s has no such package any more; delete %s to choose anew",
				want.Name, want.Version, want.Repository, lockName)
		}
		pkgs[i] = p
	}
	return pkgs, nil
}

// ids are what image.toml and the lock fix; image.toml wins.
func (b *builder) ids(l *config.Lock) install.IDs {
	ids := install.IDs{Users: map[string]int{}, Groups: map[string]int{}}
	for _, from := range []map[string]int{l.Users, b.config.Users} {
		for n, id := range from {
			ids.Users[n] = id
		}
	}
	for _, from := range []map[string]int{l.Groups, b.config.Groups} {
		for n, id := range from {
			ids.Groups[n] = id
		}
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
