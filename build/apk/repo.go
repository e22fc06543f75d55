package apk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// FetchOptions bounds and directs what goes over the network. The zero value
// is right for a person at a terminal.
type FetchOptions struct {
	// Mirrors are other locations of the same repository, tried in order after
	// the first.
	Mirrors []string
	// Offline forbids the network: index and packages come from the cache.
	// Folders are read all the same.
	Offline bool
	// Attempts is how often each location is asked; 0 means 3.
	Attempts int
	// Connect bounds connecting and waiting for the head of an answer; 0 means
	// 10 s. Stall bounds the wait for each further piece; 0 means 15 s.
	Connect, Stall time.Duration
	// Pause is the wait before asking a location again, doubled each time; 0
	// means 250 ms.
	Pause time.Duration
	// Client replaces the HTTP client; it must bound its own waits.
	Client *http.Client
	// Note, if set, hears of what went wrong and was then made good, one line
	// each: a mirror that failed, an index taken from the cache. It must be
	// safe for use by several goroutines.
	Note func(line string)
}

func (o FetchOptions) filled() FetchOptions {
	if o.Attempts <= 0 {
		o.Attempts = 3
	}
	if o.Connect <= 0 {
		o.Connect = 10 * time.Second
	}
	if o.Stall <= 0 {
		o.Stall = 15 * time.Second
	}
	if o.Pause <= 0 {
		o.Pause = 250 * time.Millisecond
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	if o.Client == nil {
		o.Client = newClient(o.Connect)
	}
	return o
}

// Repo is an opened repository: an index whose signature was verified.
type Repo struct {
	// Location is the address that was asked for first.
	Location string
	Arch     string
	// Tag names the repository for pins ("zfs@edge"); empty: not pinned. The
	// caller sets it.
	Tag string
	// Key is the file name of the key that signed the index.
	Key string
	// Description is the text that the index carries ("v3.19.1-8-g...").
	Description string
	// Packages are in the order of the index.
	Packages []*Package

	keys    *Keys
	options FetchOptions
}

// folder returns the directory that a location names, if it names one.
func folder(location string) (string, bool) {
	if rest, ok := strings.CutPrefix(location, "file://"); ok {
		if p, err := url.PathUnescape(rest); err == nil {
			rest = p
		}
		return filepath.FromSlash(rest), true
	}
	if strings.HasPrefix(location, "http://") || strings.HasPrefix(location, "https://") {
		return "", false
	}
	return location, true
}

// OpenRepo reads and verifies the index of a repository: location is an http,
// https or file URL or a folder, and the index is location/arch/APKINDEX.tar.gz.
//
// A folder's index is read where it lies. Over the network the index is fetched
// anew each time and kept in the cache; when no location answers, the cached
// one is used and o.Note is told. An index by an unknown key or with a wrong
// signature is an error (ErrSignature) wherever it comes from.
func OpenRepo(ctx context.Context, location, arch string, keys *Keys, cache *Cache, o FetchOptions) (*Repo, error) {
	r := &Repo{Location: strings.TrimRight(location, "/"), Arch: arch, keys: keys, options: o.filled()}
	if r.Location == "" || arch == "" || strings.ContainsAny(arch, "/.") {
		return nil, fmt.Errorf("repository %q: %w: need a location and an architecture, have %q", location, ErrFormat, arch)
	}
	if err := r.open(ctx, cache); err != nil {
		return nil, fmt.Errorf("repository %s: %w", r.Location, err)
	}
	return r, nil
}

func (r *Repo) open(ctx context.Context, cache *Cache) error {
	if dir, ok := folder(r.Location); ok {
		data, err := readBounded(filepath.Join(dir, r.Arch, IndexName), maxIndexFile, nil)
		if err != nil {
			return err
		}
		return r.load(data)
	}
	kept := cache.indexDir(r.Location, r.Arch)
	var netErr error
	if !r.options.Offline {
		data, err := r.download(ctx, wanted{file: r.Arch + "/" + IndexName, limit: maxIndexFile, check: r.load})
		if err == nil {
			return cache.keep(kept, data)
		}
		var unreachable *UnreachableError
		if ctx.Err() != nil || !errors.As(err, &unreachable) || unreachable.Answered {
			return err
		}
		netErr = err
	}
	name, err := cache.current(kept)
	var data []byte
	if err == nil && name != "" {
		data, err = cache.read(name, maxIndexFile)
	}
	switch {
	case err != nil:
		return errors.Join(netErr, fmt.Errorf("cache: %w", err))
	case data == nil && netErr != nil:
		return netErr
	case data == nil:
		return fmt.Errorf("index: %w", ErrOffline)
	}
	if err := r.load(data); err != nil {
		to, rerr := cache.reject(name)
		if rerr != nil {
			return errors.Join(err, rerr)
		}
		return errors.Join(netErr, fmt.Errorf("cached index: %w; it was moved to %q, build again to fetch it anew", err, to))
	}
	if netErr != nil {
		r.options.Note(fmt.Sprintf("repository %s: using the cached index: %v", r.Location, netErr))
	}
	return nil
}

// load verifies an index and takes its packages over.
func (r *Repo) load(data []byte) error {
	pkgs, description, key, err := readIndex(data, r.keys)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	for _, p := range pkgs {
		p.Repo = r
	}
	r.Packages, r.Description, r.Key = pkgs, description, key
	return nil
}
