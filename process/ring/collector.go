package ring

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"

	"hoopy/process/poll"
)

// Collector reads the log pipes of all units into their rings, in one goroutine.
// A turn reads each pipe that has something once, at most StageSize bytes: a unit
// that floods starves nobody.
type Collector struct {
	say   func(string)
	fault func(what any, stack []byte)
	set   *poll.Set

	mu     sync.Mutex
	pipes  map[string]*pipe
	asked  map[*pipe]struct{} // drains wait
	closed bool
	done   chan struct{}
}

type pipe struct {
	name   string
	fd     int
	ring   *Ring
	drains []drain
	gone   bool // removed
}

type drain struct {
	left int // bytes that can still have been in the pipe when it was asked for
	call func()
}

// NewCollector starts the goroutine; say gets what goes wrong, one line each.
// fault is told of a panic: the process is expected to end, and the next one to
// find each line where this one left it. nil: the panic is said, and costs the
// pipe that it came from.
func NewCollector(say func(string), fault func(what any, stack []byte)) (*Collector, error) {
	set, err := poll.New()
	if err != nil {
		return nil, fmt.Errorf("log collector: %w", err)
	}
	c := &Collector{say: say, fault: fault, set: set, pipes: make(map[string]*pipe), asked: make(map[*pipe]struct{}), done: make(chan struct{})}
	go c.run()
	return c, nil
}

// Add reads fd into r from now on. The descriptor stays the caller's and must
// live as long as the collector; it is set not to block.
func (c *Collector) Add(name string, r *Ring, fd int) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("log pipe of %s: %w", name, err)
	}
	p := &pipe{name: name, fd: fd, ring: r}
	c.mu.Lock()
	c.pipes[name] = p
	c.mu.Unlock()
	if err := c.set.Add(fd, poll.In, func() { c.fill(p) }); err != nil {
		return fmt.Errorf("log pipe of %s: %w", name, err)
	}
	return nil
}

// Remove reads the pipe of name no more. When it returns the caller may close the
// ring, and then the descriptor. Drains that wait are answered.
func (c *Collector) Remove(name string) {
	c.mu.Lock()
	p := c.pipes[name]
	var drains []drain
	if p != nil {
		p.gone, drains, p.drains = true, p.drains, nil
		delete(c.pipes, name)
		delete(c.asked, p)
		c.set.Del(p.fd)
	}
	c.mu.Unlock()
	for _, d := range drains {
		d.call()
	}
}

// Drain calls call, from the collector's goroutine, when everything that was in
// the pipe of name at the time of the call is in its ring.
func (c *Collector) Drain(name string, call func()) {
	c.mu.Lock()
	p := c.pipes[name]
	if p != nil && !c.closed {
		size, err := unix.FcntlInt(uintptr(p.fd), unix.F_GETPIPE_SZ, 0)
		if err != nil {
			size = 64 << 10
		}
		p.drains = append(p.drains, drain{size, call})
		c.asked[p] = struct{}{}
		call = nil
	}
	c.mu.Unlock()
	if call != nil {
		call()
		return
	}
	c.set.Wake()
}

// Close ends the goroutine and waits for it.
func (c *Collector) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.set.Wake()
	<-c.done
	c.set.Close()
}

func (c *Collector) panicked(what any) {
	if c.fault != nil {
		c.fault(what, debug.Stack())
	}
}

func (c *Collector) run() {
	defer close(c.done)
	for c.turn() {
	}
}

func (c *Collector) turn() (more bool) {
	defer func() {
		if v := recover(); v != nil {
			c.panicked(v)
			c.say(fmt.Sprintf("log collector: %v", v))
			more = true
		}
	}()
	if err := c.set.Wait(-1); err != nil {
		c.say("log collector: " + err.Error())
		return false
	}
	for {
		c.mu.Lock()
		closed := c.closed
		var p *pipe
		for p = range c.asked {
			break
		}
		c.mu.Unlock()
		if closed || p == nil {
			return !closed
		}
		c.fill(p)
	}
}

// fill reads p once and answers the drains that this satisfies. A ring that
// panics is read no more; the others go on.
func (c *Collector) fill(p *pipe) {
	c.mu.Lock()
	gone, asked := p.gone, len(p.drains)
	c.mu.Unlock()
	if gone {
		return
	}
	n, err := func() (n int, err error) {
		defer func() {
			if v := recover(); v != nil {
				c.panicked(v)
				n, err = 0, fmt.Errorf("panic: %v", v)
			}
		}()
		return p.ring.Fill(p.fd)
	}()
	if err == unix.EINTR {
		return
	}
	c.mu.Lock()
	if gone = p.gone; !gone && n == 0 && err != unix.EAGAIN {
		c.set.Del(p.fd)
	}
	c.mu.Unlock()
	if gone { // and the ring may be closed, the descriptor another's
		return
	}
	empty := n == 0
	if empty && err != unix.EAGAIN {
		switch {
		case err == nil:
			c.say(fmt.Sprintf("log pipe of %s: its last writer is gone", p.name))
		case errors.Is(err, ErrFenced):
			c.say(fmt.Sprintf("log pipe of %s: a later epoch reads it", p.name))
		default:
			c.say(fmt.Sprintf("log pipe of %s: %v", p.name, err))
		}
	}
	c.mu.Lock()
	calls := p.answer(asked, n, empty)
	if len(p.drains) == 0 {
		delete(c.asked, p)
	}
	c.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

// answer takes n bytes off the drains that were asked for before these were
// read, the first asked of them, and gives the calls of those that are through.
// What is asked for later may concern bytes written later, too.
func (p *pipe) answer(asked, n int, empty bool) (calls []func()) {
	keep := p.drains[:0]
	for i, d := range p.drains {
		if i < asked {
			d.left -= n
		}
		if i < asked && (empty || d.left <= 0) {
			calls = append(calls, d.call)
		} else {
			keep = append(keep, d)
		}
	}
	p.drains = keep
	return calls
}
