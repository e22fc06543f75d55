package process

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// speech is a run's notify socket, see sd_notify(3).
type speech struct {
	notify     int // socket; -1: none
	notifyPath string
	notifySeq  uint64    // of the datagram that is applied and not yet taken; 0: none
	notifyAt   time.Time // next look, where the keeper has to catch up first; zero: none
	speaker    uint32    // may write to it from anywhere, besides root
	rejected   bool      // a datagram of a stranger was said
	full       bool      // a descriptor that was not stored was said
	late       int       // datagrams that were applied after the exit
	noted      string    // its last word on how it is
	paceFrom   time.Time // paced datagrams were committed since
	paced      int
}

// paceMost datagrams a second are applied, each of which costs a snapshot: a
// unit that says more waits for the next second, and nobody else does.
const paceMost = 256

// lateMost datagrams can have lain in the socket when its run ended
// (net.unix.max_dgram_qlen); what comes after them does not hold up its end.
const lateMost = 512

// speaks says whether the unit is told of a notify socket. Any of the three
// asks for one, and then all of sd_notify works; READY=1 counts where it is what
// makes the unit ready.
func speaks(u *unit.Unit) bool {
	return u.ReadyBy == unit.ByNotify || u.Watchdog > 0 || u.FDStore > 0
}

// openSpeech makes the socket of a run and returns its path; empty: it gets none.
func (a *Arm) openSpeech(r *run) (path string, err error) {
	if r.part != unit.Main || !speaks(r.unit) {
		return "", nil
	}
	r.notifyPath = notifyPath(a.cfg.RunDir, r.name, r.id)
	if r.notify, err = newNotifySocket(r.notifyPath); err != nil {
		return "", err
	}
	a.cfg.Keeper.Store(notifyKey(r.id), r.notify)
	return r.notifyPath, nil
}

// dropSpeech forgets the socket of a run; its descriptor is closed by unwatch.
// What a run leaves for the next one it often says last.
func (a *Arm) dropSpeech(r *run) {
	if r.notify < 0 {
		return
	}
	for range lateMost {
		b, from, fds, err := receiveNotice(r.notify, 0)
		if err != nil {
			break
		}
		if r.unit != nil && trusted(from, r.speaker, r.group()) {
			n := parseNotice(b)
			a.leaveFDs(r, &n, fds)
		}
		closeAll(fds)
	}
	a.cfg.Keeper.Drop(notifyKey(r.id))
	os.Remove(r.notifyPath)
}

// hear begins to take what the main process of r says, once Spawned was said:
// that comes after it. What it has said already is taken at once, as it may have
// exited since.
func (a *Arm) hear(r *run) {
	if r.notify >= 0 {
		r.speaker = speaker(r.unit)
		a.listenTo(r)
	}
	a.watchLine(r)
	a.watchPidFile(r)
	if r.wasReady {
		a.startDog(r)
	}
	a.resumeDog(r)
}

// listensAt is when a look is due that no descriptor announces.
func (r *run) listensAt() [4]time.Time {
	return [...]time.Time{r.notifyAt, r.dogAt, r.mainAt, r.file.lookAt}
}

// listens does what is due of those.
func (a *Arm) listens(r *run, now time.Time) {
	if !r.notifyAt.IsZero() && !now.Before(r.notifyAt) {
		a.listenTo(r)
	}
	a.watchDog(r, now)
	a.askMain(r, now)
	a.pollPidFile(r, now)
}

func (a *Arm) listenTo(r *run) {
	r.notifyAt = time.Time{}
	if err := a.set.Add(r.notify, pollIn, func() { a.notices(r) }); err != nil {
		a.cfg.Log(fmt.Sprintf("process: unit %s: watch notify socket: %v", r.name, err))
	}
	a.notices(r)
}

// heard takes what a run that has exited said before, and says whether that was
// all; if not, the commit of what it said last goes on.
func (a *Arm) heard(r *run) bool {
	if r.unit == nil || !r.saidSpawned {
		return true
	}
	a.readLine(r)
	if r.notify < 0 {
		return true
	}
	if !r.notifyAt.IsZero() {
		a.listenTo(r)
	}
	for range lateMost / noticesAtOnce {
		if a.notices(r) {
			break
		}
	}
	return r.notifySeq == 0 || r.late > lateMost
}

const noticesAtOnce = 64

// notices applies the datagrams up to the first that makes events. That one
// stays in the socket until a snapshot holds its consequences; meanwhile the
// socket is not watched, and those behind it wait. Those that make none, such as
// WATCHDOG=1, cost nobody a snapshot. False: there may be more to take now.
func (a *Arm) notices(r *run) (all bool) {
	if r.notifySeq != 0 || !r.notifyAt.IsZero() {
		return true
	}
	for range noticesAtOnce {
		b, from, fds, err := receiveNotice(r.notify, unix.MSG_PEEK)
		if err != nil {
			return true // EAGAIN: that was all
		}
		n := parseNotice(b)
		if !trusted(from, r.speaker, r.group()) {
			if !r.rejected {
				r.rejected = true
				a.cfg.Log(fmt.Sprintf("process: unit %s: a notification by %s is ignored", r.name, sender(from)))
			}
			n = notice{}
		}
		events := a.apply(r, &n, fds)
		closeAll(fds)
		if len(events) > 0 {
			a.set.Del(r.notify)
			r.notifySeq = a.nextSeq()
			events[len(events)-1].Seq = r.notifySeq
			if r.exited {
				r.late++
			}
			for _, ev := range events {
				a.emit(r, ev)
			}
			return true
		}
		if n.store && !a.cfg.Keeper.Sent() {
			// Taken from the socket, it would be nowhere but in this process.
			a.set.Del(r.notify)
			r.notifyAt = time.Now().Add(sentEvery)
			return true
		}
		_, _, fds, _ = receiveNotice(r.notify, 0)
		closeAll(fds)
	}
	return false
}

// sentEvery is how often a keeper that is behind is looked after.
const sentEvery = 20 * time.Millisecond

// apply does what one datagram asks and returns the events that are due for it.
// It may be called again with the same datagram, in this epoch or the next.
func (a *Arm) apply(r *run, n *notice, fds []int) (events []unit.Event) {
	say := func(ev unit.Event) { events = append(events, ev) }
	a.leaveFDs(r, n, fds)
	if n.extend > 0 {
		say(unit.Event{Op: unit.Extend, For: n.extend})
	}
	if n.main != 0 && a.setMain(r, n.main) {
		say(unit.Event{Op: unit.MainPid, Pid: n.main})
	}
	if n.reloading {
		say(unit.Event{Op: unit.Reloading})
	}
	// To who is ready by something else, it is the end of a reload.
	if n.ready && (r.unit.ReadyBy == unit.ByNotify || r.saidReady || r.wasReady) {
		say(unit.Event{Op: unit.IsReady})
		a.beReady(r)
	}
	if text, ok := n.note(); ok && (text != r.noted || len(events) > 0) {
		r.noted = text
		say(unit.Event{Op: unit.Noted, Text: text})
	}
	if n.hasPeriod {
		a.setDog(r, n.period)
	}
	if n.ping {
		a.pet(r)
	}
	if n.bite && !r.bitten {
		r.bitten = true
		say(sick("watchdog: it asked for its own end"))
	}
	return events
}

// beReady begins what follows on ready, once.
func (a *Arm) beReady(r *run) {
	if !r.saidReady {
		r.saidReady = true
		a.startDog(r)
	}
}

// noticeCommitted takes the datagram whose consequences a snapshot holds, and
// goes on with the next.
func (a *Arm) noticeCommitted(r *run, seq uint64) {
	if r.notifySeq == 0 || seq < r.notifySeq {
		return
	}
	r.notifySeq = 0
	_, _, fds, _ := receiveNotice(r.notify, 0)
	closeAll(fds)
	now := time.Now()
	if now.Sub(r.paceFrom) >= time.Second {
		r.paceFrom, r.paced = now, 0
	}
	if r.paced++; r.paced > paceMost && !r.exited {
		r.notifyAt = r.paceFrom.Add(time.Second)
		return
	}
	a.listenTo(r)
	if r.exited {
		a.settle(r)
	}
}

func sender(c *unix.Ucred) string {
	if c == nil {
		return "nobody"
	}
	return fmt.Sprintf("pid %d of user %d", c.Pid, c.Uid)
}

// takeKept takes what the keeper holds for runs and units: sockets, lines,
// watchdogs and stored descriptors. What belongs to no run is given up.
func (a *Arm) takeKept() {
	for key, fd := range a.cfg.Table.Stored {
		what, rest, _ := strings.Cut(key, ":")
		hex, more, _ := strings.Cut(rest, ":")
		id, _ := parseRun(hex)
		r := a.runs[id]
		switch what {
		case "notify", "line", "dog":
			delete(a.cfg.Table.Stored, key)
			if r == nil {
				unix.Close(fd)
				a.cfg.Keeper.Drop(key)
				continue
			}
		case "fd":
			delete(a.cfg.Table.Stored, key)
			a.takeStored(key, rest, fd)
			continue
		}
		switch what {
		case "notify":
			r.notify, r.notifyPath = fd, notifyPath(a.cfg.RunDir, r.name, id)
		case "line":
			r.line = fd
		case "dog":
			unix.Close(fd)
			a.takeDog(r, key, more)
		}
	}
}
