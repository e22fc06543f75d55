package zfs

import (
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

func TestTwoPoolsOneName(t *testing.T) {
	p, q := mirror("tank", 1000), mirror("tank", 2000)
	q.disks = []string{"/dev/disk/by-id/ata-old_1", "/dev/disk/by-id/ata-old_2"}
	bubble(t, []*fakePool{p, q}, nil, func(r *rig) {
		for i := range 2 {
			r.a.Disk(disk(p, i+1))
			d := disk(q, i+1)
			d.Node = "old" + d.Node
			r.a.Disk(d)
		}
		r.do(unit.Start, tank(nil), 1)
		r.pass(time.Second)
		r.has(`failed: more than one matching pool: 1000 and 2000 are called tank; write guid = "…" in [[pool]]`)
		r.do(unit.Start, tank(func(c *unit.PoolConfig) { c.Name, c.GUID = "old", 2000 }), 2)
		r.pass(time.Second)
		r.has("ready")
		if r.called("2000 old") != 1 || r.called("ata-tank_1") != 0 {
			t.Errorf("%q", r.z.calls)
		}
	})

	// Where one has a [[pool]] with its number, the other is meant by the name.
	p, q = mirror("tank", 1000), mirror("tank", 2000)
	bubble(t, []*fakePool{p, q}, func(c *Config) { c.Pools = []unit.PoolConfig{{Name: "tank"}, {Name: "old", GUID: 2000}} }, func(r *rig) {
		for i := range 2 {
			r.a.Disk(disk(p, i+1))
			d := disk(q, i+1)
			d.Node = "old" + d.Node
			r.a.Disk(d)
		}
		r.do(unit.Start, tank(nil), 1)
		r.do(unit.Start, tank(func(c *unit.PoolConfig) { c.Name, c.GUID = "old", 2000 }), 2)
		r.pass(time.Second)
		r.has("log: pool:tank: tank is imported, ONLINE", "log: pool:old: old is imported, ONLINE")
	})

	// With pools = "all" neither is taken, whichever shows itself first.
	all := &unit.Unit{Name: unit.AllPools, Kind: unit.Pool, Pool: &unit.PoolConfig{Wait: time.Minute}}
	p, q = mirror("tank", 1000), mirror("tank", 2000)
	bubble(t, []*fakePool{p, q}, nil, func(r *rig) {
		r.do(unit.Start, all, 1)
		r.a.Disk(disk(p, 1))
		r.a.Disk(disk(p, 2))
		r.pass(5 * time.Second)
		d := disk(q, 1)
		d.Node = "late"
		r.a.Disk(d)
		r.a.Settled()
		r.pass(time.Second)
		why := `tank: more than one matching pool: 1000 and 2000 are called tank; write guid = "…" in [[pool]]`
		r.has("ready", "sick: "+why+"; "+why)
		if r.called("import") != 0 {
			t.Errorf("%q", r.z.calls)
		}
	})
}

func TestAllPools(t *testing.T) {
	all := &unit.Unit{Name: unit.AllPools, Kind: unit.Pool, Pool: &unit.PoolConfig{Wait: time.Minute}}
	a, b, mine := mirror("a", 1000), mirror("b", 2000), mirror("tank", 3000)
	b.refuse = strings.ReplaceAll(foreign, "tank", "b")
	bubble(t, []*fakePool{a, b, mine}, func(c *Config) { c.Pools = []unit.PoolConfig{{Name: "tank"}, {}} }, func(r *rig) {
		r.do(unit.Start, all, 1)
		for _, p := range []*fakePool{a, b, mine} {
			r.a.Disk(disk(p, 1))
			r.a.Disk(disk(p, 2))
		}
		r.pass(5 * time.Second)
		r.quiet("ready")
		r.a.Settled()
		r.pass(time.Second)
		why := "b: pool was previously in use from another system. Last accessed by nas (hostid=c0ffee) at Fri Nov 20 23:15:06 2026"
		r.has("ready", "sick: "+why)
		if mine.imported || !a.imported {
			t.Error("the wrong pools are imported")
		}
		r.do(unit.Stop, all, 1)
		r.pass(time.Second)
		r.has("empty")
		if a.imported {
			t.Error("a is not exported")
		}
	})
	bubble(t, nil, nil, func(r *rig) {
		r.a.Settled()
		r.do(unit.Start, all, 1)
		r.pass(time.Second)
		r.has("noted: no pool is here", "ready")
	})
}
