package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/acpi"
	"hoopy/keeper"
	"hoopy/kmsg"
	"hoopy/netcfg"
	"hoopy/process"
	"hoopy/process/syslog"
	"hoopy/supervisor"
	"hoopy/timers"
	"hoopy/unit"
)

// Exit codes of the supervisor, for the keeper: 0 asks for a fresh start
// without counting a death.
const (
	exitFresh = 0
	exitFault = 70 // EX_SOFTWARE of sysexits(3)
	exitSetup = 71 // EX_OSERR
)

// Where processors are few, those on the way in have a head start.
const (
	fewCPUs   = 2
	headStart = time.Second
)

const (
	helloTimeout = 30 * time.Second
	calmAfter    = 10 * time.Minute // then safe mode ends
	flushTimeout = time.Second      // for the last lines of log files
)

// Half the memory for a little more work: the heap is a few hundred KiB. Without
// any collection it would stay below memoryMost, in bytes.
const (
	gcPercent  = 50
	memoryMost = 32 << 20
)

const (
	keyControl  = "control"
	keySnapshot = "snapshot"
)

// machine is one life of the supervisor: everything it is made of, and the
// context that ends it.
type machine struct {
	ctx       context.Context
	log       *kmsg.Log
	cmdline   []string
	keeper    *process.Keeper
	loop      *supervisor.Loop
	built     chan struct{} // closed when loop is there
	procs     *process.Arm
	devices   *deviceSource
	buttons   *acpi.Source
	timers    *timers.Source
	storage   *storage
	config    *configuration
	mistakes  []string
	epoch     uint32
	safe      bool
	told      bool // the devices, that the way in is there
	reloading atomic.Bool
	exit      func(int) // ends the process; the keeper starts the next
}

// supervise is the face of the supervisor. It never returns as long as the
// machine runs; what it returns goes to the keeper.
func supervise(epochText string) int {
	epoch, err := strconv.ParseUint(epochText, 10, 32)
	if err != nil {
		fmt.Fprintf(os.Stderr, "init: epoch %q is no number\n", epochText)
		return 2
	}
	debug.SetMemoryLimit(memoryMost)
	if epoch == 1 {
		debug.SetGCPercent(-1) // not while the machine boots, see said
	} else {
		debug.SetGCPercent(gcPercent)
	}
	words := cmdline()
	m := &machine{
		ctx: context.Background(), epoch: uint32(epoch), cmdline: words, built: make(chan struct{}),
		log:  kmsg.Open(logOptions(kmsg.Options{Quiet: slices.Contains(words, "quiet"), Debug: slices.Contains(words, "hoopy.log=debug")})),
		exit: os.Exit,
	}
	m.log.Say(kmsg.Error, "supervisor: ", m.run().Error())
	return exitSetup
}

// cmdline is /proc/cmdline in words.
func cmdline() []string {
	b, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil // before proc is mounted, or without it: no wishes
	}
	return strings.Fields(string(b))
}

// run builds one life and turns the loop; it returns why that ended. The devices
// come first: the driver of the network card is what a boot waits for longest,
// and it needs nothing else.
func (m *machine) run() error {
	m.buttons = acpi.New(acpi.Config{
		Press: func() { m.send(unit.Event{Op: unit.AskEnd, How: unit.PowerOff, Text: "the power button"}) },
		Log:   func(line string) { m.log.Say(kmsg.Debug, line) },
	})
	m.storage = newStorage(m)
	m.devices = newDeviceSource(m)
	m.own("catalog", m.storage.catalog.Run)
	m.own("devices", m.devices.run)
	m.own("acpi", m.buttons.Run)
	var err error
	if m.keeper, err = process.NewKeeper(keeper.SupervisorFD, m.epoch); err != nil {
		return err
	}
	table, err := m.keeper.Hello(helloTimeout)
	if err != nil {
		return err
	}
	m.safe = table.Safe
	graph, err := m.configure(table.Stored)
	if err != nil {
		return err
	}
	state := supervisor.NewState(graph, m.epoch, m.safe)
	slots, fresh, err := snapshotSlots(table.Stored)
	if err != nil {
		return err
	}
	if fresh >= 0 {
		m.keeper.Store(keySnapshot, fresh)
	}
	sayer := &sayer{log: m.log, now: bootTime, began: map[string]unit.Time{}, fails: map[string]failing{}, last: m.lastLine}
	m.loop = supervisor.NewLoop(supervisor.Config{
		State: state,
		Arms:  map[unit.Kind]supervisor.Arm{},
		Save: func(b []byte) {
			if err := slots.Save(b); err != nil {
				m.log.Say(kmsg.Error, err.Error())
			}
		},
		Say:   func(a unit.Action) { sayer.say(a); m.said(a) },
		End:   m.end,
		Now:   bootTime,
		Fault: m.fault,
	})
	close(m.built)
	m.injectFaults()
	actions := m.restore(state, slots, table)
	if err := m.arms(table); err != nil {
		return err
	}
	m.own("control", func(ctx context.Context) error { return m.serve(ctx, table.Stored) })
	if m.safe {
		time.AfterFunc(calmAfter, func() {
			m.log.Say(kmsg.Warning, "safe mode ends: ten calm minutes")
			m.exit(exitFresh)
		})
	}
	m.loop.Run(m.ctx, actions...)
	return errors.New("the loop ended")
}

// restore takes over from the epoch before, then begins what is new.
func (m *machine) restore(state *supervisor.State, slots *supervisor.Slots, table process.Table) []unit.Action {
	var actions []unit.Action
	if m.epoch > 1 {
		var last []byte
		if !m.safe {
			last = slots.Last()
		}
		var runs []supervisor.Running
		for _, row := range table.Rows {
			runs = append(runs, supervisor.Running{Unit: row.Unit, Run: row.Run, Pid: row.Pid, Exited: row.Exited})
		}
		acts, restored := state.Restore(last, runs, bootTime())
		actions = append(actions, acts...)
		m.log.Say(kmsg.Warning, "supervisor: epoch ", strconv.FormatUint(uint64(m.epoch), 10), ": ", restored.Line())
		if m.safe {
			m.log.Say(kmsg.Warning, "supervisor: safe mode: only essential units are started; it ends by svc reload, or after 10 calm minutes")
		}
	}
	head := time.Duration(0)
	if m.epoch == 1 && runtime.NumCPU() <= fewCPUs {
		head = headStart
	}
	actions = append(actions, state.Begin(bootTime(), head)...)
	if table.Ending != 0 {
		actions = append(actions, state.Step(unit.Event{Op: unit.AskEnd, How: table.Ending, Text: "the keeper", Now: bootTime()})...)
	}
	return actions
}

// arms starts the arms and sources.
func (m *machine) arms(table process.Table) (err error) {
	m.procs, err = process.New(process.Config{
		Keeper: m.keeper, Emit: m.emit("process"), Table: table, Epoch: m.epoch, Safe: m.safe, BuiltIn: m.devices.builtIn, Log: m.note, Fault: m.fault,
	})
	if err != nil {
		return err
	}
	m.serveLogs(table)
	m.runTimers()
	m.storage.arm()
	m.keeper.OnSignal = m.signal
	m.keeper.OnPing = func(n uint64) {
		m.strike("keeper")
		m.loop.Async(func(*supervisor.State) { m.keeper.Pong(n) })
	}
	m.keeper.OnLost = func(err error) {
		m.log.Say(kmsg.Error, "supervisor: ", err.Error())
		m.exit(exitSetup)
	}
	config := m.config.Machine
	var links []string
	for _, l := range config.Links {
		links = append(links, unit.LinkUnit(l.Name))
	}
	network := netcfg.New(netcfg.Config{
		Emit: m.emit("netcfg"), Log: m.note, Fault: m.fault, Hostname: config.Hostname, Links: links,
		Load: m.devices.load,
		Online: func(online bool) {
			if online {
				m.loop.Send(unit.Event{Op: unit.IsReady, Unit: unit.Online})
			}
		},
	})
	for _, k := range []unit.Kind{unit.Service, unit.Task, unit.Timer} {
		m.loop.Arms[k] = m.procs
	}
	m.loop.Arms[unit.Link] = network
	m.own("keeper", func(context.Context) error { m.keeper.Serve(); return nil })
	m.own("netcfg", func(ctx context.Context) error {
		if err := netcfg.Lo(); err != nil {
			m.log.Say(kmsg.Error, err.Error())
		}
		return network.Run(ctx)
	})
	m.devices.loadNames(config.Modules)
	return nil
}

// serveLogs takes what programs say to syslog(3), and writes log files.
func (m *machine) serveLogs(table process.Table) {
	host, _ := os.Hostname()
	err := m.procs.SystemLog(syslog.Name)
	if err == nil {
		_, err = syslog.New(syslog.Config{Host: host, Stored: table.Stored, Store: m.keeper.Store,
			Unit: m.procs.UnitOf, Ring: m.procs.Logs, Say: m.note, Fault: m.fault})
	}
	if err != nil {
		m.log.Say(kmsg.Error, err.Error(), "; what programs say to syslog is lost")
	}
	have := map[string]bool{syslog.Name: true}
	for _, u := range m.config.Units {
		have[u.Name] = true
		if u.LogFile != nil {
			m.procs.LogTo(u)
		}
	}
	for _, name := range m.procs.LogNames() {
		if !have[name] { // the configuration has it no more
			m.procs.Forget(name)
		}
	}
}

// runTimers says when timers are due.
func (m *machine) runTimers() {
	m.timers = timers.New(timers.Config{Emit: m.emit("timers"), Log: m.note, Fault: m.fault})
	m.timers.Configure(m.config.Units)
	reports, _ := m.loop.State.Report(nil) // the loop does not turn yet
	for i := range reports {
		if r := &reports[i]; r.Kind == unit.Timer && r.LastRun != 0 {
			m.timers.Ran(r.Name, r.LastRun)
		}
	}
	m.own("timers", m.timers.Run)
}

// end tells the keeper that the end has begun, or that it is its turn. Log files
// get their last lines before that.
func (m *machine) end(how unit.How, who string, now bool) {
	if !now {
		m.keeper.End(how, false, who)
		return
	}
	m.aside(func() {
		m.procs.FlushLogs(flushTimeout)
		m.keeper.End(how, true, who)
	})
}

// own runs a part of the machine in a goroutine. A part that ends or panics
// takes the supervisor with it: the next epoch goes on from the snapshot, while
// a supervisor with a part missing would look well and not be.
func (m *machine) own(part string, run func(context.Context) error) {
	go func() {
		defer func() {
			if p := recover(); p != nil {
				m.fault(p, debug.Stack())
			}
		}()
		err := run(m.ctx)
		m.log.Say(kmsg.Error, "supervisor: ", part, " ended: ", fmt.Sprint(err))
		m.exit(exitFault)
	}()
}

// fault ends this life after a panic, with its last words.
func (m *machine) fault(what any, stack []byte) {
	m.log.Say(kmsg.Error, "supervisor: panic: ", fmt.Sprint(what))
	for _, line := range strings.Split(strings.TrimSpace(string(stack)), "\n") {
		m.log.Say(kmsg.Error, "  ", strings.TrimSpace(line))
	}
	m.exit(exitFault)
}

// send lets an event into the loop as soon as there is one.
func (m *machine) send(ev unit.Event) {
	<-m.built // bounded by Hello
	m.loop.Send(ev)
}

// emit lets a part's events into the loop.
func (m *machine) emit(part string) func(unit.Event) {
	return func(ev unit.Event) {
		m.strike(part)
		m.loop.Send(ev)
	}
}

// said tells others what they want to know of transitions. The loop calls it.
func (m *machine) said(a unit.Action) {
	if !m.told && m.loop.State.WayIn() {
		m.told = true
		m.devices.wayIn()
	}
	m.storage.said(a)
	if a.From != a.To && a.To == unit.Starting && a.Unit.Kind == unit.Timer {
		m.timers.Ran(a.Unit.Name, bootTime())
	}
	if a.From != a.To && a.To == unit.Inactive && a.Unit.FDStore > 0 {
		m.procs.DropStored(a.Unit.Name) // they were for the next run, and none is wanted
	}
	if a.From != a.To && a.To == unit.Ready && a.Unit.Name == unit.Boot {
		m.devices.booted()
		debug.SetGCPercent(gcPercent)
	}
}

func (m *machine) note(line string) { m.log.Say(kmsg.Info, line) }
func (m *machine) warn(line string) { m.log.Say(kmsg.Warning, line) }

func (m *machine) lastLine(name string) string {
	if m.procs == nil {
		return ""
	}
	if lines := m.procs.LastLines(name, 1); len(lines) > 0 {
		return lines[0]
	}
	return ""
}

// bootTime is CLOCK_BOOTTIME.
func bootTime() unit.Time {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err) // the clock exists since Linux 2.6.39
	}
	return unit.Time(ts.Nano())
}
