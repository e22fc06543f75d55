package devices

import (
	"context"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

const (
	// atOnce bounds the block devices that are read at a time.
	atOnce = 16
	// answerLimit is how long a block device may take to be read; then it is told
	// of as the kernel knows it, and no other waits for it.
	answerLimit = 10 * time.Second
)

// CatalogConfig configures NewCatalog.
type CatalogConfig struct {
	Root  string            // folder that stands for "/"; empty is "/"
	Disks []unit.Disks      // who wants to know of block devices; called from one goroutine
	Emit  func(unit.Event)  // takes what happens to units of devices; must not block
	Log   func(string)      // what an operator should read
	Fault func(any, []byte) // is told of a panic; nil: it is logged
	Rules []unit.DeviceRule // [[device]] of init.toml; see Catalog.Rules
	Quiet bool              // do not tell programs that listen with libudev

	testOnlyOpen  func(path string) (*volume, error)
	testOnlyLimit time.Duration // for answerLimit
}

// Catalog knows the devices that there are: it reads what block devices hold,
// keeps the links below /dev and the database below /run/udev, applies the rules
// of init.toml and carries out the units of devices. One goroutine, Run's, owns
// all of it; what can hang on a dead disk is done beside it.
type Catalog struct {
	cfg           CatalogConfig
	sys, dev, run string

	mu     sync.Mutex
	order  []string // device paths with news, in the order they came
	news   map[string]*news
	posted []any // unit.Action, finding, silent, settle, []unit.DeviceRule
	wake   chan struct{}
	notes  []string // see Warnings

	// Below is the loop's alone.
	ctx      context.Context
	known    map[string]*entry
	claims   map[string][]*entry // of a link below /dev, the one that has it first
	twice    map[string]bool     // links that were reported to be claimed twice
	waiting  []*entry            // for a free reader
	reading  int
	settling []settle
	settled  bool // once
	rules    []unit.DeviceRule
	groups   map[string]int
	users    map[string]int
	units    map[string]*deviceUnit
	watch    *watch
	listen   int // socket to libudev's listeners; -1: none
}

// news is what happened to one device since the loop looked: it went, it is
// there (again), or both in this order. So the queue is no longer than the list
// of devices, whatever the kernel sends.
type news struct {
	gone *Uevent
	here *Uevent
}

// settle waits for the readers of some devices.
type settle struct {
	paths map[string]bool
	done  func()
}

// entry is a device.
type entry struct {
	u       Uevent // the last news
	since   int64  // µs of CLOCK_MONOTONIC, as in udev's database
	props   map[string]string
	links   []string
	disk    unit.Disk
	first   string // who is first has the links that several claim
	told    bool
	busy    bool // a reader is at it
	queued  bool
	again   bool // there was news meanwhile
	isLate  bool
	limit   *time.Timer
	watched int32
}

type silent struct{ e *entry } // for answerLimit

// NewCatalog makes a catalog; nothing happens before Run, and everything else
// may be called already.
func NewCatalog(c CatalogConfig) *Catalog {
	if c.Root == "" {
		c.Root = "/"
	}
	if c.Log == nil {
		c.Log = func(string) {}
	}
	if c.Emit == nil {
		c.Emit = func(unit.Event) {}
	}
	if c.testOnlyLimit == 0 {
		c.testOnlyLimit = answerLimit
	}
	if c.testOnlyOpen == nil {
		c.testOnlyOpen = openVolume
	}
	return &Catalog{
		cfg: c, sys: filepath.Join(c.Root, "sys"), dev: filepath.Join(c.Root, "dev"), run: filepath.Join(c.Root, "run/udev"),
		news: map[string]*news{}, wake: make(chan struct{}, 1), known: map[string]*entry{}, claims: map[string][]*entry{},
		twice: map[string]bool{}, rules: c.Rules, units: map[string]*deviceUnit{}, listen: -1,
	}
}

// Event takes a uevent of a Source. It never blocks; news about one device that
// come faster than they are read are taken together.
func (c *Catalog) Event(u Uevent) {
	c.mu.Lock()
	if u.Action == "move" {
		if old := u.Env["DEVPATH_OLD"]; old != "" {
			c.note(old, true, &Uevent{Action: "remove", DevPath: old, Subsystem: u.Subsystem, Env: map[string]string{"SUBSYSTEM": u.Subsystem}})
		}
	}
	c.note(u.DevPath, u.Action == "remove", &u)
	c.mu.Unlock()
	c.signal()
}

func (c *Catalog) note(path string, gone bool, u *Uevent) {
	n := c.news[path]
	if n == nil {
		n = &news{}
		c.news[path] = n
		c.order = append(c.order, path)
	}
	if gone {
		n.gone, n.here = u, nil
	} else {
		n.here = u
	}
}

// Settle is for the end of a coldplug: done is called when all that is known by
// then was read, or did not answer in time. What has vanished while nobody
// listened is gone by then, too. The subscribers are told Settled.
func (c *Catalog) Settle(done func()) { c.post(settle{done: done}) }

// Do takes an action on the unit of a device; it never blocks.
func (c *Catalog) Do(a unit.Action) { c.post(a) }

// Rules replaces the rules of init.toml, also for devices that are there.
func (c *Catalog) Rules(rules []unit.DeviceRule) { c.post(rules) }

// Warnings tells what svc status should show of devices: names that several
// claim, disks that do not answer.
func (c *Catalog) Warnings() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.notes...)
}

func (c *Catalog) post(v any) {
	c.mu.Lock()
	c.posted = append(c.posted, v)
	c.mu.Unlock()
	c.signal()
}

func (c *Catalog) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run keeps the catalog until ctx ends. Links, database and devices stay as they
// are then; readers that hang on a disk end when it answers.
func (c *Catalog) Run(ctx context.Context) error {
	c.ctx = ctx
	c.groups, c.users = readGroups(c.cfg.Root), readNames(filepath.Join(c.cfg.Root, "etc/passwd"))
	if !c.cfg.Quiet {
		c.listen = openListeners()
	}
	if w, err := openWatch(); err != nil {
		c.cfg.Log("devices: inotify: " + err.Error())
	} else {
		c.watch = w
		over := make(chan struct{})
		go func() {
			defer close(over)
			defer c.guard("watch")
			w.read(func(id int32) { c.post(id) })
		}()
		defer func() { w.close(); <-over }()
	}
	defer func() {
		if c.listen >= 0 {
			_ = unix.Close(c.listen)
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.wake:
			c.turn()
		}
	}
}

// turn takes all that came: devices first, so that who asks afterwards sees them.
func (c *Catalog) turn() {
	defer c.guard("catalog")
	c.mu.Lock()
	order, all, posted := c.order, c.news, c.posted
	c.order, c.news, c.posted = nil, map[string]*news{}, nil
	c.mu.Unlock()
	for _, path := range order {
		n := all[path]
		if n.gone != nil {
			c.gone(path, *n.gone)
		}
		if n.here != nil {
			c.here(*n.here)
		}
	}
	for _, v := range posted {
		switch v := v.(type) {
		case unit.Action:
			c.act(v)
		case finding:
			c.found(v)
		case silent:
			c.late(v.e)
		case settle:
			c.sweep()
			v.paths = map[string]bool{}
			for path, e := range c.known {
				if e.busy || e.queued {
					v.paths[path] = true
				}
			}
			c.settling = append(c.settling, v)
		case []unit.DeviceRule:
			c.rules = v
			for _, e := range c.known {
				c.here(e.u)
			}
		case int32:
			c.written(v)
		}
	}
	c.settle("")
	c.look()
}

// guard is deferred: a panic ends this life of the supervisor, or one turn.
func (c *Catalog) guard(where string) {
	if p := recover(); p != nil {
		if c.cfg.Fault != nil {
			c.cfg.Fault(p, debug.Stack())
			return
		}
		c.cfg.Log("devices: " + where + ": panic\n" + string(debug.Stack()))
	}
}

// settle crosses a device off; those who waited for it last are told.
func (c *Catalog) settle(path string) {
	rest := c.settling[:0]
	for _, s := range c.settling {
		delete(s.paths, path)
		if len(s.paths) > 0 {
			rest = append(rest, s)
			continue
		}
		c.settled = true
		for _, d := range c.cfg.Disks {
			d.Settled()
		}
		if s.done != nil {
			s.done()
		}
	}
	c.settling = rest
}

// warn logs a note, and keeps it until unwarn; more is for the log alone.
func (c *Catalog) warn(note, more string) {
	c.cfg.Log(note + more)
	c.mu.Lock()
	c.notes = append(c.notes, note)
	c.mu.Unlock()
}

func (c *Catalog) unwarn(note string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, n := range c.notes {
		if n == note {
			c.notes = append(c.notes[:i:i], c.notes[i+1:]...)
			return
		}
	}
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // every Linux has it
	return ts.Nano() / 1000
}

func sameDisk(a, b *unit.Disk) bool {
	return a.Node == b.Node && a.Dev == b.Dev && a.Disk == b.Disk && a.Size == b.Size && a.ID == b.ID && a.Type == b.Type && a.Usage == b.Usage &&
		a.UUID == b.UUID && a.Label == b.Label && a.PartUUID == b.PartUUID && a.PartLabel == b.PartLabel && a.Dirty == b.Dirty && a.Pool == b.Pool &&
		a.PoolGUID == b.PoolGUID && a.VdevGUID == b.VdevGUID && strings.Join(a.Links, "\x00") == strings.Join(b.Links, "\x00")
}
