package keeper

import (
	"syscall"

	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

// keeper is all state of PID 1; only the loop touches it.
type keeper struct {
	cfg  Config
	cmd  cmdline
	log  *kmsg.Log
	wake wake

	signals  <-chan syscall.Signal
	presses  presses
	wished   wish     // an end that a signal asked for and no supervisor has begun
	wishedBy uint8    // its number
	overdue  Duration // when the keeper does that end by itself; 0: none asked
	owedSig  [16]uint8
	nowed    int // signals that the supervisor has not been told

	rows    rows
	store   store
	strays  strays
	waiting int      // rows that are queued
	flying  int      // forks of runs under way
	forks   uint64   // forks begun so far
	forkAt  Duration // when the last of them began; 0: it has returned
	lastSeq uint64
	results chan result

	sup     supervisor
	deaths  deaths
	shell   shell
	dog     watchdog
	voice   voice
	cgroups bool // the tree stands
	mounted bool // the answer to OpHello may be closed

	how      uint64   // the end that was announced or ordered; 0: none
	ending   Duration // when it began
	deadline Duration // of that end; 0: none
	final    bool     // the last act has begun
	idleAt   Duration // when IdleEvery is over
	movedIn  bool     // PID 1 is in its own cgroup

	panics int
	in     [PacketMax + 1]byte
	out    [PacketMax]byte
	oob    []byte
}

// panicsMost in one life of the keeper; after that it only reaps, feeds the
// watchdog and ends the machine when asked by signal.
const panicsMost = 10

// Run does everything that PID 1 is for and never returns. It must be the
// first thing that main does; from its first statement on no signal ends the
// process. Errors are said on the console and in the kernel's log; none is
// fatal.
func Run(cfg Config) {
	w, err := newWake()
	signals := takeSignals(w)
	cfg.defaults()
	k := &keeper{
		cfg: cfg, wake: w, signals: signals,
		log:     kmsg.Open(cfg.Log),
		rows:    rows{slot: table[row](rowsMost)},
		store:   store{slot: table[kept](storeMost)},
		results: make(chan result, spawnsMost+8),
		oob:     make([]byte, unix.CmsgSpace(4*(FDMax+4))),
		deaths:  deaths{window: cfg.DeathWindow},
		dog:     watchdog{fd: -1},
		voice:   voice{read: -1, write: -1},
		idleAt:  mono() + cfg.IdleEvery,
	}
	k.sup.none()
	if err != nil {
		k.log.Say(kmsg.Error, "eventfd: ", err.Error()) // the loop then lives on its ticks
	}
	k.guard(k.start)
	if cfg.StopGC != nil {
		cfg.StopGC()
	}
	for {
		if k.panics < panicsMost {
			k.guard(k.turn)
		} else {
			k.guard(k.crippled)
		}
	}
}

// guard runs one part and outlives its panic.
func (k *keeper) guard(f func()) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		k.panics++
		k.log.Say(kmsg.Error, "the keeper panicked: ", panicText(v), "; it goes on")
		if k.cfg.Stack != nil {
			k.sayLines(kmsg.Error, k.cfg.Stack())
		}
		if k.panics == panicsMost {
			k.log.Say(kmsg.Error, "too many panics: from now on processes are only reaped; ",
				"signals to PID 1 still end the machine (TERM reboot, USR2 power off, USR1 halt)")
		}
	}()
	f()
}

func panicText(v any) string {
	switch v := v.(type) {
	case error:
		return v.Error()
	case string:
		return v
	}
	return "a value"
}

// start is the boot, in the order in which it happens.
func (k *keeper) start() {
	if k.cfg.Procs != nil {
		k.cfg.Procs(spawnsMost + 4) // those of supervisor and shell, and two that do not hang; 19 kB each
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF) // EPERM in a namespace: then nobody presses it
	unix.Umask(0o022)
	// Whatever happens on the way, the supervisor is answered in the end.
	defer func() { k.mounted = true }()
	moveRoot(k.log)
	mount(mountTable[:firstMounts], k.log)
	k.readCmdline()
	k.log.Reopen()
	k.log.Say(kmsg.Info, "hoopy ", k.cfg.Version, " on ", kernel())
	k.makeCgroups()
	k.voice.open(k.log)
	if k.cmd.rescue {
		k.deaths.mode = rescue
		k.shell.asked = true
	} else {
		k.startSupervisor()
	}

	mount(mountTable[firstMounts:], k.log)
	makeLinks(k.log)
	k.limits()
	k.mounted = true
	k.checkImage()
	k.idleAt = mono() + k.cfg.IdleEvery
	k.dog.open(k.cfg.Watchdog, k.log)
}

func (k *keeper) readCmdline() {
	var buf [4096]byte
	k.cmd = parseCmdline(readFile("/proc/cmdline", buf[:]))
	k.log.Filter(k.cmd.quiet, k.cmd.debug)
}

// limits raises what is too low by default: lines in the kernel's log (10 in 5
// seconds), datagrams that may wait in a
// notification socket (10), and descriptors of PID 1 (4096). The limit is set
// by the raw system call, so that Go does not take it for what children get.
func (k *keeper) limits() {
	if err := kmsg.DevkmsgOn(); err != nil {
		k.log.Say(kmsg.Debug, "printk_devkmsg: ", err.Error())
	}
	if err := writeFile("/proc/sys/net/unix/max_dgram_qlen", "512"); err != nil {
		k.log.Say(kmsg.Warning, "net.unix.max_dgram_qlen: ", err.Error())
	}
	if e := setNoFile(0, noFile); e != 0 {
		k.log.Say(kmsg.Warning, "RLIMIT_NOFILE: ", e.Error())
	}
}

// checkImage looks for the very last entry of the initramfs.
func (k *keeper) checkImage() {
	var st unix.Stat_t
	if unix.Lstat("/.hoopy/complete", &st) == nil {
		return
	}
	k.log.Say(kmsg.Error, "THE IMAGE IS NOT COMPLETE: /.hoopy/complete, its last entry, is missing.")
	k.log.Say(kmsg.Error, "It was cut short on its way, or it is too large: the root file system holds half of the RAM.")
	k.log.Say(kmsg.Error, "Load it again, give the machine more memory, or build a smaller image. Going on with what is there.")
}

// turn is one round of the loop: wait, take, decide, tell.
func (k *keeper) turn() {
	if k.cfg.testOnlyTurn != nil {
		k.cfg.testOnlyTurn()
	}
	fds := [3]unix.PollFd{
		{Fd: int32(k.wake.fd), Events: unix.POLLIN},
		{Fd: int32(k.sup.sock), Events: unix.POLLIN},
		{Fd: int32(k.voice.read), Events: unix.POLLIN},
	}
	if k.sup.blocked {
		fds[1].Events |= unix.POLLOUT
	}
	_, _ = unix.Poll(fds[:], millis(mono(), k.next())) // EINTR: look at everything
	k.wake.quiet()
	k.takeAll()
	if fds[2].Revents != 0 {
		k.voice.pass(k.log)
	}
	if fds[1].Revents != 0 && k.sup.sock == int(fds[1].Fd) {
		k.sup.blocked = false
		k.receive()
	}
	now := mono()
	k.watch(now)
	k.watchShell(now)
	k.watchEnd(now)
	k.dog.feed(now, k.wellKept(now), k.log)
	k.launch()
	k.tell()
	if now >= k.idleAt {
		if !k.movedIn {
			k.movedIn = true
			k.moveIn()
		}
		k.idleAt = now + k.cfg.IdleEvery
		if k.cfg.CheckHeap != nil && k.flying == 0 && !k.sup.forking() && !k.shell.forking {
			k.cfg.CheckHeap()
		}
	}
}

// takeAll takes what other goroutines and the kernel have for the loop; none of
// it waits.
func (k *keeper) takeAll() {
	for {
		select {
		case s := <-k.signals:
			k.signal(s)
			continue
		case r := <-k.results:
			k.landed(r)
			continue
		default:
		}
		break
	}
	k.reap()
}

// crippled is the loop after too many panics: no supervisor, no spawns.
func (k *keeper) crippled() {
	fds := [1]unix.PollFd{{Fd: int32(k.wake.fd), Events: unix.POLLIN}}
	_, _ = unix.Poll(fds[:], 1000)
	k.wake.quiet()
	k.reap()
	k.dog.feed(mono(), true, k.log)
	select {
	case s := <-k.signals:
		if how := wishOf(s).how(); how != 0 {
			k.announce(how, "asked by signal")
			k.lastAct(how)
		}
	default:
	}
}

// next is when something is due that no descriptor announces.
func (k *keeper) next() Duration {
	t, end := k.idleAt, k.deadline
	if k.final {
		end = 0 // it has been used
	}
	for _, d := range [...]Duration{k.sup.due(k), k.shell.due, k.overdue, end, k.dog.next, k.launchAt()} {
		if d > 0 && d < t {
			t = d
		}
	}
	return t
}

// sayLines says text line by line.
func (k *keeper) sayLines(level kmsg.Level, text []byte) {
	start := 0
	for i, c := range text {
		if c == '\n' {
			k.log.Say(level, string(text[start:i]))
			start = i + 1
		}
	}
	if start < len(text) {
		k.log.Say(level, string(text[start:]))
	}
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "Linux"
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}
