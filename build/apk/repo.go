package apk

import (
	"net/http"
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
	// Connect bounds connecting and waiting for the first byte of an answer; 0
	// means 10 s. Stall bounds the wait for each further piece; 0 means 15 s.
	Connect, Stall time.Duration
	// Client replaces the HTTP client; it must bound its own waits.
	Client *http.Client
	// Note, if set, hears of what went wrong and was then made good, one line
	// each: a mirror that failed, a cache entry that was rejected.
	Note func(line string)
}

// Repo is an opened repository: an index whose signature was verified.
type Repo struct {
	// Location is the address that was asked for first.
	Location string
	Arch     string
	// Tag names the repository for pins ("zfs@edge"); empty: not pinned.
	Tag string
	// Key is the file name of the key that signed the index.
	Key string
	// Description is the text that the index carries ("v3.19.1-8-g...").
	Description string
	// Packages are in the order of the index.
	Packages []*Package

	mirrors []string
	keys    *Keys
	options FetchOptions
}
