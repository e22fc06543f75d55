package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"hoopy/build/apk"
)

// terminal says whether a line can be drawn anew on w.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	kind := os.Getenv("TERM")
	return ok && kind != "" && kind != "dumb" && term.IsTerminal(int(f.Fd()))
}

// screen is where notes go and, on a terminal, the line that tells how far a
// download is. That line is drawn anew each time and gone afterwards: the report
// counts the packages.
type screen struct {
	mu    sync.Mutex
	w     io.Writer
	drawn bool
}

// note writes a line.
func (s *screen) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	fmt.Fprintln(s.w, line)
}

// progress draws the line, or takes it away when all is there.
func (s *screen) progress(p apk.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	if p.Packages == p.OfPackages {
		return
	}
	fmt.Fprintf(s.w, "%-10s %d of %d packages, %.1f of %.1f MB", "fetching",
		p.Packages, p.OfPackages, float64(p.Bytes)/1e6, float64(p.OfBytes)/1e6)
	s.drawn = true
}

// clear takes the line away, whatever became of the download.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
}

func (s *screen) erase() {
	if s.drawn {
		fmt.Fprint(s.w, "\r\x1b[K") // ECMA-48: erase to the end of the line
		s.drawn = false
	}
}
