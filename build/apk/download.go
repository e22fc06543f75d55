package apk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// UnreachableError says that no location of a repository gave a good file.
type UnreachableError struct {
	File string // below the location
	// Tries holds one error for each location, in the order asked.
	Tries []error
	// Answered is set when a location delivered something, though not what was
	// wanted (a bad signature, other contents, "not found").
	Answered bool
}

func (e *UnreachableError) Error() string {
	lines := make([]string, len(e.Tries))
	for i, t := range e.Tries {
		lines[i] = t.Error()
	}
	return e.File + ": " + strings.Join(lines, "; ")
}

// Unwrap gives access to what each location said.
func (e *UnreachableError) Unwrap() []error { return e.Tries }

// newClient makes a client none of whose waits is without a bound; the body's
// is bounded in get.
func newClient(connect time.Duration) *http.Client {
	d := &net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           d.DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   connect,
		ResponseHeaderTimeout: connect,
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConnsPerHost:   8,
	}}
}

// statusError is an answer other than 200.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return "answered " + e.text }

// final says that asking the same location again is of no use.
func final(err error) bool {
	var s *statusError
	if errors.As(err, &s) {
		return s.code < 500 && s.code != http.StatusRequestTimeout && s.code != http.StatusTooManyRequests
	}
	return false
}

// download gets a file of the repository from the first location that gives
// one that check accepts. Each location is asked a bounded number of times; one
// that delivers what check refuses is not asked again.
func (r *Repo) download(ctx context.Context, file string, limit int64, check func([]byte) error) ([]byte, error) {
	o := r.options
	fail := &UnreachableError{File: file}
	for _, location := range append([]string{r.Location}, o.Mirrors...) {
		location = strings.TrimRight(location, "/")
		var err error
		for attempt := range o.Attempts {
			if attempt > 0 {
				if err := pause(ctx, o.Pause<<(attempt-1)); err != nil {
					return nil, err
				}
			}
			var data []byte
			if data, err = get(ctx, o, location+"/"+file, limit); err == nil {
				if err = check(data); err == nil {
					for _, e := range fail.Tries {
						o.Note(fmt.Sprintf("%s: %v; taken from %s", file, e, location))
					}
					return data, nil
				}
				fail.Answered = true
				break
			}
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if final(err) {
				fail.Answered = true
				break
			}
		}
		fail.Tries = append(fail.Tries, fmt.Errorf("%s: %w", location, err))
	}
	return nil, fail
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var (
	errStalled = errors.New("nothing more came in time")
	errSlow    = errors.New("too slow to go on waiting")
)

// slowest is the rate, in bytes a second, below which a download is given up
// after its first minute.
const slowest = 16 << 10

// get reads one file into memory: at most limit bytes, and never waiting longer
// than o.Stall for the next piece.
func get(ctx context.Context, o FetchOptions, url string, limit int64) ([]byte, error) {
	ctx, end := context.WithTimeoutCause(ctx, time.Minute+time.Duration(limit/slowest)*time.Second, errSlow)
	defer end()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(o.Connect+o.Stall, func() { cancel(errStalled) })
	defer stall.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "hoopy-build")
	// the files are compressed already; what the server sends must be the file
	req.Header.Set("Accept-Encoding", "identity")
	res, err := o.Client.Do(req)
	if err != nil {
		return nil, cause(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, &statusError{res.StatusCode, res.Status}
	}
	if res.ContentLength > limit {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are taken", ErrFormat, res.ContentLength, limit)
	}
	var b bytes.Buffer
	if res.ContentLength > 0 {
		b.Grow(int(res.ContentLength) + bytes.MinRead)
	}
	n, err := b.ReadFrom(&watched{r: io.LimitReader(res.Body, limit+1), timer: stall, d: o.Stall})
	if err != nil {
		return nil, fmt.Errorf("after %d bytes: %w", n, cause(ctx, err))
	}
	if n > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrFormat, limit)
	}
	return b.Bytes(), nil
}

// cause prefers the reason for which a context ended over "context canceled".
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// watched sets a timer anew with each piece that arrives.
type watched struct {
	r     io.Reader
	timer *time.Timer
	d     time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.timer.Reset(w.d)
	return n, err
}
