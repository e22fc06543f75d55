package zfs

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hoopy/unit"
)

// pool is one pool in the care of a run. Its goroutine is in live from the first
// to the last.
type pool struct {
	run   *run
	a     *Arm
	cfg   *unit.PoolConfig
	name  string
	guid  uint64 // 0: known by its name
	first uint64 // the same, before it was imported
	one   bool   // of many: its failure is not the unit's
	lane  *lane
	pokes chan struct{}
	asks  chan ask

	adopt   bool
	held    string // it was exported by somebody: it is left alone while its disks are these
	locked  []lock // what waits for a key
	faults  []string
	health  string // how the pool was, for the log
	scan    string
	lacks   bool      // a disk, when it was asked last
	onlined time.Time // a disk was, last

	// Guarded by run.mu.
	note, sick string
	up         bool // it is imported
	tried      bool // imported and mounted, or given up for now
}

// say notes how the pool is.
func (p *pool) say(note string) {
	p.run.mu.Lock()
	p.note = note
	p.run.mu.Unlock()
	p.run.merge()
}

// is keeps what the imported pool is called.
func (p *pool) is(name string, guid uint64) {
	p.run.mu.Lock()
	p.name, p.guid = name, guid
	p.run.mu.Unlock()
}

// called is what the pool is to be called.
func (p *pool) called(f *found) string {
	if p.cfg.GUID != 0 {
		return p.cfg.Name
	}
	return f.name
}

// set says whether the pool is up, and what ails it.
func (p *pool) set(up, tried bool, note, sick string) {
	p.run.mu.Lock()
	p.up, p.tried, p.note, p.sick = up, tried, note, sick
	p.run.mu.Unlock()
	p.run.merge()
}

// live imports the pool, looks after it until the run is stopped, and exports it.
func (p *pool) live() {
	ctx := p.run.ctx
	for ctx.Err() == nil {
		refused := p.begin(ctx)
		switch {
		case ctx.Err() != nil:
		case refused == "":
			p.watch(ctx)
		case p.one:
			if refused != p.note {
				p.a.log(p.run.name + ": " + p.name + ": " + refused)
			}
			p.set(false, true, refused, refused)
			pause(ctx, againTime, p.pokes)
		default:
			p.run.failed = refused
			return
		}
	}
	if !p.run.left() {
		p.export()
	}
}

// begin imports the pool unless it is imported already. If it cannot be, the
// reason is returned.
func (p *pool) begin(ctx context.Context) (refused string) {
	if missing := p.a.prepare(ctx); missing != "" {
		return missing
	}
	began := time.Now()
	for ctx.Err() == nil {
		in, other, err := p.imported(ctx)
		switch {
		case ctx.Err() != nil:
			return ""
		case errors.Is(err, errHung):
			p.say(err.Error())
			pause(ctx, slowTime, p.pokes)
			continue
		case err != nil:
			return err.Error()
		case in:
			p.adopt = false
			return ""
		case other != 0:
			return "another pool called " + p.name + " is imported, with the number " + strconv.FormatUint(other, 10)
		}
		if p.adopt {
			p.adopt = false
			p.run.lost("the pool was gone when the supervisor came back")
		}
		return p.await(ctx, began)
	}
	return ""
}

// imported says whether the pool is imported; other is the number of another one
// that has its name.
func (p *pool) imported(ctx context.Context) (in bool, other uint64, err error) {
	if p.absent() {
		return false, 0, nil
	}
	out, ok, err := p.call(ctx, askLimit, nil, "zpool", "list", "-H", "-o", "name,guid")
	if err == nil && !ok {
		err = errors.New("zpool list: " + sentence(out, p.name))
	}
	for _, line := range strings.Split(out, "\n") {
		name, number, tabbed := strings.Cut(strings.TrimSpace(line), "\t")
		id, _ := strconv.ParseUint(number, 10, 64)
		switch {
		case !tabbed || id == 0:
		case id == p.guid || p.guid == 0 && name == p.name:
			p.is(name, id)
			return true, 0, err
		case name == p.name:
			other = id
		}
	}
	return false, other, err
}

// absent says that no pool is imported that could be this one, as the kernel's own
// list has it, which no disk can hold up. What cannot be told counts as false.
func (p *pool) absent() bool {
	list := p.a.cfg.Root + "/proc/spl/kstat/zfs" // of a pool a folder, and files of ZFS itself
	files, _ := filepath.Glob(list + "/*/*")
	for _, f := range files {
		name := path.Base(path.Dir(f))
		if name[0] != '$' && (p.guid != 0 || name == p.name) { // $import is zpool, looking
			return false
		}
	}
	_, err := os.Stat(list)
	return err == nil
}

// await waits for the disks of the pool and imports it.
func (p *pool) await(ctx context.Context, began time.Time) (refused string) {
	var f *found
	scanned, late, hung := "", false, false
	for ctx.Err() == nil {
		m, over := p.members(), time.Since(began) >= p.cfg.Wait
		switch {
		case len(m.guids) > 1:
			return twins(p.name, m.guids)
		case p.one && !m.settled && !over:
			p.say("not all disks have been looked at") // another may have its name
			pause(ctx, tickTime, p.pokes)
			continue
		case p.held != "" && p.held == m.sign():
			pause(ctx, p.cfg.Wait, p.pokes)
			continue
		case m.here > 0 && m.quiet > 0 && !over:
			pause(ctx, m.quiet, nil)
			continue
		}
		if m.sign() != scanned && m.here > 0 || over && !late || hung {
			p.held = ""
			var err error
			f, err = p.look(ctx, &m)
			hung = errors.Is(err, errHung)
			switch {
			case ctx.Err() != nil:
				return ""
			case hung:
				p.say(err.Error())
				pause(ctx, slowTime, p.pokes)
				continue
			case err != nil:
				return err.Error()
			}
			scanned, late = m.sign(), over
		}
		text, lacks := "", 0
		if f != nil {
			text, lacks = p.a.missing(f)
		}
		if f != nil && (lacks == 0 || over && p.cfg.Degraded && f.state == "DEGRADED") {
			refused, err := p.take(ctx, &m, f)
			if !errors.Is(err, errHung) {
				return refused
			}
			p.say(err.Error())
			pause(ctx, slowTime, p.pokes)
			began, late = time.Now(), false // it may be imported by now: begin anew
			if in, _, err := p.imported(ctx); in && err == nil {
				return ""
			}
			continue
		}
		p.wait(ctx, f, text, time.Since(began), m.here)
	}
	return ""
}

// wait says what the pool waits for, and waits until there may be something new.
func (p *pool) wait(ctx context.Context, f *found, text string, waited time.Duration, here int) {
	over := waited >= p.cfg.Wait
	switch {
	case f == nil && here > 0:
		text = "zpool finds no pool on its disks"
	case f == nil:
		text = "none of its disks is here"
	case over && f.state != "DEGRADED":
		text += "; it cannot be imported without"
	case over:
		text += `; it is not imported: degraded = "refuse"`
	}
	if !over {
		text += " (" + seconds(waited.Truncate(time.Second)) + " of " + seconds(p.cfg.Wait)
		if p.cfg.Degraded && f != nil && f.state == "DEGRADED" {
			text += ", then it is imported degraded"
		}
		text += ")"
	}
	if over {
		p.set(false, p.one, text, text)
		pause(ctx, againTime, p.pokes)
		return
	}
	p.say(text)
	pause(ctx, min(tickTime, p.cfg.Wait-waited), p.pokes)
}

func twins(name string, guids []uint64) string {
	text := "more than one matching pool: "
	for i, g := range guids {
		if i > 0 {
			text += " and "
		}
		text += strconv.FormatUint(g, 10)
	}
	return text + " are called " + name + `; write guid = "…" in [[pool]]`
}

// sources are the -d of zpool import: the disks of the pool, or the folders if
// none is known.
func (p *pool) sources(m *members) (args []string) {
	for _, path := range m.paths {
		args = append(args, "-d", path)
	}
	for _, folder := range p.folders() {
		if m.here == 0 || !strings.HasPrefix(folder, "/dev/") {
			args = append(args, "-d", folder)
		}
	}
	return args
}

// look asks zpool what it makes of the disks; nil: nothing.
func (p *pool) look(ctx context.Context, m *members) (*found, error) {
	out, _, err := p.call(ctx, workLimit, nil, append([]string{"zpool", "import"}, p.sources(m)...)...)
	if err != nil {
		return nil, err // with no pool at all its status is 0 or 1, by version
	}
	var guids []uint64
	var mine *found
	pools := parse(out)
	for i := range pools {
		f := &pools[i]
		if p.guid != 0 && f.id != p.guid || p.guid == 0 && (f.name != p.name || p.a.claimed(f.id)) {
			continue
		}
		mine, guids = f, append(guids, f.id)
	}
	if len(guids) > 1 {
		return nil, errors.New(twins(p.name, guids))
	}
	return mine, nil
}

// take imports the pool. What zpool has against it is kept: the same disks are not
// tried again at once.
func (p *pool) take(ctx context.Context, m *members, f *found) (refused string, err error) {
	l := p.lane
	sign := m.sign() + "\n" + f.state
	if l.refused != "" && l.refusedOf == sign && time.Since(l.refusedAt) < refusedTime {
		return l.refused, nil
	}
	p.say("importing")
	argv := append([]string{"zpool", "import", "-N"}, p.sources(m)...)
	argv = append(argv, "-o", "cachefile=none")
	if p.cfg.Force {
		argv = append(argv, "-f")
	}
	if p.cfg.ReadOnly {
		argv = append(argv, "-o", "readonly=on")
	}
	argv = append(argv, strconv.FormatUint(f.id, 10))
	if name := p.called(f); name != f.name {
		argv = append(argv, name)
	}
	out, ok, err := p.call(ctx, workLimit, nil, argv...)
	switch {
	case ctx.Err() != nil:
		return "", nil
	case errors.Is(err, errHung):
		return "", err
	case err != nil:
		return err.Error(), nil
	case !ok:
		l.refused, l.refusedOf, l.refusedAt = sentence(out, f.name), sign, time.Now()
		return l.refused, nil
	}
	l.refused = ""
	p.is(p.called(f), f.id)
	line := p.run.name + ": " + p.name + " is imported, " + f.state
	if text, n := p.a.missing(f); n > 0 {
		line += ": " + text
	}
	p.a.log(line)
	return "", nil
}
