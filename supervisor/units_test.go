package supervisor

import "hoopy/unit"

func service(name string, with ...func(*unit.Unit)) *unit.Unit {
	u := &unit.Unit{Name: name, Kind: unit.Service, Command: []string{"/bin/" + name}, StopTimeout: unit.DefaultStopTimeout}
	for _, f := range with {
		f(u)
	}
	return u
}

func task(name string, with ...func(*unit.Unit)) *unit.Unit {
	u := service(name, with...)
	u.Kind, u.ReadyBy, u.Restart = unit.Task, unit.ByExit, unit.Never
	return u
}

func link(name string, with ...func(*unit.Unit)) *unit.Unit {
	u := &unit.Unit{Name: name, Kind: unit.Link, ReadyBy: unit.ByArm, Essential: true, StartTimeout: unit.LeaseTimeout}
	for _, f := range with {
		f(u)
	}
	return u
}

// disk is a mount or a pool.
func disk(kind unit.Kind, name string, with ...func(*unit.Unit)) *unit.Unit {
	u := &unit.Unit{Name: name, Kind: kind, ReadyBy: unit.ByArm, StopTimeout: unit.DefaultStopTimeout}
	for _, f := range with {
		f(u)
	}
	return u
}

func milestone(name string) *unit.Unit {
	return &unit.Unit{Name: name, Kind: unit.Milestone, ReadyBy: unit.ByArm}
}

func needs(names ...string) func(*unit.Unit) { return func(u *unit.Unit) { u.Needs = names } }
func wants(names ...string) func(*unit.Unit) { return func(u *unit.Unit) { u.Wants = names } }
func after(names ...string) func(*unit.Unit) { return func(u *unit.Unit) { u.After = names } }
func essential(u *unit.Unit)                 { u.Essential = true }
func manual(u *unit.Unit)                    { u.Manual = true }
func byNotify(u *unit.Unit)                  { u.ReadyBy = unit.ByNotify }
func stopMain(u *unit.Unit)                  { u.StopMain = true }
func restart(r unit.Restart) func(*unit.Unit) {
	return func(u *unit.Unit) { u.Restart = r }
}

func timer(name string, with ...func(*unit.Unit)) *unit.Unit {
	u := service(name, with...)
	u.Kind, u.ReadyBy = unit.Timer, unit.ByExit
	if u.Restart == unit.Always {
		u.Restart = unit.Never
	}
	return u
}

func hooked(parts ...unit.Part) func(*unit.Unit) {
	return func(u *unit.Unit) {
		for _, p := range parts {
			u.Hooks[p] = []string{"/bin/" + p.String()}
		}
	}
}

func readyBy(by unit.ReadyBy) func(*unit.Unit) { return func(u *unit.Unit) { u.ReadyBy = by } }
