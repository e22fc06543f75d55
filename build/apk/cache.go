package apk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Cache is a folder of files from the network. Packages are named by what the
// index identifies them by, so that builds of any branch share it; an index is
// named by its address. Nothing in it is trusted: each file is verified when it
// is read, and one that fails goes to rejected/.
//
// Files appear whole or not at all (written beside, synced, renamed), which
// also makes it safe for two builds at once and against power cuts.
type Cache struct {
	dir string
}

// NewCache opens a cache, making its folders where they lack.
func NewCache(dir string) (*Cache, error) {
	for _, sub := range []string{"package", "index", "rejected"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("cache: %w", err)
		}
	}
	return &Cache{dir: dir}, nil
}

func (c *Cache) packageFile(sum Checksum) string {
	return filepath.Join(c.dir, "package", hex.EncodeToString(sum[:])+".apk")
}

func (c *Cache) indexFile(location, arch string) string {
	sum := sha256.Sum256([]byte(location + "\n" + arch))
	return filepath.Join(c.dir, "index", hex.EncodeToString(sum[:16])+".tar.gz")
}

// read returns a file of the cache, nil when it is not there.
func (c *Cache) read(name string, limit int64) ([]byte, error) {
	data, err := readBounded(name, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// readBounded reads a file of at most limit bytes.
func readBounded(name string, limit int64) ([]byte, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	if st.Size() > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("%w: %d bytes, at most %d are read", ErrFormat, st.Size(), limit)}
	}
	return os.ReadFile(name)
}

// write lays a file beside its name, syncs it and renames it.
func (c *Cache) write(name string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("cache: %w", err)
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// reject moves a file that failed its checks out of the way and returns where
// it lies now.
func (c *Cache) reject(name string) (string, error) {
	to := filepath.Join(c.dir, "rejected", filepath.Base(name))
	if err := os.Rename(name, to); err != nil {
		return "", fmt.Errorf("cache: %w", err)
	}
	return to, nil
}

// Sweep removes what interrupted builds left half-written more than a day ago.
func (c *Cache) Sweep() error {
	var errs []error
	for _, sub := range []string{"package", "index"} {
		names, err := filepath.Glob(filepath.Join(c.dir, sub, ".new-*"))
		if err != nil {
			errs = append(errs, err)
		}
		for _, name := range names {
			st, err := os.Stat(name)
			if err == nil && time.Since(st.ModTime()) > 24*time.Hour {
				errs = append(errs, os.Remove(name))
			}
		}
	}
	return errors.Join(errs...)
}

// Fetch returns a package, verified against the signed index that p is from:
// from the repository's folder, else from the cache, else from the network and
// then into the cache. A cached file that does not match is moved to rejected/
// and is an error; the next Fetch gets it anew.
func (c *Cache) Fetch(ctx context.Context, p *Package) (*Archive, error) {
	a, err := c.fetch(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", p.ID(), err)
	}
	return a, nil
}

func (c *Cache) fetch(ctx context.Context, p *Package) (*Archive, error) {
	r := p.Repo
	if r == nil {
		return nil, errors.New("is of no repository")
	}
	if p.Size > maxPackageFile {
		return nil, fmt.Errorf("of %s: %w: %d bytes, at most %d are read", r.Location, ErrFormat, p.Size, maxPackageFile)
	}
	if dir, ok := folder(r.Location); ok {
		data, err := readBounded(filepath.Join(dir, r.Arch, p.File()), maxPackageFile)
		if err != nil {
			return nil, err
		}
		a, err := readArchive(data, p, r.keys)
		if err != nil {
			return nil, fmt.Errorf("of %s: %w", r.Location, err)
		}
		return a, nil
	}
	name := c.packageFile(p.Checksum)
	data, err := c.read(name, maxPackageFile)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	if data != nil {
		a, err := readArchive(data, p, r.keys)
		if err == nil {
			return a, nil
		}
		to, rerr := c.reject(name)
		if rerr != nil {
			return nil, errors.Join(fmt.Errorf("cache: %w", err), rerr)
		}
		return nil, fmt.Errorf("of %s: %w; the cached file was moved to %q, build again to fetch it anew", r.Location, err, to)
	}
	if r.options.Offline {
		return nil, fmt.Errorf("of %s: %w", r.Location, ErrOffline)
	}
	var a *Archive
	limit := p.Size
	if limit <= 0 {
		limit = maxPackageFile
	}
	data, err = r.download(ctx, r.Arch+"/"+p.File(), limit, func(data []byte) (err error) {
		a, err = readArchive(data, p, r.keys)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := c.write(name, data); err != nil {
		return nil, err
	}
	return a, nil
}

// Cached says whether Fetch of p needs no network. It does not verify.
func (c *Cache) Cached(p *Package) bool {
	if p.Repo != nil {
		if dir, ok := folder(p.Repo.Location); ok {
			_, err := os.Stat(filepath.Join(dir, p.Repo.Arch, p.File()))
			return err == nil
		}
	}
	_, err := os.Stat(c.packageFile(p.Checksum))
	return err == nil
}
