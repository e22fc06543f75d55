package keeper

import (
	"syscall"

	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

// Bounds of the last act.
const (
	termWithin    = 2 * Second
	dieWithin     = 1 * Second
	swapWithin    = 10 * Second
	unmountWithin = 5 * Second
	syncWithin    = 30 * Second
	rebootWithin  = 30 * Second
)

// howWords are those of unit.How.
var howWords = [...]string{"?", "power-off", "reboot", "halt"}

// rebootCommands by How.
var rebootCommands = [...]int{0, unix.LINUX_REBOOT_CMD_POWER_OFF, unix.LINUX_REBOOT_CMD_RESTART, unix.LINUX_REBOOT_CMD_HALT}

// signal takes one of PID 1's signals.
func (k *keeper) signal(s syscall.Signal) {
	now := mono()
	if s == unix.SIGINT && k.presses.press(now) {
		k.announce(HowReboot, "ctrl-alt-del seven times")
		k.lastAct(HowReboot)
		return
	}
	w := wishOf(s)
	if w == wishNothing {
		return
	}
	k.oweSignal(uint8(s))
	if w.how() == 0 || k.how != 0 || k.wished != wishNothing {
		return
	}
	k.wished, k.wishedBy, k.overdue = w, uint8(s), now+k.cfg.SignalWithin
	k.log.Say(kmsg.Debug, howWords[w.how()], ": asked by signal ", kmsg.Num(int64(s)))
}

// end takes an OpEnd.
func (k *keeper) end(how, when uint64, who string) {
	if how == 0 || how >= uint64(len(howWords)) {
		return
	}
	if k.how != how {
		k.announce(how, "asked by "+who)
	}
	if when == EndNow {
		k.lastAct(how)
	}
}

// announce begins the end: from here there is a deadline, which does not move.
func (k *keeper) announce(how uint64, why string) {
	now := mono()
	k.log.Final(howWords[how], ": ", why)
	if k.deadline == 0 {
		k.deadline = now + k.cfg.EndWithin
		k.ending = now
	}
	k.how = how
	k.wished, k.overdue = wishNothing, 0
}

// watchEnd ends the machine alone when nobody else does.
func (k *keeper) watchEnd(now Duration) {
	lost := k.deaths.mode == rescue && !k.sup.helloed
	why, how := "", k.how
	switch {
	case k.final:
		return
	case k.how != 0 && now >= k.deadline:
		why = "the end took too long"
	case k.how != 0 && lost:
		why = "no supervisor is left to end in order"
	case k.wished != wishNothing && (lost || now >= k.overdue):
		why, how = "asked by signal "+kmsg.Num(int64(k.wishedBy))+"; no supervisor took it up", k.wished.how()
	default:
		return
	}
	k.announce(how, why)
	k.lastAct(how)
}

// lastAct ends every process, swap, mounts and the machine; it was announced.
// Each step has a bound. It returns only if reboot(2) does; the loop then goes
// on reaping.
func (k *keeper) lastAct(how uint64) {
	if k.final {
		return
	}
	k.final = true
	k.killAll()
	k.step("swap", swapWithin, swapOff)
	k.unmountAll()
	k.step("disks", syncWithin, func() error { unix.Sync(); return nil })
	k.log.Final(howWords[how], " after ", kmsg.Seconds(int64(mono()-k.ending)))
	k.log.Drain(500)
	reboot := k.cfg.Reboot
	if reboot == nil {
		reboot = unix.Reboot
	}
	k.step(howWords[how], rebootWithin, func() error { return reboot(rebootCommands[how]) })
	k.log.Final("the machine is still here; it can be switched off now")
}

// killAll ends all processes but this one: services at once (what could be
// stopped has been), the rest after a polite word.
func (k *keeper) killAll() {
	if unix.Getpid() != 1 {
		return // kill(-1) would be everybody else's end
	}
	began := mono()
	k.sup.signal(unix.SIGKILL)
	k.shell.kill()                                    // shells do not heed SIGTERM
	_ = writeFile(cgroupServices+"/cgroup.kill", "1") // kill(-1) follows
	_ = unix.Kill(-1, unix.SIGTERM)                   // ESRCH: nobody is left
	_ = unix.Kill(-1, unix.SIGCONT)
	if k.awaitNone(termWithin) {
		k.done("processes", "ended", began)
		return
	}
	_ = unix.Kill(-1, unix.SIGKILL)
	if k.awaitNone(dieWithin) {
		k.done("processes", "killed", began)
		return
	}
	k.done("processes", "stuck; going on without them", began)
}

// awaitNone waits until no child is left.
func (k *keeper) awaitNone(bound Duration) bool {
	until := mono() + bound
	for k.reap() {
		if mono() >= until {
			return false
		}
		k.rest(until)
	}
	return true
}

// rest is one bounded wait within the last act: it feeds the watchdog.
func (k *keeper) rest(until Duration) {
	now := mono()
	if k.dog.next != 0 {
		until = min(until, max(k.dog.next, now+Millisecond))
	}
	fds := [1]unix.PollFd{{Fd: int32(k.wake.fd), Events: unix.POLLIN}}
	_, _ = unix.Poll(fds[:], millis(now, until)) // EINTR: the caller looks again
	k.wake.quiet()
	k.dog.feed(mono(), k.wellKept(mono()), k.log)
}

// step does f in a goroutine of its own and waits for it, but no longer than
// bound: what hangs in the kernel is left behind.
func (k *keeper) step(name string, bound Duration, f func() error) (ok bool) {
	began := mono()
	done := make(chan error, 1)
	w := k.wake
	// Ends when f does; there is room for its result.
	go func() {
		var err error = unix.EFAULT // what a panic leaves
		defer func() {
			_ = recover() // said as that error
			done <- err
			w.ring()
		}()
		err = f()
	}()
	for {
		select {
		case err := <-done:
			switch {
			case err != nil:
				k.done(name, err.Error(), began)
			case mono()-began > 100*Millisecond:
				k.done(name, "done", began)
			}
			return err == nil
		default:
		}
		if mono() >= began+bound {
			k.done(name, "hangs; going on without it", began)
			return false
		}
		k.reap()
		k.rest(began + bound)
	}
}

// done is one line of the end, as the supervisor's own lines are.
func (k *keeper) done(name, what string, began Duration) {
	const column = "               "
	pad := column[min(len(name), len(column)-1):]
	k.log.Final("  ", name, pad, what, "  ", kmsg.Seconds(int64(mono()-began)))
}
