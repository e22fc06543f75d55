package apk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

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
	s, ok := c.scratch.Get().(*scratch)
	if !ok {
		s = &scratch{}
	}
	defer c.scratch.Put(s)
	if dir, ok := folder(r.Location); ok {
		data, err := s.load(filepath.Join(dir, r.Arch, p.File()))
		if err != nil {
			return nil, err
		}
		a, err := s.read(p, data, r.keys)
		if err != nil {
			return nil, fmt.Errorf("of %s: %w", r.Location, err)
		}
		return a, nil
	}
	name := c.packageFile(p.Checksum)
	data, err := s.load(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cache: %w", err)
	}
	if err == nil {
		a, err := s.read(p, data, r.keys)
		if err == nil {
			return a, nil
		}
		to, rerr := c.reject(name)
		if rerr != nil {
			return nil, errors.Join(fmt.Errorf("cache: %w", err), rerr)
		}
		return nil, fmt.Errorf("of %s: %w; the cached file was moved to %q, build again to fetch it anew", r.Location, err, to)
	}
	if data, err = c.load(ctx, p, nil); err != nil {
		return nil, err
	}
	return s.read(p, data, r.keys)
}

// load reads a package file; what it returns is good until the next load.
func (s *scratch) load(name string) ([]byte, error) {
	data, err := readBounded(name, maxPackageFile, s.file)
	s.file = data
	return data, err
}

// load gets a package from the network into the cache. It is verified, and not
// unpacked.
func (c *Cache) load(ctx context.Context, p *Package, got func(int64)) ([]byte, error) {
	r := p.Repo
	if r.options.Offline {
		return nil, fmt.Errorf("of %s: %w", r.Location, ErrOffline)
	}
	limit := p.Size
	if limit <= 0 {
		limit = maxPackageFile
	}
	data, err := r.download(ctx, wanted{
		file: r.Arch + "/" + p.File(), limit: limit, fixed: true, got: got,
		check: func(data []byte) error {
			var s scratch
			_, _, err := s.verify(p, data, r.keys)
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	return data, c.write(c.packageFile(p.Checksum), data)
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

// Progress says how far Download is.
type Progress struct {
	Packages, OfPackages int
	Bytes, OfBytes       int64 // of the files to download, by the index
}

// DownloadOptions directs Download; the zero value is right.
type DownloadOptions struct {
	// Parallel is how many packages are fetched at a time; 0 means 4.
	Parallel int
	// Progress, if set, is called before the first byte, then a few times a
	// second while something comes, and when all is there; never by two
	// goroutines at once, and never when nothing is to be fetched.
	Progress func(Progress)
}

// every is how often Progress is called at most.
const every = 100 * time.Millisecond

// Download gets those packages into the cache that are not there, several at a
// time, verified against the index. The first that cannot be had ends it; what
// was complete by then stays in the cache.
func (c *Cache) Download(ctx context.Context, pkgs []*Package, o DownloadOptions) error {
	m := meter{tell: o.Progress}
	var missing []*Package
	for _, p := range pkgs {
		if p.Repo == nil || c.Cached(p) {
			continue
		}
		if _, local := folder(p.Repo.Location); !local {
			missing = append(missing, p)
			m.p.OfPackages++
			m.p.OfBytes += p.Size
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if o.Parallel <= 0 {
		o.Parallel = 4
	}
	m.say(true)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan *Package)
	var all sync.WaitGroup
	for range min(o.Parallel, len(missing)) {
		all.Go(func() {
			for p := range next {
				if err := c.loadOne(ctx, p, m.add); err != nil {
					cancel(fmt.Errorf("package %s: %w", p.ID(), err))
					continue
				}
				m.done()
			}
		})
	}
	for _, p := range missing {
		select {
		case next <- p:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	all.Wait()
	return context.Cause(ctx)
}

// loadOne is load that turns a panic into an error.
func (c *Cache) loadOne(ctx context.Context, p *Package, got func(int64)) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("panic: %v", x)
		}
	}()
	_, err = c.load(ctx, p, got)
	return err
}

// meter adds up the progress of several downloads.
type meter struct {
	mu   sync.Mutex
	p    Progress
	last time.Time
	tell func(Progress)
}

func (m *meter) add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p.Bytes += n
	m.say(false)
}

func (m *meter) done() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p.Packages++
	m.say(m.p.Packages == m.p.OfPackages)
}

func (m *meter) say(now bool) {
	if m.tell == nil || !now && time.Since(m.last) < every {
		return
	}
	m.last = time.Now()
	m.tell(m.p)
}
