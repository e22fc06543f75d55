//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// screen is what a terminal shows.
type screen struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // holds one
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return s.text.Write(b)
}

func (s *screen) shows() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// typed runs a command at a terminal that echoes, as ssh -t does, waits for its
// prompt and types a line. It returns all that the terminal showed, and the exit
// status, -1 without one.
func (v *VM) typed(command, prompt, line string) (shown string, exit int) {
	v.t.Helper()
	session, err := v.Client().NewSession()
	if err != nil {
		v.Fatalf("%v", err)
	}
	defer session.Close()
	s := &screen{changed: make(chan struct{}, 1)}
	session.Stdout, session.Stderr = s, s
	in, err := session.StdinPipe()
	if err == nil {
		err = session.RequestPty("vt100", 24, 80, ssh.TerminalModes{ssh.ECHO: 1})
	}
	if err == nil {
		err = session.Start(command)
	}
	if err != nil {
		v.Fatalf("%q: %v", command, err)
	}
	over := make(chan error, 1)
	go func() { over <- session.Wait() }()
	late := time.After(Patience)
	asked := false
	for {
		if !asked && strings.HasSuffix(s.shows(), prompt) {
			asked = true
			if _, err := in.Write([]byte(line + "\r")); err != nil {
				v.Fatalf("%q: %v", command, err)
			}
		}
		select {
		case <-s.changed:
		case err := <-over:
			var status *ssh.ExitError
			switch {
			case !asked:
				v.Fatalf("%q ended without the prompt %q: %v: %q", command, prompt, err, s.shows())
			case errors.As(err, &status):
				return s.shows(), status.ExitStatus()
			case err != nil:
				return s.shows(), -1
			}
			return s.shows(), 0
		case <-late:
			v.Fatalf("%q at a terminal shows %q for %v", command, s.shows(), Patience)
		}
	}
}
