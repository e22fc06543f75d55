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
	"slices"
	"strings"
	"time"
)

// Indexes are kept: a lock may name packages that a repository no longer lists
// but the cache still has.
const (
	// keptMost is how many older indexes of one address are kept.
	keptMost = 16
	// currentFile names the current one.
	currentFile = "current"
	indexSuffix = ".tar.gz"
)

// indexDir is where the indexes of an address lie.
func (c *Cache) indexDir(location, arch string) string {
	sum := sha256.Sum256([]byte(location + "\n" + arch))
	return filepath.Join(c.dir, "index", hex.EncodeToString(sum[:16]))
}

// keep stores an index that was verified and makes it the current one.
func (c *Cache) keep(dir string, data []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	sum := sha256.Sum256(data)
	name := hex.EncodeToString(sum[:]) + indexSuffix
	// anew even if it is there: that repairs it, and makes it the youngest
	if err := c.write(filepath.Join(dir, name), data); err != nil {
		return err
	}
	if err := c.write(filepath.Join(dir, currentFile), []byte(name+"\n")); err != nil {
		return err
	}
	kept, err := c.kept(dir)
	if err != nil {
		return err
	}
	for i, old := range kept {
		if i > keptMost {
			if err := removeOlder(old, 0); err != nil {
				return fmt.Errorf("cache: %w", err)
			}
		}
	}
	return nil
}

// current is the file of the current index, empty when there is none.
func (c *Cache) current(dir string) (string, error) {
	text, err := c.read(filepath.Join(dir, currentFile), 1<<10)
	name := strings.TrimSpace(string(text))
	if err != nil || name == "" || filepath.Base(name) != name {
		return "", err
	}
	return filepath.Join(dir, name), nil
}

// kept lists the indexes of an address, the last used first.
func (c *Cache) kept(dir string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	when := map[string]time.Time{}
	var names []string
	for _, e := range list {
		info, err := e.Info()
		if err != nil || !strings.HasSuffix(e.Name(), indexSuffix) || e.Name()[0] == '.' {
			continue // gone by now, or none
		}
		name := filepath.Join(dir, e.Name())
		names, when[name] = append(names, name), info.ModTime()
	}
	slices.SortFunc(names, func(a, b string) int {
		if c := when[b].Compare(when[a]); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return names, nil
}

// Recall looks for packages that a repository listed once: in the older indexes
// of it that the cache kept, each verified by its signature. It returns those it
// found; they are of r, and Fetch takes them from the cache, or from a mirror
// that still has the file. An old index that does not verify is moved to
// rejected/. For a folder there are no older indexes.
//
// It is for packages.lock: the hash in the lock is the index's checksum of the
// package, and what an index listed under a signature once is still what it was.
func (c *Cache) Recall(ctx context.Context, r *Repo, want map[Checksum]bool) ([]*Package, error) {
	if _, ok := folder(r.Location); ok || len(want) == 0 {
		return nil, nil
	}
	names, err := c.kept(c.indexDir(r.Location, r.Arch))
	if err != nil {
		return nil, err
	}
	var found []*Package
	seen := map[Checksum]bool{}
	for _, name := range names {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		data, err := c.read(name, maxIndexFile)
		if err != nil || data == nil {
			continue
		}
		pkgs, _, _, err := readIndex(data, r.keys)
		if err != nil {
			to, rerr := c.reject(name)
			if rerr != nil {
				return nil, errors.Join(err, rerr)
			}
			r.options.Note(fmt.Sprintf("repository %s: a kept index: %v; it was moved to %q", r.Location, err, to))
			continue
		}
		used := false
		for _, p := range pkgs {
			if want[p.Checksum] && !seen[p.Checksum] {
				seen[p.Checksum], used = true, true
				p.Repo = r
				found = append(found, p)
			}
		}
		if used {
			// so that it is not the next to go
			now := time.Now()
			if err := os.Chtimes(name, now, now); err != nil {
				return nil, fmt.Errorf("cache: %w", err)
			}
		}
		if len(seen) == len(want) {
			break
		}
	}
	return found, nil
}
