package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// acceptPause is how long an accept that failed (no descriptors left) waits.
const acceptPause = 100 * time.Millisecond

// Serve answers on l until ctx is done, then closes l and every connection,
// waits for the goroutines that serve them and returns nil; or the error of a
// listener that is broken. It survives a panic of b.
func Serve(ctx context.Context, l *Listener, b Backend) error {
	return newServer(b, limits{ConnMax, RequestTimeout, WriteTimeout, StatusTimeout}).run(ctx, l)
}

func newServer(b Backend, l limits) *server {
	return &server{backend: b, conns: map[*conn]bool{}, strangers: make(chan struct{}, Strangers), limits: l}
}

func (s *server) run(ctx context.Context, l *Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() {
		l.Close()
		s.closeAll()
	})
	defer func() {
		stop()
		cancel()
		l.Close()
		s.closeAll()
		s.serving.Wait()
	}()
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if nc != nil {
				nc.Close()
			}
			return nil
		case errors.Is(err, os.ErrClosed):
			return err
		case err != nil:
			s.backend.Note(fmt.Sprintf("accept: %v", err))
			pause(ctx, acceptPause)
		default:
			s.admit(ctx, nc)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// server is the set of open connections.
type server struct {
	backend Backend
	limits  limits
	serving sync.WaitGroup

	strangers chan struct{} // one for each that is being answered

	mu     sync.Mutex
	conns  map[*conn]bool
	next   uint64
	closed bool
}

// limits are the constants of the protocol; tests have shorter ones.
type limits struct {
	conns                  int
	request, write, status time.Duration
}

// conn is one connection. The fields below peer are guarded by server.mu.
type conn struct {
	net  *os.File
	peer Peer
	seq  uint64 // order of arrival
	busy bool   // its request has arrived
}

// admit makes room for a connection and serves it, or tells it that the house
// is full.
func (s *server) admit(ctx context.Context, nc *os.File) {
	peer, err := peerOf(nc)
	if err != nil {
		s.backend.Note(err.Error())
		nc.Close()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= s.limits.conns {
		victim := s.victim()
		if victim == nil || s.closed {
			s.refuse(nc)
			return
		}
		delete(s.conns, victim)
		victim.net.Close()
	}
	s.next++
	c := &conn{net: nc, peer: peer, seq: s.next}
	s.conns[c] = true
	s.start(func() {
		defer func() {
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
			nc.Close()
		}()
		s.serve(ctx, c)
	})
}

// start runs f in a goroutine that run waits for and whose panic is a note.
func (s *server) start(f func()) {
	s.serving.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				s.stumbled(v)
			}
		}()
		f()
	})
}

// stumbled notes a panic and where it came from.
func (s *server) stumbled(v any) {
	s.backend.Note(fmt.Sprintf("panic: %v\n%s", v, debug.Stack()))
}

// victim is the oldest connection without a request; if there is none, the
// oldest that is not root: nobody else can lock root out.
func (s *server) victim() *conn {
	var idle, other *conn
	for c := range s.conns {
		if !c.busy && (idle == nil || c.seq < idle.seq) {
			idle = c
		}
		if !c.peer.trusted() && (other == nil || c.seq < other.seq) {
			other = c
		}
	}
	if idle != nil {
		return idle
	}
	return other
}

// refuse says so in a frame that fits any socket buffer, and closes.
func (s *server) refuse(nc *os.File) {
	defer nc.Close()
	frames, err := split(Response{Error: &Error{CodeBusy, fmt.Sprintf("%d connections are open already", s.limits.conns)}}, FrameMax)
	if err != nil {
		return
	}
	if raw, err := nc.SyscallConn(); err == nil {
		// Once, without waiting; a deadline would be over before the first try
		// on a busy machine.
		raw.Write(func(fd uintptr) bool {
			syscall.Write(int(fd), frames[0])
			return true
		})
	}
}

func (s *server) setBusy(c *conn) {
	s.mu.Lock()
	c.busy = true
	s.mu.Unlock()
}

func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.conns {
		c.net.Close()
	}
}
