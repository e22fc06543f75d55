package zfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

func tank(change func(*unit.PoolConfig)) *unit.Unit {
	c := &unit.PoolConfig{Name: "tank", Wait: time.Minute, Degraded: true}
	if change != nil {
		change(c)
	}
	return &unit.Unit{Name: unit.PoolUnit(c.Name), Kind: unit.Pool, Pool: c}
}

const well = "noted: ONLINE, 45% of 14.5T"

func TestLateDisk(t *testing.T) {
	p := mirror("tank", 1000)
	bubble(t, []*fakePool{p}, func(c *Config) { c.HostID = 0xc0ffee }, func(r *rig) {
		r.do(unit.Start, tank(nil), 1)
		r.pass(3 * time.Second)
		r.has("noted: none of its disks is here (2 s of 60 s)")
		if n := r.called("zpool import"); n != 0 {
			t.Errorf("zpool was asked %d times without a disk", n)
		}
		r.a.Disk(disk(p, 1))
		r.pass(time.Second)
		r.has("noted: 1 of 2 disks: disk 1002 is missing (3 s of 60 s, then it is imported degraded)")
		r.a.Disk(disk(p, 2))
		r.pass(time.Second)
		r.has("noted: importing", "log: pool:tank: tank is imported, ONLINE", "ready", well)
		if n := r.called("zpool import -N -d /dev/disk/by-id/ata-tank_1 -d /dev/disk/by-id/ata-tank_2 -o cachefile=none 1000"); n != 1 {
			t.Errorf("calls: %q", r.z.calls)
		}
		if b, _ := os.ReadFile(r.root + "/sys/module/spl/parameters/spl_hostid"); string(b) != "12648430\n" {
			t.Errorf("spl_hostid %q", b)
		}
		r.do(unit.Start, tank(nil), 1)
		r.pass(10 * time.Minute)
		r.quiet("ready", "sick", "log")

		// One is pulled, and comes back.
		r.z.change(func() { p.lost[1] = true })
		r.a.Gone("tank2")
		r.pass(time.Second)
		how := "DEGRADED: ata-tank_2 is missing"
		r.has("noted: "+how+", 45% of 14.5T", "sick: "+how, "log: pool:tank: "+how+" (it was ONLINE)")
		r.a.Disk(disk(p, 2))
		r.pass(time.Second)
		r.has(well, "healthy", "log: pool:tank: ata-tank_2 is back in tank", "log: pool:tank: ONLINE (it was "+how+")")
		if n := r.called("zpool online tank 1002"); n != 1 {
			t.Errorf("%d times zpool online", n)
		}

		// Again, at once: it may be a bad cable.
		r.z.change(func() {
			p.lost[1], r.z.warning = true, "warning: device '1002' onlined, but remains in faulted state\nuse 'zpool clear' to restore a faulted device\n"
		})
		r.a.Gone("tank2")
		r.a.Disk(disk(p, 2))
		r.pass(5 * time.Second)
		r.quiet("is back")
		r.pass(time.Minute)
		r.has(well, "log: pool:tank: ata-tank_2 is back in tank: warning: device '1002' onlined, but remains in faulted state use 'zpool clear' to restore a faulted device")
		if n := r.called("zpool online"); n != 2 {
			t.Errorf("%d times zpool online", n)
		}

		// One that somebody took offline stays so.
		r.z.change(func() { p.lost[1], p.offline = true, true })
		r.a.Gone("tank2")
		r.pass(time.Minute)
		r.a.Disk(disk(p, 2))
		r.pass(time.Minute)
		r.has("sick: DEGRADED: ata-tank_2 is offline")
		r.quiet("is back")

		r.do(unit.Stop, tank(nil), 1)
		r.pass(time.Second)
		r.has("noted: exporting", "log: pool:tank: tank is exported after 0 s", "empty")
		r.do(unit.Kill, tank(nil), 1)
		r.has("empty")
	})
}

func TestMissingDisk(t *testing.T) {
	p := mirror("tank", 1000)
	bubble(t, []*fakePool{p}, nil, func(r *rig) {
		r.a.Disk(disk(p, 2))
		r.do(unit.Start, tank(nil), 1)
		r.pass(58 * time.Second)
		r.quiet("importing")
		r.pass(3 * time.Second)
		r.has("ready", "log: pool:tank: tank is imported, DEGRADED: 1 of 2 disks: disk 1001 is missing", "sick: DEGRADED: disk 1001 is missing")
	})
	p = mirror("tank", 1000)
	bubble(t, []*fakePool{p}, nil, func(r *rig) {
		r.a.Disk(disk(p, 2))
		r.do(unit.Start, tank(func(c *unit.PoolConfig) { c.Degraded = false }), 1)
		r.pass(time.Hour)
		r.has(`noted: 1 of 2 disks: disk 1001 is missing; it is not imported: degraded = "refuse"`)
		if n := r.called("zpool import"); n > 3 {
			t.Errorf("zpool was asked %d times in an hour without a change", n)
		}
		r.a.Disk(disk(p, 1))
		r.pass(time.Second)
		r.has("ready")
	})
}

// TestOfflineDisk holds that nobody waits for a disk that was taken offline.
func TestOfflineDisk(t *testing.T) {
	p := mirror("tank", 1000)
	p.offline = true
	bubble(t, []*fakePool{p}, nil, func(r *rig) {
		r.a.Disk(disk(p, 2))
		r.do(unit.Start, tank(func(c *unit.PoolConfig) { c.Degraded = false }), 1)
		r.pass(time.Second)
		r.has("ready", "log: pool:tank: tank is imported, DEGRADED", "sick: DEGRADED: disk 1001 is offline")
	})
}

const foreign = "cannot import 'tank': pool was previously in use from another system.\nLast accessed by nas (hostid=c0ffee) at Fri Nov 20 23:15:06 2026\nThe pool can be imported, use 'zpool import -f' to import the pool.\n"

func TestForeignPool(t *testing.T) {
	p := mirror("tank", 1000)
	p.refuse = foreign
	bubble(t, []*fakePool{p}, nil, func(r *rig) {
		r.a.Disk(disk(p, 1))
		r.a.Disk(disk(p, 2))
		why := "failed: pool was previously in use from another system. Last accessed by nas (hostid=c0ffee) at Fri Nov 20 23:15:06 2026"
		for run := range unit.Run(4) {
			r.do(unit.Start, tank(nil), run+1)
			r.pass(10 * time.Second)
			r.has(why)
		}
		if n := r.called("import -N"); n != 1 {
			t.Errorf("%d imports in 40 s", n)
		}
		r.do(unit.Start, tank(func(c *unit.PoolConfig) { c.Force, c.ReadOnly = true, true }), 9)
		r.pass(2 * time.Minute)
		r.do(unit.Start, tank(func(c *unit.PoolConfig) { c.Force, c.ReadOnly = true, true }), 10)
		r.pass(time.Second)
		r.has("ready")
		if n := r.called("-o cachefile=none -f -o readonly=on 1000"); n != 1 {
			t.Errorf("%q", r.z.calls)
		}
	})
}

func TestLocked(t *testing.T) {
	p := mirror("tank", 1000)
	p.datasets = append(p.datasets,
		dataset{name: "tank/photos", where: "/tank/photos", on: true, locked: true, root: "tank/photos", key: "prompt"},
		dataset{name: "tank/photos/x", where: "/tank/photos/x", on: true},
		dataset{name: "tank/misc", where: "/tank/misc", on: true, locked: true, root: "tank/misc", key: "prompt"},
		dataset{name: "tank/bad", where: "/bad", on: true},
		dataset{name: "tank/no", where: "/no"},
		dataset{name: "tank/old", where: "legacy", on: true})
	p.keys["tank/photos"], p.keys["tank/misc"] = "secret", "in a file"
	p.mountRefused["tank/bad"] = "cannot mount '/bad': directory is not empty\n"
	bubble(t, []*fakePool{p}, nil, func(r *rig) {
		if _, err := r.a.Unlock(r.t.Context(), "tank", []byte("secret")); err == nil {
			t.Error("a pool that is not there is unlocked")
		}
		r.a.Disk(disk(p, 1))
		r.a.Disk(disk(p, 2))
		r.do(unit.Start, tank(func(c *unit.PoolConfig) { c.Keys = []unit.KeyConfig{{Dataset: "tank/misc", File: "/persist/k"}} }), 1)
		r.pass(time.Second)
		noFile := "tank/misc is locked (Failed to open key material file: No such file or directory): svc unlock tank/misc"
		bad := "tank/bad: cannot mount '/bad': directory is not empty"
		r.has("ready", well+"; tank/photos is locked: svc unlock tank/photos; "+noFile+"; "+bad+"; tank/photos/x waits for what is locked on /tank/photos")

		r.z.change(func() { r.z.files["/persist/k"] = "in a file" })
		r.a.Changed()
		r.pass(time.Second)
		r.has(well + "; tank/photos is locked: svc unlock tank/photos; " + bad + "; tank/photos/x waits for what is locked on /tank/photos")

		wrong := []byte("wrong")
		_, err := r.a.Unlock(r.t.Context(), "tank/photos", wrong)
		if err == nil || err.Error() != "tank/photos: Incorrect key provided for 'tank/photos'" {
			t.Errorf("wrong: %v", err)
		}
		text, err := r.a.Unlock(r.t.Context(), "tank", []byte("secret"))
		if err != nil || text != "tank/photos is unlocked; "+bad {
			t.Errorf("right: %q, %v", text, err)
		}
		if text, err = r.a.Unlock(r.t.Context(), "tank/photos/x", []byte("secret")); err != nil || text != "tank/photos/x is not locked" {
			t.Errorf("again: %q, %v", text, err)
		}
		for _, b := range append(r.z.inputs, wrong) {
			if strings.Trim(string(b), "\x00") != "" {
				t.Errorf("%q was left in memory", b)
			}
		}
		r.pass(time.Second)
		r.has(well + "; " + bad)
		if r.called("secret") != 0 {
			t.Error("the passphrase is on a command line")
		}
		var mounted []string
		for _, d := range p.datasets {
			if d.mounted {
				mounted = append(mounted, d.name)
			}
		}
		if got := strings.Join(mounted, " "); got != "tank tank/photos tank/photos/x tank/misc" {
			t.Errorf("mounted: %s", got)
		}
		ctx, cancel := context.WithCancel(r.t.Context())
		cancel()
		if _, err := r.a.Unlock(ctx, "tank", []byte("secret")); err != nil && !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "busy") {
			t.Error(err)
		}
	})
}

func TestBusyExport(t *testing.T) {
	for _, kill := range []bool{false, true} {
		p := mirror("tank", 1000)
		p.busy = "cannot unmount '/tank': pool or dataset is busy\n"
		holders := func(c *Config) {
			c.Holders = func(where string) string { return "rsync (pid 4120) holds " + where }
		}
		bubble(t, []*fakePool{p}, holders, func(r *rig) {
			r.a.Disk(disk(p, 1))
			r.a.Disk(disk(p, 2))
			r.do(unit.Start, tank(nil), 1)
			r.pass(time.Second)
			r.do(unit.Stop, tank(nil), 1)
			r.pass(20 * time.Second)
			r.has("noted: busy: rsync (pid 4120) holds /tank", "log: pool:tank: busy: rsync (pid 4120) holds /tank")
			if kill {
				r.do(unit.Kill, tank(nil), 1)
				r.pass(unit.KillTimeout)
				r.has("log: pool:tank: tank is not exported: busy: rsync (pid 4120) holds /tank", "log: pool:tank: tank is exported by force", "empty")
				if r.called("zpool sync tank") != 1 {
					t.Error("not synced")
				}
				return
			}
			r.z.change(func() { p.busy = "" })
			r.pass(2 * time.Second)
			r.has("empty")
			if n := r.called("zpool export tank"); n > 25 {
				t.Errorf("%d tries in 22 s", n)
			}
		})
	}
}

func TestAdopt(t *testing.T) {
	p := mirror("tank", 1000)
	p.imported, p.datasets[0].mounted = true, true
	bubble(t, []*fakePool{p}, nil, func(r *rig) {
		r.do(unit.Adopt, tank(nil), 1)
		r.pass(time.Second)
		r.has("ready", well)
		if r.called("import") != 0 || r.called("zfs mount") != 0 {
			t.Errorf("%q", r.z.calls)
		}
		r.z.change(func() { p.imported = false }) // by hand
		r.a.Disk(disk(p, 1))
		r.a.Disk(disk(p, 2))
		r.pass(2 * time.Minute)
		r.has("lost: tank was exported by somebody")
		if r.called("import") != 0 {
			t.Error("imported against somebody's will")
		}
		r.do(unit.Start, tank(nil), 2)
		r.pass(5 * time.Second)
		r.has("ready")
	})
	p = mirror("tank", 1000)
	bubble(t, []*fakePool{p}, nil, func(r *rig) {
		r.a.Disk(disk(p, 1))
		r.a.Disk(disk(p, 2))
		r.do(unit.Adopt, tank(nil), 1)
		r.pass(time.Second)
		r.has("lost: the pool was gone when the supervisor came back", "ready")
	})
}

func TestNoTools(t *testing.T) {
	p := mirror("tank", 1000)
	bubble(t, []*fakePool{p}, nil, func(r *rig) {
		if err := os.Remove(r.root + "/usr/sbin/zpool"); err != nil {
			t.Fatal(err)
		}
		r.do(unit.Start, tank(nil), 1)
		r.has("failed: no zpool in this image; add the package zfs")
	})
	bubble(t, []*fakePool{p}, func(c *Config) { c.Load = func(string) error { return fmt.Errorf("module zfs: %w", unix.ENOENT) } }, func(r *rig) {
		if err := os.RemoveAll(r.root + "/sys/module/zfs"); err != nil {
			t.Fatal(err)
		}
		r.do(unit.Start, tank(nil), 1)
		r.has("failed: module zfs: no such file or directory; the package zfs-lts has it")
		r.do(unit.Stop, tank(nil), 1)
		r.has("empty")
	})
	bubble(t, []*fakePool{p}, func(c *Config) { c.Load = func(string) error { return nil } }, func(r *rig) {
		state := r.root + "/sys/module/zfs/initstate"
		if err := os.WriteFile(state, []byte("coming\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		r.a.Disk(disk(p, 1))
		r.a.Disk(disk(p, 2))
		r.do(unit.Start, tank(nil), 1)
		r.pass(5 * time.Second)
		if r.called("zpool") != 0 {
			t.Error("zpool was called before the module was there")
		}
		if err := os.WriteFile(state, []byte("live\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Second)
		r.has("ready")
	})
}
