package main

import (
	"context"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/control"
	"hoopy/json"
	"hoopy/process"
	"hoopy/supervisor"
	"hoopy/unit"
	"hoopy/unit/schedule"
)

// backend answers svc: it asks the loop for the states, the arm for what only
// processes have, and lets wishes into the loop as events.
type backend struct {
	machine *machine
	loop    *supervisor.Loop
	procs   *process.Arm
	note    func(string)
	now     func() unit.Time
	image   func() string // read when it is first asked for
	kernel  string
}

// lost are the states of a persistence device that people are warned of.
var lost = map[unit.State]bool{unit.BackOff: true, unit.Failed: true, unit.Skipped: true, unit.Stuck: true}

const statusLines = 3 // last lines of a unit that is not well

// Status reports the machine and units.
func (b *backend) Status(ctx context.Context, names []string) (*control.Machine, []unit.Report, error) {
	m := &control.Machine{
		Uptime: b.now(), Image: b.image(), Version: version, Kernel: b.kernel,
		Epoch: b.machine.epoch, Mistakes: b.machine.mistakes,
	}
	m.Hostname, _ = os.Hostname()
	m.Notes = b.machine.storage.catalog.Warnings()
	var reports []unit.Report
	var missing []string
	err := b.loop.Call(ctx, func(s *supervisor.State) {
		reports, missing = s.Report(names)
		m.Safe, m.Boot = s.Safe(), time.Duration(s.BootedAt())
		if how, _ := s.Ending(); how != 0 {
			m.Ending = how.String()
		}
		for i := range reports {
			if u := s.Unit(reports[i].Name); u.Mount != nil && u.Mount.Persist && lost[reports[i].State] {
				m.Notes = append(m.Notes, noDisk)
			}
		}
	})
	if err != nil {
		return nil, nil, err
	}
	for i := range reports {
		b.enrich(&reports[i])
	}
	if len(missing) > 0 {
		err = unknown(missing)
	}
	return m, reports, err
}

// enrich adds what the process arm knows.
func (b *backend) enrich(r *unit.Report) {
	if r.Next != 0 {
		r.NextText = schedule.Words(time.Unix(0, r.Next), time.Now())
	}
	if where, ok := strings.CutPrefix(r.Name, unit.MountUnit("")); ok && r.Kind == unit.Mount && r.State == unit.Ready {
		if use := b.machine.storage.mounts.Use(where); use != "" {
			r.Note = strings.TrimPrefix(r.Note+", "+use, ", ")
		}
	}
	if !r.Kind.HasProcess() {
		return
	}
	r.Sessions = b.procs.Sessions(r.Name)
	r.Memory = b.procs.Memory(r.Name)
	r.Processes = b.procs.Processes(r.Name)
	if !r.Well() && (r.State != unit.Waiting || r.Kind == unit.Timer) {
		r.LastLines = b.procs.LastLines(r.Name, statusLines)
	}
}

func unknown(names []string) error {
	return &control.Error{Code: control.CodeUnknown, Text: "no unit is called " + strings.Join(names, ", ") + "; svc status -a lists them"}
}

// others are the names that are not in asked: a unit may be stopped together
// with what needs it.
func others(names, asked []string) (left []string) {
	for _, n := range names {
		found := false
		for _, a := range asked {
			found = found || a == n
		}
		if !found {
			left = append(left, n)
		}
	}
	return left
}

// Reload reads the configuration anew; see machine.reload.
func (b *backend) Reload(ctx context.Context, dry bool, who string) ([]unit.Change, error) {
	if !dry {
		b.note("reload asked by " + who)
	}
	return b.machine.reload(ctx, dry)
}

// End begins the end.
func (b *backend) End(_ context.Context, how unit.How, who string) error {
	b.loop.Send(unit.Event{Op: unit.AskEnd, How: how, Text: who})
	return nil
}

// Note takes a line about the server.
func (b *backend) Note(text string) { b.note("control: " + text) }

// image is the name of the image this machine booted; empty if it does not say.
func image() string {
	b, err := os.ReadFile("/.hoopy/manifest")
	if err != nil {
		return ""
	}
	var m struct {
		Image string `json:"image"`
	}
	if json.Unmarshal(b, &m) != nil {
		return ""
	}
	return m.Image
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
