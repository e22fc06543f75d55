package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/acpi"
	"hoopy/control"
	"hoopy/keeper"
	"hoopy/kmsg"
	"hoopy/netcfg"
	"hoopy/process"
	"hoopy/supervisor"
	"hoopy/unit"
)

// Exit codes of the supervisor, for the keeper: 0 asks for a fresh start
// without counting a death.
const (
	exitFresh = 0
	exitFault = 70 // EX_SOFTWARE of sysexits(3)
	exitSetup = 71 // EX_OSERR
)

const (
	helloTimeout = 30 * time.Second
	calmAfter    = 10 * time.Minute // then safe mode ends
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
	ctx      context.Context
	log      *kmsg.Log
	cmdline  []string
	keeper   *process.Keeper
	loop     *supervisor.Loop
	built    chan struct{} // closed when loop is there
	procs    *process.Arm
	net      *netcfg.Arm
	devices  *deviceSource
	buttons  *acpi.Source
	mistakes []string
	epoch    uint32
	safe     bool
	exit     func(int) // ends the process; the keeper starts the next
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
	if err := m.run(); err != nil {
		m.log.Say(kmsg.Error, "supervisor: ", err.Error())
		return exitSetup
	}
	return exitFresh
}

// cmdline is /proc/cmdline in words.
func cmdline() []string {
	b, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil // before proc is mounted, or without it: no wishes
	}
	return strings.Fields(string(b))
}

// run builds one life and turns the loop. The devices come first: the driver of
// the network card is what a boot waits for longest, and it needs nothing else.
func (m *machine) run() error {
	m.buttons = acpi.New(acpi.Config{
		Press: func() { m.send(unit.Event{Op: unit.AskEnd, How: unit.PowerOff, Text: "the power button"}) },
		Log:   func(line string) { m.log.Say(kmsg.Debug, line) },
	})
	m.devices = newDeviceSource(m)
	m.own("devices", m.devices.run)
	m.own("acpi", m.buttons.Run)
	config, err := unit.Load(os.DirFS("/etc"), "/etc")
	m.complain(err)
	if m.keeper, err = process.NewKeeper(keeper.SupervisorFD, m.epoch); err != nil {
		return err
	}
	table, err := m.keeper.Hello(helloTimeout)
	if err != nil {
		return err
	}
	m.safe = table.Safe
	if m.safe {
		fallback(config)
	}
	graph, err := config.Graph()
	m.complain(err)
	state := supervisor.NewState(graph, m.epoch, m.safe)
	slots, fresh, err := snapshotSlots(table.Stored)
	if err != nil {
		return err
	}
	if fresh >= 0 {
		m.keeper.Store(keySnapshot, fresh)
	}
	sayer := &sayer{log: m.log, now: bootTime, began: map[string]unit.Time{}, last: m.lastLine}
	m.loop = supervisor.NewLoop(supervisor.Config{
		State: state,
		Arms:  map[unit.Kind]supervisor.Arm{},
		Save: func(b []byte) {
			if err := slots.Save(b); err != nil {
				m.log.Say(kmsg.Error, err.Error())
			}
		},
		Say:   func(a unit.Action) { sayer.say(a); m.said(a) },
		End:   func(how unit.How, who string, now bool) { m.keeper.End(how, now, who) },
		Now:   bootTime,
		Fault: m.fault,
	})
	close(m.built)
	m.injectFaults()
	actions, err := m.restore(state, slots, table)
	if err != nil {
		return err
	}
	if err := m.arms(config, table); err != nil {
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
func (m *machine) restore(state *supervisor.State, slots *supervisor.Slots, table process.Table) ([]unit.Action, error) {
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
	actions = append(actions, state.Begin(bootTime())...)
	if table.Ending != 0 {
		actions = append(actions, state.Step(unit.Event{Op: unit.AskEnd, How: table.Ending, Text: "the keeper", Now: bootTime()})...)
	}
	return actions, nil
}

// complain says mistakes of the configuration, and keeps them for svc status. A
// bad file costs its unit alone.
func (m *machine) complain(err error) {
	if err == nil {
		return
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		m.mistakes = append(m.mistakes, line)
		m.log.Say(kmsg.Error, line)
	}
}

// fallback adds what safe mode must have, where the configuration lacks it: a
// way in.
func fallback(c *unit.Config) {
	if len(c.Machine.Links) == 0 {
		c.Machine.Links = []unit.LinkConfig{unit.FallbackLink}
	}
	for _, u := range c.Units {
		if u.Name == "sshd" {
			return
		}
	}
	c.Units = append(c.Units, &unit.Unit{
		Name: "sshd", Kind: unit.Service, Description: "built in: safe mode found no unit sshd",
		Command: []string{"/usr/sbin/sshd", "-D", "-e"}, Essential: true, StopMain: true,
		StartTimeout: unit.DefaultStartTimeout, StopTimeout: unit.DefaultStopTimeout, Umask: 0o022,
	})
}

// snapshotSlots maps the snapshot's memory: what the keeper holds, or new
// memory, whose descriptor is then returned for the keeper.
func snapshotSlots(stored map[string]int) (*supervisor.Slots, int, error) {
	fd, fresh := -1, -1
	if held, ok := stored[keySnapshot]; ok {
		delete(stored, keySnapshot)
		fd = held
		defer unix.Close(held)
	} else {
		var err error
		fresh, err = unix.MemfdCreate("snapshot", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err != nil {
			return nil, -1, fmt.Errorf("snapshot: memfd_create: %w", err)
		}
		if err := unix.Ftruncate(fresh, supervisor.SlotsSize); err != nil {
			return nil, -1, fmt.Errorf("snapshot: ftruncate: %w", err)
		}
		if _, err := unix.FcntlInt(uintptr(fresh), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
			return nil, -1, fmt.Errorf("snapshot: seal: %w", err)
		}
		fd = fresh
	}
	mem, err := unix.Mmap(fd, 0, supervisor.SlotsSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, -1, fmt.Errorf("snapshot: mmap: %w", err)
	}
	return supervisor.NewSlots(mem), fresh, nil
}

// arms starts the arms and sources.
func (m *machine) arms(config *unit.Config, table process.Table) (err error) {
	m.procs, err = process.New(process.Config{
		Keeper: m.keeper, Emit: m.emit("process"), Table: table, Epoch: m.epoch, Log: m.note, Fault: m.fault,
	})
	if err != nil {
		return err
	}
	m.keeper.OnSignal = m.signal
	m.keeper.OnPing = func(n uint64) {
		m.strike("keeper")
		m.loop.Async(func(*supervisor.State) { m.keeper.Pong(n) })
	}
	m.keeper.OnLost = func(err error) {
		m.log.Say(kmsg.Error, "supervisor: ", err.Error())
		m.exit(exitSetup)
	}
	var links []string
	for _, l := range config.Machine.Links {
		links = append(links, unit.LinkUnit(l.Name))
	}
	m.net = netcfg.New(netcfg.Config{
		Emit: m.emit("netcfg"), Log: m.note, Fault: m.fault, Hostname: config.Machine.Hostname, Links: links,
		Load: m.devices.load,
		Online: func(online bool) {
			if online {
				m.loop.Send(unit.Event{Op: unit.IsReady, Unit: unit.Online})
			}
		},
	})
	m.loop.Arms[unit.Service], m.loop.Arms[unit.Task], m.loop.Arms[unit.Link] = m.procs, m.procs, m.net
	m.own("keeper", func(context.Context) error { m.keeper.Serve(); return nil })
	m.own("netcfg", func(ctx context.Context) error {
		if err := netcfg.Lo(); err != nil {
			m.log.Say(kmsg.Error, err.Error())
		}
		return m.net.Run(ctx)
	})
	m.devices.loadNames(config.Machine.Modules)
	return nil
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

// signal is what PID 1 was sent; the numbers are those of busybox's commands,
// see facts in docs/keeper.md.
func (m *machine) signal(sig int) {
	end := func(how unit.How) {
		name, _ := unit.SignalName(sig)
		m.loop.Send(unit.Event{Op: unit.AskEnd, How: how, Text: "signal " + name})
	}
	switch unix.Signal(sig) {
	case unix.SIGTERM, unix.SIGINT:
		end(unit.Reboot)
	case unix.SIGUSR1:
		end(unit.Halt)
	case unix.SIGUSR2, unix.SIGPWR:
		end(unit.PowerOff)
	case unix.SIGHUP:
		if _, err := m.reload(); err != nil {
			m.log.Say(kmsg.Error, "reload: ", err.Error())
		}
	}
}

// reload has a fresh supervisor read the configuration, unless that has a
// mistake: then everything stays as it was. Units whose files are unchanged
// keep their processes, since the next epoch takes them over.
func (m *machine) reload() ([]string, error) {
	config, err := unit.Load(os.DirFS("/etc"), "/etc")
	if err == nil {
		_, err = config.Graph()
	}
	if err != nil {
		return nil, &control.Error{Code: control.CodeRefused, Text: err.Error()}
	}
	time.AfterFunc(reloadPause, func() { m.exit(exitFresh) })
	return []string{"a fresh supervisor reads the configuration; what runs goes on with what it was started with"}, nil
}

const reloadPause = 100 * time.Millisecond // for the answer to reach svc

// serve answers svc. The listening socket is the keeper's: a svc that comes
// while the supervisor is replaced waits in its backlog.
func (m *machine) serve(ctx context.Context, stored map[string]int) error {
	var l *net.UnixListener
	if fd, ok := stored[keyControl]; ok {
		delete(stored, keyControl)
		f := os.NewFile(uintptr(fd), control.Path)
		any, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return fmt.Errorf("control: %w", err)
		}
		l = any.(*net.UnixListener)
		l.SetUnlinkOnClose(false)
	} else {
		if err := os.MkdirAll("/run/hoopy", 0o755); err != nil {
			return fmt.Errorf("control: %w", err)
		}
		var err error
		if l, err = control.Listen(control.Path); err != nil {
			return fmt.Errorf("control: %w", err)
		}
		raw, err := l.SyscallConn()
		if err != nil {
			return fmt.Errorf("control: %w", err)
		}
		if err := raw.Control(func(fd uintptr) { m.keeper.Store(keyControl, int(fd)) }); err != nil {
			return fmt.Errorf("control: %w", err)
		}
	}
	b := &backend{
		loop: m.loop, procs: m.procs, note: m.note, reload: m.reload, now: bootTime,
		epoch: m.epoch, mistakes: m.mistakes, image: image(), kernel: kernel(),
	}
	return control.Serve(ctx, l, b)
}

// said tells the sources what they want to know of transitions.
func (m *machine) said(a unit.Action) {
	if a.From == a.To || a.To != unit.Ready {
		return
	}
	switch a.Unit.Name {
	case unit.Network:
		m.devices.networkReady()
	case unit.Boot:
		debug.SetGCPercent(gcPercent)
	}
}

func (m *machine) note(line string) { m.log.Say(kmsg.Info, line) }

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
