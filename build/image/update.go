package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"hoopy/build/apk"
	"hoopy/build/config"
)

// Update chooses the packages anew from what the mirrors have now, writes
// packages.lock and tells what changed and why, a line each. With dry it writes
// nothing. It needs a mirror: a stand-in is never locked.
func Update(ctx context.Context, o Options, dry bool) ([]string, error) {
	o.StandIn = nil
	b, err := newBuilder(o)
	if err != nil {
		return nil, err
	}
	if b.own() {
		return nil, errors.New("update: packages.lock is about the mirrors of image.toml and the file packages; leave out -repo, -only and -packages")
	}
	s, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.Dir, lockName)
	old, err := config.ReadLock(file)
	if err != nil {
		b.Note("lock       " + err.Error() + "; it is made anew")
		old = nil
	}
	pkgs, l, err := b.solve(s, old)
	if err != nil {
		return nil, err
	}
	lines := changes(old, l, newNeeds(b.want, pkgs, b.config.Provides))
	if dry || old != nil && old.String() == l.String() {
		return lines, nil
	}
	return lines, writeBeside(file, []byte(l.String()), 0o644)
}

// changes says what became of each package, sorted by name.
func changes(old, now *config.Lock, n *needs) (lines []string) {
	why := n.reasons()
	was := map[string]config.Locked{}
	if old != nil {
		for _, p := range old.Packages {
			was[p.Name] = p
		}
	}
	for i, p := range now.Packages {
		before, there := was[p.Name]
		delete(was, p.Name)
		switch {
		case !there:
			lines = append(lines, fmt.Sprintf("%s  new  %s, from %s; %s", p.Name, p.Version, p.Repository, n.asked(n.pkgs[i], why)))
		case before.Version != p.Version:
			word := "up"
			if apk.Compare(p.Version, before.Version) < 0 {
				word = "down"
			}
			lines = append(lines, fmt.Sprintf("%s  %s  %s -> %s; %s", p.Name, word, before.Version, p.Version, n.asked(n.pkgs[i], why)))
		case before.Hash != p.Hash:
			lines = append(lines, fmt.Sprintf("%s  rebuilt  %s, %s -> %s", p.Name, p.Version, before.Hash, p.Hash))
		case before.Repository != p.Repository:
			lines = append(lines, fmt.Sprintf("%s  moved  %s, from %s to %s", p.Name, p.Version, before.Repository, p.Repository))
		}
	}
	for name, p := range was {
		lines = append(lines, fmt.Sprintf("%s  gone  %s; nothing asks for it any more", name, p.Version))
	}
	slices.SortFunc(lines, func(a, b string) int {
		x, _, _ := strings.Cut(a, " ")
		y, _, _ := strings.Cut(b, " ")
		return cmp.Compare(x, y)
	})
	return columns(lines)
}

// asked is who asks for p, short.
func (n *needs) asked(p *apk.Package, why map[*apk.Package]asker) string {
	switch a := why[p]; {
	case a.word != "":
		return "packages asks for it"
	case a.pkg != nil:
		return a.pkg.Name + " needs it"
	case a.when != nil:
		return "it comes with " + apk.FormatDeps(a.when)
	}
	return "nothing asks for it"
}

// columns puts the first two words, which two blanks end, below each other.
func columns(lines []string) []string {
	var wide [2]int
	for _, l := range lines {
		for i, cell := range strings.SplitN(l, "  ", 3)[:2] {
			wide[i] = max(wide[i], len(cell))
		}
	}
	for i, l := range lines {
		c := strings.SplitN(l, "  ", 3)
		lines[i] = fmt.Sprintf("%-*s  %-*s  %s", wide[0], c[0], wide[1], c[1], c[2])
	}
	return lines
}

// Why tells why a package is in the image: the chain from the list packages to
// it, a line each. name is that of a package, or of something that one
// provides.
func Why(ctx context.Context, o Options, name string) ([]string, error) {
	b, err := newBuilder(o)
	if err != nil {
		return nil, err
	}
	s, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	pkgs, _, err := b.resolve(ctx, s)
	if err != nil {
		return nil, err
	}
	n := newNeeds(b.want, pkgs, b.config.Provides)
	found := n.byName[name]
	if len(found) == 0 {
		if slices.Contains(b.config.Provides, name) {
			return []string{fmt.Sprintf("image.toml provides %s, so that no package is chosen for it", name)}, nil
		}
		return nil, fmt.Errorf("package %q is not in the image, which has %d", name, len(pkgs))
	}
	why := n.reasons()
	var lines []string
	for _, p := range found {
		lines = append(lines, n.chain(p, why)...)
	}
	return lines, nil
}
