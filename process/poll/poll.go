// Package poll waits for many descriptors in one goroutine, by epoll(7).
//
// A Set calls what was registered for a descriptor from inside Wait, one after
// the other. What it calls must not block and must bear being called without a
// cause: an event may be stale when a descriptor was closed and its number
// given away again within one turn.
package poll

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Events that Add takes; errors and hang-ups are always reported.
const (
	In  = unix.EPOLLIN
	Out = unix.EPOLLOUT
	Pri = unix.EPOLLPRI
)

// Set is a set of descriptors. Wait and Close belong to one goroutine, the other
// methods to any.
type Set struct {
	ep, wake int

	mu    sync.Mutex
	calls map[int]func()

	events [64]unix.EpollEvent
}

// New makes an empty set.
func New() (*Set, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(ep)
		return nil, err
	}
	s := &Set{ep: ep, wake: wake, calls: make(map[int]func())}
	if err := s.Add(wake, In, s.awake); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Add calls call from Wait whenever fd has one of events (level-triggered).
func (s *Set) Add(fd int, events uint32, call func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := unix.EpollCtl(s.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
	if err == nil {
		s.calls[fd] = call
	}
	return err
}

// Del forgets fd. It must be called before fd is closed; a descriptor that is
// not in the set is none of its business.
func (s *Set) Del(fd int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.calls[fd]; ok {
		delete(s.calls, fd)
		unix.EpollCtl(s.ep, unix.EPOLL_CTL_DEL, fd, nil)
	}
}

// Wake ends the current or the next Wait.
func (s *Set) Wake() {
	one := [8]byte{1}
	unix.Write(s.wake, one[:])
}

func (s *Set) awake() {
	var b [8]byte
	unix.Read(s.wake, b[:])
}

// Wait waits for events, at most for d (for ever when d is negative), and makes
// the calls that they ask for, at most 64. A call that panics costs its
// descriptor the place in the set, and the panic goes on.
func (s *Set) Wait(d time.Duration) error {
	ms := -1
	if d >= 0 {
		ms = int(min((d+time.Millisecond-1)/time.Millisecond, 1<<30))
	}
	n, err := unix.EpollWait(s.ep, s.events[:], ms)
	if err == unix.EINTR {
		return nil
	}
	for i := range max(n, 0) {
		s.mu.Lock()
		call := s.calls[int(s.events[i].Fd)]
		s.mu.Unlock()
		if call != nil {
			s.call(int(s.events[i].Fd), call)
		}
	}
	return err
}

// call makes one call. A descriptor whose call panics is forgotten, or it would
// panic in every turn from now on.
func (s *Set) call(fd int, call func()) {
	done := false
	defer func() {
		if !done {
			s.Del(fd)
		}
	}()
	call()
	done = true
}

// Close gives the set's own descriptors back; those that were added stay open.
func (s *Set) Close() {
	unix.Close(s.wake)
	unix.Close(s.ep)
}
