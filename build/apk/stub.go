package apk

import (
	"context"
	"crypto/rsa"
	"errors"
	"io"

	"hoopy/build/tree"
)

type Keys struct{}

func LoadKeys(dir string) (*Keys, error) { return nil, errors.ErrUnsupported }

type Cache struct{}

func NewCache(dir string) (*Cache, error) { return nil, errors.ErrUnsupported }
func OpenRepo(ctx context.Context, location, arch string, keys *Keys, cache *Cache, o FetchOptions) (*Repo, error) {
	return nil, errors.ErrUnsupported
}

type SolveOptions struct {
	Provides []string
	Newest   bool
}

func Solve(world []string, repos []*Repo, o SolveOptions) ([]*Package, error) {
	return nil, errors.ErrUnsupported
}
func (c *Cache) Fetch(ctx context.Context, p *Package) (*Archive, error) {
	return nil, errors.ErrUnsupported
}

type Archive struct {
	Info    Info
	Scripts map[string][]byte
	Entries []*Entry
}

// Entry is one name in a package, with its owner by name.
type Entry struct {
	tree.Entry
	User, Group string
}

func WritePackage(w io.Writer, info Info, entries []*tree.Entry, key *rsa.PrivateKey, keyName string) error {
	return errors.ErrUnsupported
}
func WriteIndex(w io.Writer, dir, arch, description string, key *rsa.PrivateKey, keyName string) error {
	return errors.ErrUnsupported
}
