package process

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/process/launch"
	"hoopy/unit"
)

// probeTimeout is how long a probe may take that does not say.
const probeTimeout = unit.HealthTimeout

// question is one asking of a probe. It ends once: by an answer, by its
// time-out, or because nobody wants to know any more.
type question struct {
	care     *care
	what     string // "tcp 127.0.0.1:80"
	patience time.Duration
	until    time.Time

	fd      int // the connection; -1: none
	addrs   []netip.AddrPort
	request []byte // to be sent; nil: the connection is answer enough
	answer  []byte
	run     *run // of an exec probe
	over    bool
}

// ask begins a question of r's care. Nothing here waits: connections are in the
// arm's set, commands are runs, and what a disk may hold up is asked aside.
func (a *Arm) ask(r *run, c *care) {
	p := c.probe
	q := &question{care: c, fd: -1, patience: p.Timeout}
	if q.patience <= 0 {
		q.patience = probeTimeout
	}
	q.until = time.Now().Add(q.patience)
	c.question = q
	var err error
	switch {
	case p.TCP != "":
		q.what = "tcp " + p.TCP
		q.addrs, err = addresses(p.TCP)
	case p.HTTP != "":
		q.what = p.HTTP
		var host string
		if host, q.request, err = httpRequest(p.HTTP); err == nil {
			q.addrs, err = addresses(host)
		}
	case p.Unix != "":
		q.what = "unix " + p.Unix
		a.askUnix(r, q, p.Unix)
		return
	case len(p.Exec) > 0:
		q.what = p.Exec[0]
		a.askExec(r, q, p.Exec)
		return
	default:
		err = errors.New("a probe that asks nothing")
	}
	if err != nil {
		a.conclude(q, err.Error())
		return
	}
	a.connect(q)
}

// conclude ends q with an answer; an empty fault is a good one.
func (a *Arm) conclude(q *question, fault string) {
	if q.over {
		return
	}
	a.drop(q)
	if fault != "" {
		fault = q.what + ": " + fault
	}
	q.care.answered(fault)
}

// drop ends q without one.
func (a *Arm) drop(q *question) {
	q.over = true
	if q.care.question == q {
		q.care.question = nil
	}
	if q.fd >= 0 {
		a.set.Del(q.fd)
		unix.Close(q.fd)
		q.fd = -1
	}
	if r := q.run; r != nil {
		a.killNow(r)
		r.killWanted = true // it may not be there yet
	}
}

// addresses are those of host:port, in the order in which they are tried. There
// is no resolver here: it would wait, and a probe asks this machine.
func addresses(hostport string) ([]netip.AddrPort, error) {
	host, text, ok := cutPort(hostport)
	port, err := strconv.ParseUint(text, 10, 16)
	if !ok || err != nil || port == 0 {
		return nil, fmt.Errorf("%q is no host:port", hostport)
	}
	if host == "localhost" || host == "" {
		return []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)),
			netip.AddrPortFrom(netip.IPv6Loopback(), uint16(port))}, nil
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return nil, fmt.Errorf("%q is no address; a probe asks no name server", host)
	}
	return []netip.AddrPort{netip.AddrPortFrom(addr.Unmap(), uint16(port))}, nil
}

// cutPort cuts at the last colon, and takes the brackets of an IPv6 address off.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	host, port = s[:i], s[i+1:]
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	return host, port, true
}

// connect tries the next address.
func (a *Arm) connect(q *question) {
	at := q.addrs[0]
	q.addrs = q.addrs[1:]
	family, addr := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	if at.Addr().Is4() {
		family, addr = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		a.refused(q, err)
		return
	}
	q.fd = fd
	switch err := unix.Connect(fd, addr); err {
	case nil:
		a.connected(q)
	case unix.EINPROGRESS, unix.EINTR:
		if err := a.set.Add(fd, pollOut, func() { a.connected(q) }); err != nil {
			a.refused(q, err)
		}
	default:
		a.refused(q, err)
	}
}

// refused goes on to the next address, if there is one.
func (a *Arm) refused(q *question, err error) {
	if q.fd >= 0 {
		a.set.Del(q.fd)
		unix.Close(q.fd)
		q.fd = -1
	}
	if len(q.addrs) > 0 {
		a.connect(q)
		return
	}
	a.conclude(q, err.Error())
}

// connected: connect(2) has an outcome, or the event was stale.
func (a *Arm) connected(q *question) {
	if q.fd < 0 {
		return
	}
	switch errno, err := unix.GetsockoptInt(q.fd, unix.SOL_SOCKET, unix.SO_ERROR); {
	case err != nil:
		a.refused(q, err)
		return
	case errno != 0:
		a.refused(q, unix.Errno(errno))
		return
	}
	if _, err := unix.Getpeername(q.fd); err != nil {
		return // stale: it is still on its way
	}
	if q.request == nil {
		a.conclude(q, "")
		return
	}
	a.set.Del(q.fd)
	// The buffer of a fresh connection takes far more than a request has.
	if n, err := unix.SendmsgN(q.fd, q.request, nil, nil, unix.MSG_NOSIGNAL); err != nil || n != len(q.request) {
		a.conclude(q, fmt.Sprintf("send: %v", err))
		return
	}
	if err := a.set.Add(q.fd, pollIn, func() { a.readAnswer(q) }); err != nil {
		a.conclude(q, err.Error())
	}
}

// readAnswer reads what there is of an answer.
func (a *Arm) readAnswer(q *question) {
	if q.fd < 0 {
		return
	}
	var b [statusLineMax]byte
	n, err := unix.Read(q.fd, b[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil:
		a.conclude(q, err.Error())
		return
	}
	q.answer = append(q.answer, b[:n]...)
	if fault, done := httpStatus(q.answer, n == 0); done {
		a.conclude(q, fault)
	}
}

// askUnix connects to a path, which may lie on a disk that does not answer.
func (a *Arm) askUnix(r *run, q *question, path string) {
	ok := a.aside("unix:"+r.name, func() string { return connectUnix(path) }, func(fault string) { a.conclude(q, fault) })
	if !ok {
		a.conclude(q, "the last connect has not returned yet")
	}
}

// connectUnix tries each type of socket that takes connections or datagrams.
func connectUnix(path string) (fault string) {
	for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_SEQPACKET, unix.SOCK_DGRAM} {
		fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err.Error()
		}
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		unix.Close(fd)
		switch err {
		case nil:
			return ""
		case unix.EPROTOTYPE:
		case unix.EAGAIN:
			return "it accepts no connections: too many wait" // a full backlog
		default:
			return err.Error()
		}
	}
	return unix.EPROTOTYPE.Error()
}

// askExec runs a command as the unit does, in a leaf of its own. Its standard
// output is nobody's; what it has to complain about goes to the unit's log.
func (a *Arm) askExec(r *run, q *question, argv []string) {
	for _, o := range a.runs {
		if o.part == unit.Parts && o.name == r.name && o.tool == nil {
			a.conclude(q, "the last one has not ended yet, though it was killed")
			return
		}
	}
	p := newRun(a.ownRun(), r.name, unit.Parts)
	p.unit, p.argv, p.answer = r.unit, argv, q
	q.run = p
	a.runs[p.id] = p
	if err := a.spawn(p); err != nil {
		p.row = false
		p.failure = &launch.Failure{Step: "spawn", Text: err.Error()}
		p.exited = true
		a.settleProbe(p)
	}
}

// ownRun is the id of a run that the supervisor does not know of: it counts in
// the lower half.
func (a *Arm) ownRun() unit.Run {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.own++
	return unit.Run(uint64(a.cfg.Epoch)<<32 | 1<<31 | uint64(a.own))
}

// settleProbe: the answer is how the command ended. Nobody acknowledges a
// probe but the arm.
func (a *Arm) settleProbe(p *run) {
	if !p.exited || p.released {
		return
	}
	p.released = true
	if p.leaf != nil && p.leaf.populated() {
		a.killNow(p)
	}
	if p.row {
		a.cfg.Keeper.Ack(p.id)
		p.row = false
	}
	if t := p.tool; t != nil {
		a.forget(p)
		t.ended <- toolEnd{p.status, p.failure}
		return
	}
	fault := ""
	if code, ok := p.status.Exit(); p.failure != nil {
		fault = p.failure.Text
	} else if !ok {
		_, sig := outcome(p.status)
		fault = "killed by SIG" + sig
	} else if code != 0 {
		fault = "exit " + strconv.Itoa(code)
	}
	q := p.answer
	q.run = nil
	a.forget(p)
	a.conclude(q, fault)
}

// endProbes ends the probes of an epoch that is over; nobody waits for their
// answers.
func (a *Arm) endProbes() {
	for _, row := range a.cfg.Table.probes {
		if l, err := openLeaf(a.leafPath(row.Unit, row.Run)); err == nil {
			if err := l.kill(); err != nil {
				a.cfg.Log("process: " + err.Error())
			}
			l.close() // takeLeaves finds it
		}
		if row.Pidfd >= 0 {
			unix.PidfdSendSignal(row.Pidfd, unix.SIGKILL, nil, 0) // ESRCH: it has ended
			unix.Close(row.Pidfd)
		}
		if row.ErrRead >= 0 {
			unix.Close(row.ErrRead)
		}
		// Its exit finds no run here, and is acknowledged.
	}
}
