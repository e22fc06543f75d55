package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"hoopy/build/apk"
)

// sources are the repositories of one build.
type sources struct {
	repos []*apk.Repo
	names map[*apk.Repo]string // as the lock calls them
	// text says what they are, for the report and the image itself.
	text string
	// local is set when not all packages are Alpine's own: the image says so,
	// and the committed lock is not touched.
	local bool
}

// open chooses the repositories: those named in the options, or Alpine's, or
// the stand-in where no mirror answers.
func (b *builder) open(ctx context.Context) (*sources, error) {
	keys, err := b.keys()
	if err != nil {
		return nil, err
	}
	s := &sources{}
	if len(b.Only) > 0 {
		if err := b.openStandIn(ctx, s, keys, b.Only); err != nil {
			return nil, err
		}
	}
	if len(b.Repos) > 0 {
		for _, location := range b.Repos {
			r, err := apk.OpenRepo(ctx, location, b.config.Arch, keys, b.cache, apk.FetchOptions{Note: b.Note})
			if err != nil {
				return nil, err
			}
			s.add(r, fmt.Sprintf("repository %q (key %s)", r.Description, r.Key))
		}
		return s, nil
	}
	mirrors, err := b.ask(ctx)
	if err != nil {
		return nil, err
	}
	if len(mirrors) == 0 && !b.offline(ctx, keys) {
		if len(b.Only) > 0 || b.StandIn == nil {
			return nil, fmt.Errorf("mirrors: none of %s answered within %v", strings.Join(b.config.Mirrors, ", "), mirrorLimit)
		}
		b.Note(fmt.Sprintf("mirror     none answered within %v; building from a local Debian stand-in instead of Alpine", mirrorLimit))
		return s, b.openStandIn(ctx, s, keys, b.want)
	}
	return s, b.openAlpine(ctx, s, keys, mirrors)
}

// add takes a repository that is not Alpine's own mirror.
func (s *sources) add(r *apk.Repo, text string) {
	s.repos = append(s.repos, r)
	s.name(r, filepath.Base(r.Location))
	s.local = true
	s.describe(text)
}

// name says how the lock calls a repository.
func (s *sources) name(r *apk.Repo, name string) {
	if s.names == nil {
		s.names = map[*apk.Repo]string{}
	}
	s.names[r] = name
}

func (s *sources) describe(text string) {
	if s.text != "" {
		text = s.text + "; " + text
	}
	s.text = text
}

func (b *builder) openStandIn(ctx context.Context, s *sources, keys *apk.Keys, names []string) error {
	if b.StandIn == nil {
		return errors.New("stand-in: this host cannot make one")
	}
	if b.config.Arch != "x86_64" {
		return fmt.Errorf("stand-in: there is none for %s; it takes an Alpine mirror, or -repo", b.config.Arch)
	}
	dir := filepath.Join(b.Cache, "stand-in")
	key, err := b.StandIn(ctx, dir, names)
	if err != nil {
		return err
	}
	if err := addKey(keys, key); err != nil {
		return err
	}
	r, err := apk.OpenRepo(ctx, dir, b.config.Arch, keys, b.cache, apk.FetchOptions{Note: b.Note})
	if err != nil {
		return err
	}
	s.add(r, "Debian stand-in, signed by a throw-away key")
	return nil
}

// keys are those of the folder and of the options.
func (b *builder) keys() (*apk.Keys, error) {
	keys, err := apk.LoadKeys(filepath.Join(b.Dir, "keys"))
	if err != nil && len(b.Keys) == 0 {
		return nil, err
	}
	if err != nil {
		keys = apk.NewKeys()
	}
	for _, file := range b.Keys {
		if err := addKey(keys, file); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func addKey(keys *apk.Keys, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	return keys.AddPEM(filepath.Base(file), data)
}
