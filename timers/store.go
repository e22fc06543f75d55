package timers

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit/durable"
)

// writeEvery spares flash: the file of one timer is not written more often.
const writeEvery = 10 * time.Minute

// fileMost is more than a time takes, in bytes.
const fileMost = 64

// store keeps last runs, wall times since 1970, in files. What is asked of it is done by run, one thing
// at a time; for each timer only the newest is kept waiting.
type store struct {
	log   func(string)
	found func(map[string]time.Duration)
	wake  chan struct{}

	mu      sync.Mutex
	dir     string
	names   []string // to look for
	pending map[string]time.Duration

	// run's own.
	written map[string]time.Time // when, monotonic
	said    string               // the last error
}

func newStore(log func(string), found func(map[string]time.Duration)) *store {
	return &store{log: log, found: found, wake: make(chan struct{}, 1),
		pending: map[string]time.Duration{}, written: map[string]time.Time{}}
}

// use says where the files are from now on; with no dir, what is put waits.
func (s *store) use(dir string) {
	s.mu.Lock()
	s.dir, s.names = dir, nil
	s.mu.Unlock()
	s.rouse()
}

// look has found called with the last runs of names; 0 is a timer
// that has no file, or none that can be read.
func (s *store) look(names []string) {
	s.mu.Lock()
	s.names = names
	s.mu.Unlock()
	s.rouse()
}

// put has a last run written.
func (s *store) put(name string, at time.Duration) {
	s.mu.Lock()
	s.pending[name] = at
	s.mu.Unlock()
	s.rouse()
}

func (s *store) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *store) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if wait := s.work(); wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// work does what can be done now, and says after how long there is more; 0:
// nothing waits.
func (s *store) work() (wait time.Duration) {
	s.mu.Lock()
	dir, names := s.dir, s.names
	s.names = nil
	if dir == "" {
		s.mu.Unlock()
		return 0
	}
	due := map[string]time.Duration{}
	for name, at := range s.pending {
		if left := s.left(name); left > 0 {
			if wait == 0 || left < wait {
				wait = left
			}
			continue
		}
		due[name] = at
		delete(s.pending, name)
	}
	s.mu.Unlock()
	if len(names) > 0 {
		s.found(s.read(dir, names))
	}
	for name, at := range due {
		s.written[name] = time.Now()
		if err := durable.Write(dir, name, time.Unix(0, int64(at)).UTC().Format(time.RFC3339)+"\n"); err != nil {
			s.complain(err)
			s.again(name, at)
			wait = writeEvery
		}
	}
	return wait
}

// left is how long the file of a timer may not be written yet.
func (s *store) left(name string) time.Duration {
	at, ok := s.written[name]
	if !ok {
		return 0
	}
	return writeEvery - time.Since(at)
}

// again keeps what could not be written, unless there is something newer.
func (s *store) again(name string, at time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, newer := s.pending[name]; !newer {
		s.pending[name] = at
	}
}

// complain says an error once.
func (s *store) complain(err error) {
	if line := err.Error(); line != s.said {
		s.said = line
		s.log("timers: last run: " + line)
	}
}

func (s *store) read(dir string, names []string) map[string]time.Duration {
	last := map[string]time.Duration{}
	for _, name := range names {
		path := filepath.Join(dir, name)
		text, err := readFile(path)
		if err != nil {
			last[name] = 0
			if !errors.Is(err, fs.ErrNotExist) {
				s.complain(err)
			}
			continue
		}
		at, ok := parse(text)
		if !ok {
			s.log("timers: " + path + ": " + strconv.Quote(text) + " is no time; it counts as never")
		}
		last[name] = at
	}
	return last
}

// readFile reads the beginning of a regular file.
func readFile(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	var b [fileMost]byte
	n, err := f.Read(b[:])
	_ = f.Close() // it was only read
	if n == 0 && err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return string(b[:n]), nil
}

// parse reads what work wrote.
func parse(text string) (time.Duration, bool) {
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(text))
	if err != nil || at.Year() < 1971 || at.Year() > 2200 {
		return 0, false
	}
	return time.Duration(at.UnixNano()), true
}
