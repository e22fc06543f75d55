package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"hoopy/unit"
)

// serve reads the request of c and answers it. The caller closes c.
func (s *server) serve(ctx context.Context, c *conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			s.stumbled(v)
			if ctx.Err() != nil { // the end of the server, or of the client
				return
			}
			s.reply(c.net, Response{Error: &Error{CodeInternal, fmt.Sprintf("the supervisor stumbled: %v", v)}})
		}
	}()
	var r Request
	if c.net.SetReadDeadline(time.Now().Add(s.limits.request)) != nil {
		return
	}
	most := RequestMax
	if !c.peer.trusted() {
		most = StrangerMax
	}
	switch err := readFrame(c.net, most, &r); {
	case errors.Is(err, ErrFrame):
		s.reply(c.net, Response{Error: &Error{CodeRequest, err.Error()}})
		return
	case err != nil: // gone, or too slow
		return
	}
	s.setBusy(c)
	if c.net.SetReadDeadline(time.Time{}) != nil {
		return
	}
	s.start(func() { // a client that goes takes its request along
		defer cancel()
		var b [1]byte
		c.net.Read(b[:])
	})
	if !c.peer.trusted() && r.Op != Wait { // a wait holds next to nothing
		if !s.turn(ctx, c) {
			return
		}
		defer func() { <-s.strangers }()
	}
	s.answer(ctx, c, &r)
	c.net.Close()
}

// turn waits until a stranger may be answered, since answers take memory: no
// longer than the supervisor has for its status. Nothing of root waits for it.
func (s *server) turn(ctx context.Context, c *conn) bool {
	t := time.NewTimer(s.limits.status)
	defer t.Stop()
	select {
	case s.strangers <- struct{}{}:
		return true
	case <-t.C:
		s.reply(c.net, Response{Error: &Error{CodeBusy, "too many are asking at once"}})
	case <-ctx.Done():
	}
	return false
}

// answer carries one request out.
func (s *server) answer(ctx context.Context, c *conn, r *Request) {
	if e := check(c.peer, r); e != nil {
		s.reply(c.net, Response{Error: e})
		return
	}
	asker := who(c.peer, r)
	var out Response
	var err error
	bounded := func(d time.Duration) (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, d) }
	switch r.Op {
	case Status, Ping:
		ctx, cancel := bounded(s.limits.status)
		defer cancel()
		out.Machine, out.Units, err = s.backend.Status(ctx, r.Names)
		if r.Op == Ping {
			out.Units = nil
		}
	case Start, Stop, Restart, ReloadUnits, Reset, Signal, Wait:
		ctx, cancel := bounded(r.wait())
		defer cancel()
		out.Units, err = s.backend.Command(ctx, Command{Op: r.Op, Names: r.Names, Force: r.Force, Signal: r.Signal, Who: asker})
	case Logs:
		q := LogQuery{Names: r.Names, All: r.All, Kernel: r.Kernel, N: r.N, Since: r.Since, Follow: r.Follow}
		err = s.backend.Logs(ctx, q, func(lines []Line) error {
			return s.reply(c.net, Response{Lines: lines, More: true})
		})
	case Reload:
		ctx, cancel := bounded(r.wait())
		defer cancel()
		out.Changes, err = s.backend.Reload(ctx, r.Dry, asker)
	case Run:
		ctx, cancel := bounded(s.limits.status)
		defer cancel()
		out.Units, err = s.backend.Run(ctx, r.Names[0], r.Unit, asker)
		if len(out.Units) > 0 && errors.Is(err, context.DeadlineExceeded) {
			err = nil // it runs
		}
	case Exec:
		ctx, cancel := bounded(s.limits.status)
		defer cancel()
		out.Exec, err = s.backend.Exec(ctx, r.Names[0], r.Command, asker)
	case Unlock:
		ctx, cancel := bounded(r.wait())
		defer cancel()
		out.Text, err = s.backend.Unlock(ctx, r.Names[0], r.Secret, asker)
		clear(r.Secret)
	case Graph:
		ctx, cancel := bounded(s.limits.status)
		defer cancel()
		out.Nodes, err = s.backend.Graph(ctx)
	case Blame:
		ctx, cancel := bounded(s.limits.status)
		defer cancel()
		out.Spans, err = s.backend.Blame(ctx)
	case Why:
		ctx, cancel := bounded(s.limits.status)
		defer cancel()
		out.Reasons, err = s.backend.Why(ctx, r.Names[0])
	case End:
		how, _ := ParseHow(r.How)
		ctx, cancel := bounded(s.limits.status)
		defer cancel()
		err = s.backend.End(ctx, how, asker)
	}
	if ctx.Err() != nil { // the end of the server, or of the client: no answer says what is true
		return
	}
	out.Error = toError(err)
	if out.Error != nil && out.Error.Code == CodeTimeout && !settles[r.Op] {
		out.Error = &Error{CodeBusy, "the supervisor is busy; it did not answer in time"}
	}
	s.reply(c.net, out)
}

// rootOnly are the requests that change something or show what may be secret.
var rootOnly = map[Op]bool{Status: false, Ping: false, Graph: false, Blame: false, Why: false, Wait: false,
	Start: true, Stop: true, Restart: true, Logs: true, Reload: true, End: true,
	ReloadUnits: true, Reset: true, Signal: true, Run: true, Exec: true, Unlock: true}

// wait is how long the answer may wait for units.
func (r *Request) wait() time.Duration {
	if r.Wait <= 0 {
		return WaitDefault
	}
	return min(r.Wait, WaitMax)
}

// settles are the requests that wait for units.
var settles = map[Op]bool{Reload: true, Start: true, Stop: true, Restart: true, ReloadUnits: true, Reset: true, Signal: true, Wait: true}

// check says what is wrong with a request, before anybody acts on it.
func check(p Peer, r *Request) *Error {
	if r.Version != Version {
		return &Error{CodeVersion, fmt.Sprintf("init speaks version %d of the control protocol, not %d", Version, r.Version)}
	}
	root, known := rootOnly[r.Op]
	switch {
	case !known:
		return &Error{CodeRequest, fmt.Sprintf("unknown op %q", r.Op)}
	case root && !p.trusted():
		return &Error{CodeDenied, fmt.Sprintf("%s: only root may", r.Op)}
	case len(r.Names) > NamesMax:
		return &Error{CodeRequest, fmt.Sprintf("%d names, the limit is %d", len(r.Names), NamesMax)}
	}
	bad := func(text string) *Error { return &Error{CodeRequest, string(r.Op) + ": " + text} }
	switch r.Op {
	case Start, Stop, Restart, ReloadUnits, Reset, Wait:
		if len(r.Names) == 0 {
			return bad("name a unit")
		}
	case Signal:
		if len(r.Names) == 0 {
			return bad("name a unit")
		}
		if r.Signal < 1 || r.Signal > signalMax {
			return bad(fmt.Sprintf("%d is no signal", r.Signal))
		}
	case Logs:
		if len(r.Names) == 0 && !r.All && !r.Kernel {
			return bad("name a unit")
		}
		if r.Since < 0 {
			return bad("since_ns is negative")
		}
	case Run, Exec, Why, Unlock:
		if len(r.Names) != 1 {
			return bad("name one unit")
		}
		if r.Op == Run && !unit.GoodName(r.Names[0]) {
			return bad(fmt.Sprintf("%q is no name of a unit", r.Names[0]))
		}
		if r.Op == Run && r.Unit == "" {
			return bad("unit is empty")
		}
		if r.Op == Exec && (len(r.Command) == 0 || r.Command[0] == "") {
			return bad("command is empty")
		}
		for _, arg := range r.Command {
			if strings.IndexByte(arg, 0) >= 0 {
				return bad("command has a zero byte")
			}
		}
	case End:
		if _, ok := ParseHow(r.How); !ok {
			return bad(fmt.Sprintf("unknown how %q", r.How))
		}
	}
	return nil
}

const signalMax = 64 // the last real-time signal of Linux

func toError(err error) *Error {
	var known *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{CodeTimeout, "not settled in time; it goes on"}
	}
	return &Error{CodeInternal, err.Error()}
}

// reply writes r, each frame within WriteTimeout.
func (s *server) reply(nc *os.File, r Response) error {
	frames, err := split(r, FrameMax)
	if err != nil {
		frames, err = split(Response{Error: toError(err)}, FrameMax)
		if err != nil {
			return err
		}
	}
	for _, f := range frames {
		if err := nc.SetWriteDeadline(time.Now().Add(s.limits.write)); err != nil {
			return err
		}
		if _, err := nc.Write(f); err != nil {
			return err
		}
	}
	return nil
}
