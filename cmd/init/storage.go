package main

import (
	"os"
	"path/filepath"

	"hoopy/devices"
	"hoopy/kmsg"
	"hoopy/mounts"
	"hoopy/seedrng"
	"hoopy/unit"
	"hoopy/zfs"
)

// storage is everything that has to do with disks: who finds them, who mounts
// them, and what is kept on them.
type storage struct {
	m       *machine
	catalog *devices.Catalog
	seed    *seedrng.Arm
	mounts  *mounts.Arm
	pools   *zfs.Arm
	armed   chan struct{} // closed when mounts and pools are there
}

// newStorage begins with the catalog: devices are found before anything is known
// of mounts and pools.
func newStorage(m *machine) *storage {
	s := &storage{m: m, armed: make(chan struct{})}
	s.seed = seedrng.New(seedrng.Config{SkipCredit: seedrng.Skip(m.cmdline), Log: m.note, Fault: m.fault})
	s.catalog = devices.NewCatalog(devices.CatalogConfig{Disks: []unit.Disks{s}, Emit: m.send, Log: m.warn, Fault: m.fault})
	return s
}

// Disk, Gone and Settled pass on what the catalog finds. They wait for the arms,
// which come within the time of Hello.
func (s *storage) Disk(d unit.Disk) {
	<-s.armed
	s.mounts.Disk(d)
	s.pools.Disk(d)
}

func (s *storage) Gone(node string) {
	<-s.armed
	s.mounts.Gone(node)
	s.pools.Gone(node)
}

func (s *storage) Settled() {
	<-s.armed
	s.mounts.Settled()
	s.pools.Settled()
}

// arm makes the arms of mounts and pools.
func (s *storage) arm() {
	m, config := s.m, s.m.config.Machine
	s.mounts = mounts.New(mounts.Config{Emit: m.emit("mounts"), Log: m.warn, Fault: m.fault, Tool: m.procs.Tool,
		Load: m.devices.load, Persisted: s.persisted, Leaving: s.leaving})
	s.pools = zfs.New(zfs.Config{Emit: m.emit("zfs"), Log: m.warn, Fault: m.fault, Tool: m.procs.Tool,
		Load: m.devices.load, HostID: config.HostID, Pools: config.Pools, Holders: mounts.Holders})
	m.loop.Arms[unit.Mount], m.loop.Arms[unit.Pool], m.loop.Arms[unit.Device] = s.mounts, s.pools, s.catalog
	s.catalog.Rules(config.Rules)
	close(s.armed)
	m.own("mounts", s.mounts.Run)
	m.own("zfs", s.pools.Run)
	m.own("seed", s.seed.Run)
}

// What is kept on the persistence device, as folders in it.
const (
	seedFolder  = "seedrng"
	timerFolder = "timers"
)

// persisted: the persistence device is mounted on dir.
func (s *storage) persisted(dir string) {
	// Also after an epoch that may have died over it: a seed is used once.
	s.seed.Persisted(filepath.Join(dir, seedFolder))
	s.m.timers.Persist(filepath.Join(dir, timerFolder))
	for _, u := range s.m.config.Units {
		if u.LogFile != nil {
			s.m.procs.LogTo(u)
		}
	}
	s.pools.Changed() // a key may lie there
	s.takeEnd(dir)
}

// leaving: it is about to be unmounted.
func (s *storage) leaving(dir string) {
	s.m.procs.FlushLogs(flushTimeout)
	s.m.timers.Persist("")
	s.seed.Leaving(filepath.Join(dir, seedFolder))
	s.keepEnd(dir)
}

// noDisk is what people are told who log in while the persistence device is
// missing.
const noDisk = "The persistence device is missing: what is changed now is lost at the next boot."

// lacking says in the message of the day that the persistence device is missing,
// or takes that back.
func (s *storage) lacking(missing bool) {
	const file, kept = "/etc/motd", "/run/hoopy/motd"
	if !missing {
		if b, err := os.ReadFile(kept); err == nil {
			s.motd(file, b)
			_ = os.Remove(kept) // it would be put back once more
		}
		return
	}
	if _, err := os.Stat(kept); err == nil {
		return
	}
	b, _ := os.ReadFile(file) // no message is one too
	if err := os.WriteFile(kept, b, 0o644); err != nil {
		s.m.note("motd: " + err.Error())
		return
	}
	s.motd(file, append(b, "\n*** "+noDisk+"\n    svc status says more.\n"...))
}

func (s *storage) motd(file string, b []byte) {
	if err := os.WriteFile(file, b, 0o644); err != nil {
		s.m.log.Say(kmsg.Info, "motd: ", err.Error())
	}
}

// said watches the persistence device.
func (s *storage) said(a unit.Action) {
	if a.From == a.To || a.Unit.Mount == nil || !a.Unit.Mount.Persist {
		return
	}
	switch {
	case a.To == unit.Ready:
		s.lacking(false)
	case lost[a.To], a.From == unit.Ready && a.To == unit.Starting: // pulled
		s.lacking(true)
	}
}
