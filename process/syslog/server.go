// Package syslog is /dev/log: what programs say with syslog(3) comes into the
// log of their unit.
//
// # Which log
//
// The kernel says which process has sent a datagram; its cgroup says which unit
// that is of. A sender that is of no unit, or has exited when its turn comes,
// speaks into a log of its own, called Name.
//
// # Surviving kill -9
//
// The socket is the keeper's, so datagrams wait while a supervisor is replaced.
// recvmsg(2) puts each into memory that the keeper holds as well (intake.go);
// there it stays until it is in a ring. So none is lost and none doubled,
// whenever we die, but for two cases. A doubled line: the ring was overwritten,
// by its unit's flood, between the line's arrival there and the next epoch's
// look. A lost one: the kernel had swapped the intake out in the very moment.
//
// # Floods
//
// One goroutine takes one datagram at a time, and the rings drop their oldest
// lines: a flood costs a processor's time, no memory. Who floods is slowed down
// by the socket's queue (net.unix.max_dgram_qlen, which the keeper sets to 512).
package syslog

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/process/poll"
	"hoopy/process/ring"
)

// Name is the ring of those who are of no unit.
const Name = "syslog"

// Path is where programs send to.
const Path = "/dev/log"

// Keys under which the keeper has what outlives us.
const (
	KeySocket = "syslog:socket"
	KeyIntake = "syslog:intake"
)

// Config says where a Server belongs. Ring is needed, and Store where something
// is to outlive the process.
type Config struct {
	Path string // empty: the constant Path
	Host string // this machine's name, see Parse
	// Stored has what an earlier epoch stored; what is the server's is taken out.
	Stored map[string]int
	Store  func(key string, fd int)
	// Unit is the unit that the process is of; empty: of none.
	Unit func(pid int) string
	// Ring is the log of a unit, and of Name; nil: there is none.
	Ring func(name string) *ring.Ring
	Say  func(string) // what goes wrong, one line each; nil: nobody
	// Fault is told of a panic. The process is expected to end; the next finds the
	// datagram. nil: the panic is said and costs the datagram.
	Fault func(what any, stack []byte)
}

// Server takes the datagrams, in a goroutine of its own.
type Server struct {
	cfg    Config
	in     *intake
	socket int
	set    *poll.Set
	closed chan struct{}
	done   chan struct{}

	known  [16]sender // of the last datagrams, by pid
	fenced bool

	testOnlyStep func() // called between the steps that a death can come between
}

// sender remembers what /proc said. It is not asked again for a moment: so short
// that no pid is given to another process, and enough for those who say much.
type sender struct {
	pid  int
	unit string
	at   time.Time
}

const remember = 100 * time.Millisecond

// New takes over the socket of an earlier epoch, or binds it, posts what was
// received but not posted, and begins to receive.
func New(c Config) (*Server, error) {
	if c.Path == "" {
		c.Path = Path
	}
	if c.Say == nil {
		c.Say = func(string) {}
	}
	s, err := open(c)
	if err != nil {
		return nil, fmt.Errorf("syslog: %w", err)
	}
	s.recover()
	if err := s.set.Add(s.socket, poll.In, s.receive); err != nil {
		s.free()
		return nil, fmt.Errorf("syslog: %w", err)
	}
	go s.run()
	return s, nil
}

func open(c Config) (s *Server, err error) {
	s = &Server{cfg: c, socket: -1, closed: make(chan struct{}), done: make(chan struct{})}
	if fd, ok := c.Stored[KeyIntake]; ok {
		delete(c.Stored, KeyIntake)
		s.in, err = openIntake(fd)
		unix.Close(fd)
		if err != nil {
			c.Say("syslog: " + err.Error())
		}
	}
	if s.in == nil {
		var fd int
		if s.in, fd, err = newIntake(); err != nil {
			return nil, err
		}
		c.store(KeyIntake, fd)
		unix.Close(fd)
	}
	if fd, ok := c.Stored[KeySocket]; ok {
		delete(c.Stored, KeySocket)
		s.socket = fd
	} else if s.socket, err = bind(c.Path); err == nil {
		c.store(KeySocket, s.socket)
	}
	if err == nil {
		s.set, err = poll.New()
	}
	if err != nil {
		s.free()
		return nil, err
	}
	return s, nil
}

func (c *Config) store(key string, fd int) {
	if c.Store != nil {
		c.Store(key, fd)
	}
}

func bind(path string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if unix.Connect(fd, &unix.SockaddrUnix{Name: path}) == nil {
		unix.Close(fd)
		return -1, fmt.Errorf("%q: %w", path, unix.EADDRINUSE) // another syslogd's; it would hear no more
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1) // after connect(2), which binds such a one
	if err == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			unix.Close(fd)
			return -1, err
		}
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err == nil {
		err = unix.Chmod(path, 0o666)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("bind %q: %w", path, err)
	}
	return fd, nil
}

// Close ends the goroutine and waits for it. What the keeper holds stays.
func (s *Server) Close() {
	close(s.closed)
	s.set.Wake()
	<-s.done
	s.free()
}

func (s *Server) free() {
	if s.set != nil {
		s.set.Close()
	}
	if s.socket >= 0 {
		unix.Close(s.socket)
	}
	s.in.close()
}

func (s *Server) run() {
	defer close(s.done)
	for s.turn() {
	}
}

func (s *Server) turn() (more bool) {
	defer func() {
		if v := recover(); v != nil {
			if s.cfg.Fault != nil {
				s.cfg.Fault(v, debug.Stack())
			}
			s.cfg.Say(fmt.Sprintf("syslog: panic: %v", v))
			s.in.clear(len(s.in.stage))
			more = s.set.Add(s.socket, poll.In, s.receive) == nil // Wait had dropped it
		}
	}()
	select {
	case <-s.closed:
		return false
	default:
	}
	if err := s.set.Wait(-1); err != nil {
		s.cfg.Say("syslog: " + err.Error())
		return false
	}
	return !s.fenced
}

// batch is how many datagrams are taken before we look whether we are to end.
const batch = 64

func (s *Server) receive() {
	for range batch {
		// Room for the credentials and nothing else: the kernel gives us none of the
		// descriptors that a sender may have put beside.
		n, _, _, _, err := unix.Recvmsg(s.socket, s.in.stage, s.in.control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		s.step()
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			if err != unix.EAGAIN {
				s.cfg.Say("syslog: recvmsg: " + err.Error())
				s.set.Del(s.socket)
			}
			return
		}
		s.deliver(n)
		if s.fenced {
			return
		}
	}
}

// deliver posts the datagram of n bytes that is in the intake.
func (s *Server) deliver(n int) {
	m := Parse(s.in.stage[:n], s.cfg.Host)
	if len(m.Text) > 0 {
		if len(m.Text) > ring.LineMax {
			m.Text = append(m.Text[:ring.LineMax-len(cut)], cut...)
		}
		name := s.unitOf(s.in.sender())
		err := s.post(name, m)
		if err == ring.ErrClosed && name != Name {
			err = s.post(Name, m)
		}
		if err != nil { // the datagram is the next epoch's
			s.fenced = true
			s.cfg.Say("syslog: " + err.Error())
			return
		}
	}
	s.in.clear(n)
	s.step()
}

// post puts a line into the ring called name; ErrClosed: there is none.
func (s *Server) post(name string, m Message) error {
	r := s.cfg.Ring(name)
	if r == nil {
		return ring.ErrClosed
	}
	return r.Post(m.Text, m.Severity, m.Facility, func(stamp uint64) {
		s.in.plan(name, stamp)
		s.step()
	}, func() {
		s.step()
		s.in.done()
		s.step()
	})
}

const cut = " [cut]"

// recover posts what the epoch before had received, if it is not there yet.
func (s *Server) recover() {
	n := s.in.held()
	if name, stamp := s.in.planned(); stamp != 0 && !s.in.isDone() && n > 0 {
		if r := s.cfg.Ring(name); r != nil && r.Posted(stamp) {
			s.in.done()
		}
	}
	switch {
	case s.in.isDone(), n == 0:
		s.in.clear(len(s.in.stage))
	default:
		s.deliver(n)
	}
}

// unitOf is the name of the ring of pid.
func (s *Server) unitOf(pid int) string {
	if pid <= 0 || s.cfg.Unit == nil {
		return Name
	}
	k := &s.known[pid%len(s.known)]
	if now := time.Now(); k.pid != pid || now.Sub(k.at) > remember {
		*k = sender{pid, s.cfg.Unit(pid), now}
	}
	if k.unit == "" {
		return Name
	}
	return k.unit
}

func (s *Server) step() {
	if s.testOnlyStep != nil {
		s.testOnlyStep()
	}
}
