package netcfg

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// Config is what an Arm works with.
type Config struct {
	// Emit takes what happens to links. It is called from one goroutine and
	// must not block.
	Emit func(unit.Event)
	// Log takes a line about what deserves one; nil: nobody does.
	Log func(line string)
	// Fault is told of a panic. The process is expected to end: the next epoch
	// adopts the links, while this one may have lost count of them. nil: the
	// panic is logged and costs the link that it came from.
	Fault func(what any, stack []byte)
	// Load loads a kernel module: af_packet and ipv6, in this order, once. It
	// may take its time; DHCP waits for the first at most loadTimeout. nil:
	// the kernel has both.
	Load func(module string) error
	// Online is told whether a link of ours has a default route, whenever
	// that changes; it begins as false. It must not block. nil: nobody asks.
	Online func(bool)
	// Hostname is set at once and sent to DHCP servers. Empty: the machine is
	// "hoopy" until a server names it.
	Hostname string
	// ResolvConf is written with every change of the leases; empty:
	// /run/hoopy/resolv.conf. EtcResolvConf becomes a symbolic link to it, if
	// it is missing or its first line is "# hoopy"; empty: /etc/resolv.conf.
	ResolvConf, EtcResolvConf string
	// LeaseDir keeps a file for each lease; empty: /run/hoopy/lease. It must
	// lie in memory: a dead disk there would stop the arm.
	LeaseDir string
	// Sys is where sysfs is; empty: /sys.
	Sys string
	// Links are the names of the link units as they are declared: the first
	// has the preferred default route, and the choice between links that
	// match the same interface. One that is not listed comes after them, in
	// the order of the starts.
	Links []string
	// Seed makes the choice of transaction ids and pauses repeatable; 0: a
	// different one each time.
	Seed uint64

	testOnlyKernel kernel
	testOnlyNow    func() unit.Time
	testOnlyWatch  func(context.Context, func(...int)) error
}

const (
	loadTimeout  = 10 * time.Second
	graceTime    = 5 * time.Second // a carrier may be away that long
	settleTime   = 20 * time.Millisecond
	retryTime    = 5 * time.Second // what the kernel refused is tried again
	mostPackets  = 256             // that wait for the loop; more are dropped
	mostMoves    = 6               // each waits longer: 4 s, 8 s … 3 min
	firstMetric  = 100
	stepMetric   = 10
	defaultName  = "hoopy"
	bootIDPath   = "/proc/sys/kernel/random/boot_id"
	modulePacket = "af_packet"
	moduleIPv6   = "ipv6"
)

// Arm carries out the actions on links. See the package.
type Arm struct {
	cfg   Config
	k     kernel
	now   func() unit.Time
	watch func(context.Context, func(...int)) error
	boot  string

	mu      sync.Mutex
	queue   []any
	packets int           // in the queue
	signal  chan struct{} // something is in the queue

	// Below is the loop's alone.
	links   map[string]*link
	order   []string // names as they came, after cfg.Links
	list    []iface
	seen    map[int]unit.Time // when interfaces appeared, by index; see settled
	packet  bool              // packet sockets can be opened
	online  bool
	resolv  string // what was written last
	workers sync.WaitGroup
}

// New makes an arm; nothing happens before Run, and Do may be called already.
func New(cfg Config) *Arm {
	cfg.ResolvConf = cmp.Or(cfg.ResolvConf, "/run/hoopy/resolv.conf")
	cfg.EtcResolvConf = cmp.Or(cfg.EtcResolvConf, "/etc/resolv.conf")
	cfg.LeaseDir = cmp.Or(cfg.LeaseDir, "/run/hoopy/lease")
	cfg.Sys = cmp.Or(cfg.Sys, "/sys")
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
	}
	a := &Arm{cfg: cfg, k: cfg.testOnlyKernel, now: cfg.testOnlyNow, watch: cfg.testOnlyWatch,
		signal: make(chan struct{}, 1), links: map[string]*link{}, order: slices.Clone(cfg.Links)}
	if a.now == nil {
		a.now = bootTime
	}
	if a.watch == nil {
		a.watch = watch
	}
	id, err := os.ReadFile(bootIDPath)
	if err == nil {
		a.boot = strings.TrimSpace(string(id))
	}
	return a
}

// bootTime is CLOCK_BOOTTIME.
func bootTime() unit.Time {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err) // every Linux since 2.6.39 has it
	}
	return unit.Time(ts.Nano())
}

// Do takes an action on a link; it never blocks. Every Start is answered by
// IsReady sooner or later, or by StartFailed if trying makes no sense; Stop
// and Kill by Empty, also if they come twice. Adopt is answered by IsReady if
// the address is still there, otherwise by Lost, and then goes on as Start.
func (a *Arm) Do(action unit.Action) { a.post(action) }

// Run sets the host name and carries out actions until ctx ends. Then sockets
// and timers are gone, and addresses and routes stay: the next supervisor
// adopts them. The error, if any, is that of the machine without rtnetlink.
func (a *Arm) Run(ctx context.Context) error {
	if a.k == nil {
		k, err := newLinux(a.cfg.Sys)
		if err != nil {
			return err
		}
		defer k.rt.close()
		a.k = k
	}
	a.nameHost()
	defer a.workers.Wait()
	defer a.closeAll()
	a.load()
	a.work("watch", func() { a.watching(ctx) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.signal:
			for _, v := range a.take() {
				a.handle(v)
			}
		}
	}
}

// work runs f in a goroutine that Run waits for; a panic becomes a line.
func (a *Arm) work(what string, f func()) {
	a.workers.Go(func() {
		defer func() {
			if r := recover(); r != nil {
				a.panicked(what, r)
			}
		}()
		f()
	})
}

// panicked is called in the deferred function that recovered what.
func (a *Arm) panicked(where string, what any) {
	if a.cfg.Fault != nil {
		a.cfg.Fault(what, debug.Stack())
		return
	}
	a.logf("%s: panic: %v\n%s", where, what, debug.Stack())
}

// watching listens for changes, for ever: a broken socket is opened anew.
func (a *Arm) watching(ctx context.Context) {
	for ctx.Err() == nil {
		if err := a.watch(ctx, func(dark ...int) { a.post(changed{dark}) }); err != nil {
			a.logf("%v", err)
		}
		t := time.NewTimer(retryTime)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

// load has the modules loaded. Run does not wait for it: a module that hangs
// in the kernel cannot be ended.
func (a *Arm) load() {
	if a.cfg.Load == nil {
		a.packet = true
		return
	}
	time.AfterFunc(loadTimeout, func() { a.post(loaded{modulePacket}) })
	go func() {
		for _, m := range []string{modulePacket, moduleIPv6} {
			a.loadOne(m)
			a.post(loaded{m})
		}
	}()
}

func (a *Arm) loadOne(module string) {
	defer func() {
		if r := recover(); r != nil {
			a.panicked("module "+module, r)
		}
	}()
	if err := a.cfg.Load(module); err != nil {
		a.logf("module %s: %v", module, err)
	}
}

// handle does what one value of the queue asks for. A panic costs the link
// that it came from, not the arm.
func (a *Arm) handle(v any) {
	var about *link
	defer func() {
		if r := recover(); r != nil {
			a.panicked("loop", r)
			defer func() {
				if r := recover(); r != nil {
					a.logf("panic while giving up %s: %v", about.name, r)
				}
			}()
			if about != nil {
				a.fail(about, fmt.Sprintf("panic: %v", r))
			}
		}
	}()
	switch v := v.(type) {
	case unit.Action:
		about = a.links[nameOf(v)]
		a.act(v)
	case changed:
		a.look(v.dark...)
	case loaded:
		if v.module == modulePacket && !a.packet {
			a.packet = true
			a.beginAll()
		}
	case fired:
		about = v.l
		a.onTimer(v)
	case arrived:
		about = v.l
		a.onPacket(v)
	}
}

func nameOf(v unit.Action) string {
	if v.Unit == nil {
		return ""
	}
	return v.Unit.Name
}

// act carries out an action.
func (a *Arm) act(v unit.Action) {
	if v.Unit == nil {
		return
	}
	old := a.links[v.Unit.Name]
	switch v.Op {
	case unit.Start, unit.Adopt:
		if old != nil && old.run == v.Run {
			return // at least once
		}
		if old != nil {
			a.end(old)
		}
		if v.Unit.Link == nil {
			a.emit(unit.Event{Op: unit.StartFailed, Unit: v.Unit.Name, Run: v.Run, Text: "the unit says nothing about a link"})
			return
		}
		l := &link{name: v.Unit.Name, cfg: v.Unit.Link, run: v.Run, metric: a.metric(v.Unit.Name), upped: map[int]bool{}}
		l.client.rand = a.cfg.Seed ^ uint64(v.Run)
		a.links[l.name] = l
		l.record, l.saved = a.loadRecord(l)
		if v.Op == unit.Adopt {
			a.adopt(l)
		}
		a.look()
	case unit.Stop, unit.Kill:
		if old != nil && old.run == v.Run {
			a.end(old)
			defer a.look() // another link may want the interface
		}
		a.emit(unit.Event{Op: unit.Empty, Unit: v.Unit.Name, Run: v.Run})
	}
}

// metric is that of a link's routes: the first declared has the lowest.
func (a *Arm) metric(name string) int {
	i := slices.Index(a.order, name)
	if i < 0 {
		i = len(a.order)
		a.order = append(a.order, name)
	}
	return firstMetric + i*stepMetric
}

func (a *Arm) emit(e unit.Event) { a.cfg.Emit(e) }

func (a *Arm) logf(format string, args ...any) {
	if a.cfg.Log != nil {
		a.cfg.Log(fmt.Sprintf(format, args...))
	}
}

// nameHost sets the host name: the one of the configuration, or "hoopy" on a
// machine that has none yet.
func (a *Arm) nameHost() {
	have := a.k.hostname()
	want := a.cfg.Hostname
	if want == "" && (have == "" || have == "(none)") {
		want = defaultName
	}
	if want == "" || want == have {
		return
	}
	if err := a.k.setHostname(want); err != nil {
		a.logf("host name %q: %v", want, err)
	}
}

// closeAll closes sockets and stops timers, and leaves the rest.
func (a *Arm) closeAll() {
	for _, l := range a.links {
		l.close()
	}
}
