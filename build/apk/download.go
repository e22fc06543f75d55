package apk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
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

// wanted is one file to download.
type wanted struct {
	file  string // below the location
	limit int64  // bytes
	// fixed says that check accepts one content only, so that what one location
	// began another may end.
	fixed bool
	check func([]byte) error
	// got, if set, hears of each piece: how many bytes more are there, fewer
	// when it begins anew.
	got func(n int64)
}

// download gets a file of the repository from the first location that gives
// one that check accepts. Each location is asked a bounded number of times; what
// broke off is taken up where it ended, if the server can. A location that
// delivers what check refuses is not asked again.
func (r *Repo) download(ctx context.Context, w wanted) ([]byte, error) {
	o := r.options
	fail := &UnreachableError{File: w.file}
	p := &partial{got: w.got}
	if p.got == nil {
		p.got = func(int64) {}
	}
	for _, location := range append([]string{r.Location}, o.Mirrors...) {
		location = strings.TrimRight(location, "/")
		if !w.fixed {
			p.reset()
		}
		answered, err := r.ask(ctx, location+"/"+w.file, w, p)
		if err == nil {
			for _, e := range fail.Tries {
				o.Note(fmt.Sprintf("%s: %v; taken from %s", w.file, e, location))
			}
			return p.data.Bytes(), nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		fail.Answered = fail.Answered || answered
		fail.Tries = append(fail.Tries, fmt.Errorf("%s: %w", location, err))
	}
	return nil, fail
}

// ask tries one location. answered says that it delivered something.
func (r *Repo) ask(ctx context.Context, url string, w wanted, p *partial) (answered bool, err error) {
	o := r.options
	// An attempt that took the file further does not count, up to a bound.
	for failed, tries := 0, 0; failed < o.Attempts && tries < 8*o.Attempts; tries++ {
		if tries > 0 {
			if err := pause(ctx, o.Pause<<max(0, failed-1)); err != nil {
				return answered, err
			}
		}
		resumed := p.data.Len()
		if err = p.get(ctx, o, url, w.limit); err == nil {
			if err = w.check(p.data.Bytes()); err == nil {
				return true, nil
			}
			answered = true
			mixed := p.mixed
			p.reset()
			if mixed {
				continue // the two parts were not of one file: once more as a whole
			}
			return answered, err
		}
		if ctx.Err() != nil {
			return answered, err
		}
		if errors.Is(err, fs.ErrNotExist) {
			return answered, err // a folder: asking again is of no use
		}
		if final(err) {
			return true, err
		}
		if resumed == 0 || p.data.Len() <= resumed {
			failed++
		}
	}
	return answered, err
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

// partial is what came of a file so far.
type partial struct {
	data  bytes.Buffer
	url   string // the last that added to it
	etag  string // of url, if it names one version of the file
	mixed bool   // more than one answer made it
	got   func(n int64)
}

func (p *partial) reset() {
	p.got(-int64(p.data.Len()))
	p.data.Reset()
	p.url, p.etag, p.mixed = "", "", false
}

// get reads one file, or the rest of one, into memory: at most limit bytes, and
// never waiting longer than o.Stall for the next piece.
func (p *partial) get(ctx context.Context, o FetchOptions, url string, limit int64) error {
	if dir, ok := folder(url); ok {
		p.reset()
		data, err := readBounded(filepath.FromSlash(dir), limit, nil)
		p.data.Write(data)
		p.got(int64(len(data)))
		return err
	}
	ctx, end := context.WithTimeoutCause(ctx, time.Minute+time.Duration(limit/slowest)*time.Second, errSlow)
	defer end()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(o.Connect+o.Stall, func() { cancel(errStalled) })
	defer stall.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "hoopy-build")
	// the files are compressed already; what the server sends must be the file
	req.Header.Set("Accept-Encoding", "identity")
	if int64(p.data.Len()) >= limit {
		p.reset()
	}
	p.ask(req, url)
	res, err := o.Client.Do(req)
	if err != nil {
		return cause(ctx, err)
	}
	defer res.Body.Close()
	if err := p.take(res, url); err != nil {
		return err
	}
	left := limit - int64(p.data.Len())
	if res.ContentLength > left {
		return fmt.Errorf("%w: %d bytes, at most %d are taken", ErrFormat, res.ContentLength, left)
	}
	if res.ContentLength > 0 {
		p.data.Grow(int(res.ContentLength) + bytes.MinRead)
	}
	n, err := p.data.ReadFrom(&watched{r: io.LimitReader(res.Body, left+1), timer: stall, d: o.Stall, got: p.got})
	if n > left {
		p.reset()
		return fmt.Errorf("%w: more than %d bytes", ErrFormat, limit)
	}
	if err != nil {
		return fmt.Errorf("after %d bytes: %w", p.data.Len(), cause(ctx, err))
	}
	return nil
}

// ask asks for the rest only, if some of the file is there. From the same
// address the answer is the whole file should it have changed since (RFC 9110,
// 13.1.5); from another, or without a tag, check will tell.
func (p *partial) ask(req *http.Request, url string) {
	if p.data.Len() == 0 {
		return
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-", p.data.Len()))
	if url == p.url && p.etag != "" {
		req.Header.Set("If-Range", p.etag)
	}
}

// take looks at the head of an answer: what is there stays only if the answer
// goes on behind it.
func (p *partial) take(res *http.Response, url string) error {
	switch res.StatusCode {
	case http.StatusOK:
		p.reset()
	case http.StatusPartialContent:
		if from, ok := rangeStart(res.Header.Get("Content-Range")); !ok || from != int64(p.data.Len()) {
			p.reset()
			return errors.New("answered with another part of the file than was asked for")
		}
		p.mixed = true
	case http.StatusRequestedRangeNotSatisfiable:
		p.reset()
		return errors.New("answered that the file ends before the part that was asked for")
	default:
		return &statusError{res.StatusCode, res.Status}
	}
	p.url = url
	if p.etag = res.Header.Get("ETag"); !strings.HasPrefix(p.etag, `"`) {
		p.etag = "" // weak: says nothing about bytes
	}
	return nil
}

// rangeStart reads where the part begins: "bytes 100-199/200".
func rangeStart(s string) (int64, bool) {
	s, ok := strings.CutPrefix(s, "bytes ")
	from, _, dash := strings.Cut(s, "-")
	n, err := strconv.ParseInt(from, 10, 64)
	return n, ok && dash && err == nil
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
	got   func(n int64)
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.timer.Reset(w.d)
	w.got(int64(n))
	return n, err
}
