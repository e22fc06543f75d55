package apk

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Cache is a folder of files from the network. Packages are named by what the
// index identifies them by, so that builds of any branch share it; indexes are
// named by their digest, and those of one address lie in one folder with a file
// that says which is the current one. Nothing in it is trusted: each file is
// verified when it is read, and one that fails goes to rejected/.
//
// Files appear whole or not at all (written beside, synced, renamed, and the
// folder synced), which also makes it safe for two builds at once and against
// power cuts. What a build that was interrupted left half-written has another
// name, is never read, and goes away with Sweep.
type Cache struct {
	dir     string
	scratch sync.Pool // of *scratch
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

// read returns a file of the cache, nil when it is not there.
func (c *Cache) read(name string, limit int64) ([]byte, error) {
	data, err := readBounded(name, limit, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// readBounded reads a file of at most limit bytes, into buf if it fits.
func readBounded(name string, limit int64, buf []byte) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	if st.Size() > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("%w: %d bytes, at most %d are read", ErrFormat, st.Size(), limit)}
	}
	b := bytes.NewBuffer(slices.Grow(buf[:0], int(st.Size())+bytes.MinRead))
	_, err = b.ReadFrom(io.LimitReader(f, limit+1))
	if err == nil && int64(b.Len()) > limit {
		err = &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("%w: more than %d bytes", ErrFormat, limit)}
	}
	return b.Bytes(), err
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
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// syncDir makes the names in a folder survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
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

// halfWritten is how old a half-written file is before nobody can be at it.
const halfWritten = 24 * time.Hour

// Sweep removes what interrupted builds left half-written more than a day ago.
func (c *Cache) Sweep() error {
	var errs []error
	for _, pattern := range []string{"package/.new-*", "index/*/.new-*"} {
		names, err := filepath.Glob(filepath.Join(c.dir, pattern))
		errs = append(errs, err)
		for _, name := range names {
			errs = append(errs, removeOlder(name, halfWritten))
		}
	}
	return errors.Join(errs...)
}

// removeOlder removes a file that was not written for so long. That it is gone
// already, by another build, is no error.
func removeOlder(name string, age time.Duration) error {
	st, err := os.Stat(name)
	if err == nil && time.Since(st.ModTime()) > age {
		err = os.Remove(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
