package keeper

import (
	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

// stage of a supervisor's life. Exits: down → forking → running → quitting →
// killing → down; from each but down also to down, when the process ends.
type stage uint8

const (
	down     stage = iota // the next one starts at `at`
	forking               // until `at`
	running               // hello until `at`
	quitting              // SIGQUIT was sent for its stacks; SIGKILL at `at`
	killing               // SIGKILL was sent; given up at `at`
)

const (
	forkWithin = 10 * Second
	quitWithin = 1 * Second
	killWithin = 2 * Second
)

// supervisor is the one of the present epoch.
type supervisor struct {
	stage   stage
	epoch   uint32
	at      Duration
	born    Duration
	pid     int
	pidfd   int
	sock    int
	ended   bool // its exit was reaped
	status  uint32
	blocked bool // the socket was full
	helloed bool

	pingAt   Duration // next ping
	pings    uint64
	pingOwed bool
	silent   Duration // when the oldest unanswered ping was sent; 0: none

	rowAt, storeAt int // how far the replay has come
	tabled         bool
	refused        [256]refusal
	nrefused       int
}

// refusal is an OpSpawned with an errno, for which there is no row.
type refusal struct {
	token uint64
	errno unix.Errno
}

// none is the state without a process.
func (s *supervisor) none() {
	*s = supervisor{epoch: s.epoch, pidfd: -1, sock: -1}
}

func (s *supervisor) forking() bool { return s.stage == forking }

func (s *supervisor) exit(x stray) { s.ended, s.status = true, x.status }

// signal goes through the pidfd, so that it never meets a stranger.
func (s *supervisor) signal(sig unix.Signal) {
	if s.pidfd >= 0 {
		_ = unix.PidfdSendSignal(s.pidfd, sig, nil, 0) // ESRCH: it has gone, which reap will tell
	}
}

// due is when watch has something to do without being told.
func (s *supervisor) due(k *keeper) Duration {
	switch {
	case k.final || s.stage == down && k.shell.asked:
		return 0
	case s.stage != running:
		return max(s.at, 1)
	case !s.helloed:
		return s.at
	case s.silent != 0:
		return min(s.pingAt, s.silent+k.cfg.PongWithin)
	}
	return s.pingAt
}

// startSupervisor begins the next epoch.
func (k *keeper) startSupervisor() {
	s := &k.sup
	s.epoch++
	s.none()
	now := mono()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		k.log.Say(kmsg.Error, "socketpair: ", err.Error())
		k.died(now, "has no socket")
		return
	}
	_ = unix.SetNonblock(pair[0], true) // every call has MSG_DONTWAIT too
	_ = unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 1<<20)
	_ = unix.SetsockoptInt(pair[1], unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 1<<20) // the default serves too
	s.stage, s.at, s.born, s.sock = forking, now+forkWithin, now, pair[0]
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		null = -1
	}
	cgroup := k.openCgroup(cgroupSupervisor)
	out := uintptr(k.voice.write)
	if k.voice.write < 0 {
		out = 2
	}
	peer := pair[1]
	k.fork(result{what: forkSupervisor, epoch: s.epoch},
		[]string{k.cfg.Self, "supervise", kmsg.Num(int64(s.epoch))},
		[]uintptr{uintptr(max(null, 0)), out, out, uintptr(peer)}, cgroup, func() {
			closeFD(peer)
			closeFD(cgroup)
			closeFD(null)
		})
}

// supervisorForked takes the result of its fork. One that comes too late is
// killed: another epoch has begun.
func (k *keeper) supervisorForked(r result) {
	s := &k.sup
	if r.epoch != s.epoch || s.stage != forking {
		if r.err == nil {
			_ = unix.PidfdSendSignal(r.pidfd, unix.SIGKILL, nil, 0) // reaped as a stray
			closeFD(r.pidfd)
		}
		return
	}
	now := mono()
	if r.err != nil {
		k.cgroups = k.cgroups && !cgroupError(r.err)
		k.died(now, "cannot be started: "+r.err.Error())
		return
	}
	s.stage, s.at, s.pid, s.pidfd = running, now+k.cfg.HelloWithin, r.pid, r.pidfd
	if err := writeFile("/proc/"+kmsg.Num(int64(r.pid))+"/oom_score_adj", "-1000"); err != nil {
		k.log.Say(kmsg.Debug, "supervisor: oom_score_adj: ", err.Error())
	}
	if e := setNoFile(r.pid, noFile); e != 0 {
		k.log.Say(kmsg.Debug, "supervisor: RLIMIT_NOFILE: ", e.Error())
	}
	if x, ok := k.early(r); ok {
		s.exit(x)
	}
	k.log.Say(kmsg.Debug, "supervisor: epoch ", kmsg.Num(int64(s.epoch)), ", pid ", kmsg.Num(int64(s.pid)))
}

// cgroupError says whether a fork failed because of its cgroup; the next one
// is then tried without.
func cgroupError(err error) bool {
	return err == unix.EBUSY || err == unix.EOPNOTSUPP || err == unix.EBADF || err == unix.ENOENT
}

// watch moves the supervisor's life on.
func (k *keeper) watch(now Duration) {
	s := &k.sup
	if k.final {
		return
	}
	if s.ended {
		k.died(now, exitText(s.status))
		return
	}
	switch s.stage {
	case down:
		if !k.shell.asked && now >= s.at {
			k.startSupervisor()
		}
	case forking:
		if now >= s.at {
			k.died(now, "cannot be started: its execve hangs")
		}
	case running:
		k.watchRunning(now)
	case quitting:
		if now >= s.at {
			s.signal(unix.SIGKILL)
			s.stage, s.at = killing, now+killWithin
		}
	case killing:
		if now >= s.at {
			k.died(now, "was killed and does not go; the next one starts beside it")
		}
	}
}

func (k *keeper) watchRunning(now Duration) {
	s := &k.sup
	if !s.helloed {
		if now >= s.at {
			k.condemn(now, "said nothing for "+kmsg.Seconds(int64(k.cfg.HelloWithin)))
		}
		return
	}
	if s.silent != 0 && now-s.silent >= k.cfg.PongWithin {
		k.condemn(now, "has not answered for "+kmsg.Seconds(int64(k.cfg.PongWithin)))
		return
	}
	if now >= s.pingAt {
		s.pingAt = now + k.cfg.PingEvery
		s.pingOwed = true
		s.pings++
		if s.silent == 0 {
			s.silent = now
		}
	}
	if now-s.born >= k.cfg.DeathWindow && k.deaths.lived() {
		k.log.Say(kmsg.Warning, "a supervisor lives again; safe mode until svc reload")
	}
}

// condemn asks a supervisor for its last words; watch does the rest.
func (k *keeper) condemn(now Duration, why string) {
	k.log.Say(kmsg.Error, "the supervisor ", why, " and is replaced; services go on")
	k.sup.signal(unix.SIGQUIT)
	k.sup.stage, k.sup.at = quitting, now+quitWithin
}

// hungUp is the end of the socket's stream: the supervisor is dying, or has
// closed what it cannot live without.
func (k *keeper) hungUp() {
	s := &k.sup
	closeFD(s.sock)
	s.sock = -1
	if s.stage == running || s.stage == quitting {
		s.signal(unix.SIGKILL)
		s.stage, s.at = killing, mono()+killWithin
	}
}

// died ends an epoch: what the dead one had asked for is still carried out, its
// socket is closed, the mode decided and the next start set.
func (k *keeper) died(now Duration, why string) {
	s := &k.sup
	k.voice.pass(k.log)
	k.voice.flush(k.log)
	for range 16 { // more than a socket holds
		if !k.receive() {
			break
		}
	}
	if k.final {
		return
	}
	lifetime, wantsFresh := now-s.born, s.ended && s.status == 0
	closeFD(s.sock)
	closeFD(s.pidfd)
	s.none()
	if wantsFresh && k.deaths.fresh(now) {
		k.log.Say(kmsg.Info, "the supervisor asks for a fresh start")
		return
	}
	k.log.Say(kmsg.Error, "the supervisor ", why, " after ", kmsg.Seconds(int64(lifetime)), "; services go on")
	if k.deaths.died(now) {
		switch k.deaths.mode {
		case safe:
			k.log.Say(kmsg.Error, "SAFE MODE: three deaths in a row; only essential units are started")
		case rescue:
			k.log.Say(kmsg.Error, "RESCUE: three more deaths; a shell on the console, a new try every ",
				kmsg.Seconds(int64(k.cfg.RetryEvery)))
		}
	}
	if k.deaths.mode == rescue {
		s.at = now + k.cfg.RetryEvery
	}
}

func exitText(status uint32) string {
	w := unix.WaitStatus(status)
	if w.Signaled() {
		return "was ended by signal " + kmsg.Num(int64(w.Signal()))
	}
	return "exited with " + kmsg.Num(int64(w.ExitStatus()))
}

// wellKept says whether the watchdog is to be fed.
func (k *keeper) wellKept(now Duration) bool {
	if k.deadline != 0 && now >= k.deadline {
		return false
	}
	return k.deaths.mode != rescue || k.shell.pid != 0 || k.sup.helloed
}
