package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"hoopy/build/apk"
	"hoopy/build/config"
)

// mirrorLimit bounds the wait for the mirrors' answers, all asked at once.
const mirrorLimit = 5 * time.Second

// place is the address of a repository on a mirror.
func (b *builder) place(mirror string, r config.Repository) string {
	branch := r.Branch
	if branch == "" {
		branch = b.config.Branch
	}
	return strings.TrimRight(mirror, "/") + "/" + branch + "/" + r.Name
}

// alpineText describes the repositories of image.toml.
func (b *builder) alpineText() string {
	return "Alpine " + b.config.Branch + " (" + strings.Join(b.config.RepositoryNames(), ", ") + ")"
}

// mirrored is the first repository that lies on the mirrors; false when all
// have addresses of their own.
func (b *builder) mirrored() (config.Repository, bool) {
	for _, r := range b.config.Repositories {
		if r.Address == "" {
			return r, true
		}
	}
	return config.Repository{}, false
}

// ask returns the mirrors that answer, in the order of image.toml. A mirror
// that is there but has no such branch is an error: a typing mistake must not
// turn into an image of something else.
func (b *builder) ask(ctx context.Context) ([]string, error) {
	first, any := b.mirrored()
	if !any {
		return b.config.Mirrors, nil
	}
	ctx, cancel := context.WithTimeout(ctx, mirrorLimit)
	defer cancel()
	answers := make([]error, len(b.config.Mirrors))
	missing := make([]bool, len(b.config.Mirrors))
	var all sync.WaitGroup
	for i, m := range b.config.Mirrors {
		all.Go(func() {
			missing[i], answers[i] = head(ctx, b.place(m, first)+"/"+b.config.Arch+"/APKINDEX.tar.gz")
		})
	}
	all.Wait()
	var good []string
	for i, m := range b.config.Mirrors {
		switch {
		case missing[i]:
			return nil, fmt.Errorf("mirror %s: has no %s for %s", m, strings.TrimPrefix(b.place("", first), "/"), b.config.Arch)
		case answers[i] == nil:
			good = append(good, m)
		}
	}
	return good, nil
}

// head asks for a file without fetching it.
func head(ctx context.Context, address string) (missing bool, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return false, err
	}
	if u.Scheme == "file" {
		_, err := os.Stat(u.Path)
		return os.IsNotExist(err), err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("answers %s", resp.Status)
	}
	return resp.StatusCode == http.StatusNotFound, err
}

// offline says whether the cache holds the indexes and, by them, every package
// of the lock: then no mirror is needed.
func (b *builder) offline(ctx context.Context, keys *apk.Keys) bool {
	lock, how, err := b.committed()
	if err != nil || lock == nil || len(how) > 0 {
		return false
	}
	s := &sources{}
	if err := b.openAlpine(ctx, s, keys, nil); err != nil {
		return false
	}
	pkgs, err := b.locked(ctx, lock, s)
	if err != nil {
		return false
	}
	for _, p := range pkgs {
		if !b.cache.Cached(p) {
			return false
		}
	}
	return true
}

// openAlpine opens Alpine's repositories on the mirrors that answered; with
// none, from the cache.
func (b *builder) openAlpine(ctx context.Context, s *sources, keys *apk.Keys, mirrors []string) error {
	for _, repository := range b.config.Repositories {
		r, err := b.openRepository(ctx, repository, keys, mirrors)
		if err != nil {
			return err
		}
		r.Tag = repository.Tag
		s.repos = append(s.repos, r)
		s.name(r, repository.String())
	}
	s.describe(b.alpineText())
	return nil
}

func (b *builder) openRepository(ctx context.Context, repository config.Repository, keys *apk.Keys, mirrors []string) (*apk.Repo, error) {
	o := apk.FetchOptions{Note: b.Note}
	var places []string
	if repository.Address != "" {
		places = []string{repository.Address}
	} else {
		for _, m := range mirrors {
			places = append(places, b.place(m, repository))
		}
	}
	if len(mirrors) > 0 {
		o.Mirrors = places[1:]
		return apk.OpenRepo(ctx, places[0], b.config.Arch, keys, b.cache, o)
	}
	o.Offline, o.Note = true, nil
	if repository.Address == "" {
		for _, m := range b.config.Mirrors { // the cache knows an index by where it came from
			places = append(places, b.place(m, repository))
		}
	}
	var errs []error
	for _, place := range places {
		r, err := apk.OpenRepo(ctx, place, b.config.Arch, keys, b.cache, o)
		if err == nil {
			return r, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}
