package mounts

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

var (
	persist = &unit.MountConfig{What: "UUID=B61B-19E7", Where: "/persist", Options: "rw,noatime", Persist: true, Wait: unit.DeviceWait}
	srv     = &unit.MountConfig{What: "LABEL=data", Where: "/srv", Wait: unit.DeviceWait}
	stick   = unit.Disk{Node: "sda1", Type: "vfat", Usage: "filesystem", UUID: "b61b-19e7"}
	data    = unit.Disk{Node: "sdb1", Type: "ext4", Usage: "filesystem", Label: "data"}
)

func TestPersistenceDeviceThatComesLateIsPulledAndComesBack(t *testing.T) {
	run(t, func(b *bench) {
		b.Settled()
		b.do(unit.Start, persist, 1)
		b.want("note device UUID=B61B-19E7")
		b.pass(time.Hour)
		b.Disk(stick)
		b.want("note /dev/sda1 vfat", "ready")
		b.wantCalls("mount /dev/sda1 /persist vfat fmask=177", "persisted /persist")

		b.k.mu.Lock()
		b.k.busy["/persist"] = "sshd (pid 7) holds /persist/ssh"
		b.k.mu.Unlock()
		b.Gone("sda1")
		b.want("lost sda1 is gone", "note sda1 is gone", "note busy: sshd (pid 7) holds /persist/ssh")
		again := stick
		again.Node = "sdc1"
		b.Disk(again)
		b.pass(detachAfter + time.Second)
		b.want("note /dev/sdc1 vfat", "ready")
		b.k.mu.Lock()
		calls := strings.Join(b.k.calls, "\n")
		b.k.calls, b.k.busy = nil, map[string]string{}
		b.k.mu.Unlock()
		if !strings.Contains(calls, "detach /persist") || strings.Contains(calls, "leaving") || strings.Contains(calls, "sync") {
			t.Errorf("a device that was pulled: %s", calls)
		}

		b.do(unit.Stop, persist, 1)
		b.want("empty")
		b.wantCalls("leaving /persist", "sync /persist", "umount /persist")
	})
}

func TestPersistLeadsToItsPath(t *testing.T) {
	run(t, func(b *bench) {
		c := *persist
		c.Where = "/media/usb"
		b.do(unit.Start, &c, 1)
		b.wantCalls("lead /persist /media/usb")
	})
}

func TestTwoDevicesWithOneName(t *testing.T) {
	run(t, func(b *bench) {
		other := stick
		other.Node = "sdb1"
		b.Disk(stick)
		b.Disk(other)
		b.do(unit.Start, persist, 1)
		b.want("note UUID=B61B-19E7 is on sda1 and sdb1; take one out")
		b.wantCalls()
		b.Gone("sda1")
		b.want("note /dev/sdb1 vfat", "ready")
		b.Disk(stick) // a second one later does not matter to what is mounted
		b.want()
	})
}

func TestBtrfsHasManyDisks(t *testing.T) {
	run(t, func(b *bench) {
		for _, node := range []string{"sdb", "sda"} {
			b.Disk(unit.Disk{Node: node, Type: "btrfs", Usage: "filesystem", Label: "data"})
		}
		b.do(unit.Start, srv, 1)
		b.wantCalls("mount /dev/sda /srv btrfs device=/dev/sdb")
	})
}

func TestCheck(t *testing.T) {
	dirty := data
	dirty.Dirty = true
	dirtyStick := stick
	dirtyStick.Dirty = true
	for _, c := range []struct {
		name   string
		cfg    *unit.MountConfig
		disk   unit.Disk
		have   string
		out    string
		exit   int
		events []string
		last   string
		log    string
	}{
		{"mended", srv, dirty, "/sbin/e2fsck", "x\ndata: recovering journal\n\n", 1,
			[]string{"note checking /dev/sdb1", "extend", "note /dev/sdb1 ext4", "ready"}, "mount /dev/sdb1 /srv ext4", "e2fsck: data: recovering journal (exit 1)"},
		{"errors left", srv, dirty, "/sbin/e2fsck", "UNEXPECTED INCONSISTENCY", 4,
			[]string{"note checking /dev/sdb1", "extend", "failed e2fsck: UNEXPECTED INCONSISTENCY; unmount it and run e2fsck /dev/sdb1"}, "tool /sbin/e2fsck -p /dev/sdb1", ""},
		{"errors left on the persistence device", persist, dirtyStick, "/usr/sbin/fsck.vfat", "bad", 4,
			[]string{"note checking /dev/sda1", "extend", "note /dev/sda1 vfat, read-only: fsck.vfat: bad; unmount it and run fsck.vfat /dev/sda1", "ready"}, "persisted /persist", "fsck.vfat: bad"},
		{"the checker cannot", srv, dirty, "/sbin/e2fsck", "usage", 16,
			[]string{"note checking /dev/sdb1", "extend", "note /dev/sdb1 ext4", "ready"}, "mount /dev/sdb1 /srv ext4", "e2fsck: usage (exit 16)"},
		{"no checker", srv, dirty, "", "", 0,
			[]string{"note checking /dev/sdb1", "extend", "note /dev/sdb1 ext4", "ready"}, "mount /dev/sdb1 /srv ext4", "there is no e2fsck to check it"},
		{"clean", srv, data, "/sbin/e2fsck", "", 4,
			[]string{"note /dev/sdb1 ext4", "ready"}, "mount /dev/sdb1 /srv ext4", ""},
		{"not wanted", &unit.MountConfig{What: "LABEL=data", Where: "/srv", NoFsck: true}, dirty, "/sbin/e2fsck", "", 4,
			[]string{"note /dev/sdb1 ext4", "ready"}, "mount /dev/sdb1 /srv ext4", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(b *bench) {
				b.k.have = []string{c.have}
				b.tool = func([]string) (string, unit.Status, error) { return c.out, unit.Status(c.exit << 8), nil }
				b.Disk(c.disk)
				b.do(unit.Start, c.cfg, 1)
				b.want(c.events...)
				if last := b.k.calls[len(b.k.calls)-1]; last != c.last {
					t.Errorf("last %q, want %q", last, c.last)
				}
				if log := strings.Join(b.log, "\n"); !strings.Contains(log, c.log) {
					t.Errorf("log %q lacks %q", log, c.log)
				}
			})
		})
	}
}

func TestMountErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		disk unit.Disk
		want string
	}{
		{unix.ENODEV, data, `failed mount /dev/sdb1: the kernel has no file system "ext4"; its module is not in the image`},
		{unix.EIO, data, "failed mount /dev/sdb1: input/output error"},
		{nil, unit.Disk{Node: "sdb1", Label: "data", Type: "crypto_LUKS", Usage: "crypto"}, "failed /dev/sdb1 is crypto_LUKS, which is no file system"},
		{nil, unit.Disk{Node: "sdb1", Label: "data"}, "failed /dev/sdb1 has no file system that is known; write its type"},
	} {
		run(t, func(b *bench) {
			b.k.err["mount"] = c.err
			b.Disk(c.disk)
			b.do(unit.Start, srv, 1)
			b.want(c.want)
			b.do(unit.Stop, srv, 1)
			b.want("empty")
		})
	}
}

func TestOptionalDeviceIsSkipped(t *testing.T) {
	run(t, func(b *bench) {
		c := *srv
		c.Optional = true
		b.do(unit.Start, &c, 1)
		b.pass(c.Wait - time.Millisecond) // before the supervisor's own timer
		b.want("note device LABEL=data", "absent there is no device LABEL=data")
	})
}

func TestWhatIsInThePlace(t *testing.T) {
	run(t, func(b *bench) {
		b.k.all = []mounted{{where: "/srv", source: "/dev/sdz", fstype: "xfs"}}
		b.k.poke()
		b.Disk(data)
		b.do(unit.Start, srv, 1)
		b.want("note /dev/sdz is mounted there already; unmount it")
		b.k.mu.Lock()
		b.k.all[0] = mounted{where: "/srv", source: "/dev/sdb1", fstype: "ext4", super: "rw"}
		b.k.mu.Unlock()
		b.k.poke()
		b.want("note /dev/sdb1 ext4", "ready")
		b.wantCalls()
		b.k.mu.Lock()
		b.k.all[0].super = "ro,errors=remount-ro"
		b.k.mu.Unlock()
		b.k.poke()
		b.want("note /dev/sdb1 ext4, read-only after an error")
	})
}

func TestTmpfsOfTheKeeperGetsOptionsAndStays(t *testing.T) {
	run(t, func(b *bench) {
		b.k.all = []mounted{{where: "/tmp", source: "tmpfs", fstype: "tmpfs"}}
		b.k.poke()
		c := &unit.MountConfig{What: "tmpfs", Where: "/tmp", Options: "size=1G,nodev"}
		b.do(unit.Start, c, 1)
		b.want("note tmpfs", "ready")
		b.do(unit.Stop, c, 1)
		b.want("empty")
		b.wantCalls("remount tmpfs /tmp tmpfs size=1G")
	})
}

func TestWhatOthersMount(t *testing.T) {
	run(t, func(b *bench) {
		c := &unit.MountConfig{Where: "/tank/photos"}
		b.do(unit.Start, c, 1)
		b.want()
		b.k.mu.Lock()
		b.k.all = []mounted{{where: "/tank/photos", source: "tank/photos", fstype: "zfs"}}
		b.k.mu.Unlock()
		b.k.poke()
		b.want("note tank/photos zfs", "ready")
		b.k.mu.Lock()
		b.k.all = nil
		b.k.mu.Unlock()
		b.k.poke()
		b.want("lost somebody else has unmounted it")
		b.do(unit.Stop, c, 1)
		b.want("empty")
		b.wantCalls()
	})
}

func TestBusyIsNamedThenDetached(t *testing.T) {
	run(t, func(b *bench) {
		b.Disk(data)
		b.do(unit.Start, srv, 1)
		b.want("note /dev/sdb1 ext4", "ready")
		b.k.mu.Lock()
		b.k.busy["/srv"] = "rsync (pid 4120) holds /srv/x"
		b.k.mu.Unlock()
		b.do(unit.Stop, srv, 1)
		b.pass(3 * time.Second)
		b.want("note busy: rsync (pid 4120) holds /srv/x")
		b.k.mu.Lock()
		b.k.calls = nil
		b.k.mu.Unlock()
		b.do(unit.Kill, srv, 1)
		b.want("empty")
		b.wantCalls("remount  /srv   ro", "detach /srv")
	})
}

func TestDiskThatHangs(t *testing.T) {
	t.Run("at its mount", func(t *testing.T) {
		run(t, func(b *bench) {
			b.k.hang["mount"] = make(chan struct{})
			b.Disk(data)
			b.do(unit.Start, srv, 1)
			tmp := &unit.MountConfig{What: "zram", Swap: true}
			b.do(unit.Start, tmp, 2) // others go on
			b.want("note /dev/zram0", "ready")
			b.pass(mountWithin)
			b.want("note the mount of /dev/sdb1 hangs")
			b.do(unit.Kill, srv, 1)
			b.want() // stuck: it cannot be said to be gone
		})
	})
	t.Run("at its end", func(t *testing.T) {
		run(t, func(b *bench) {
			b.Disk(data)
			b.do(unit.Start, srv, 1)
			b.k.mu.Lock()
			for _, call := range []string{"sync", "remount", "umount"} {
				b.k.hang[call] = make(chan struct{})
			}
			b.k.mu.Unlock()
			b.want("note /dev/sdb1 ext4", "ready")
			b.do(unit.Stop, srv, 1)
			b.pass(unmountWait)
			b.do(unit.Kill, srv, 1)
			b.pass(leavingWithin)
			b.want("note the unmount hangs", "empty")
		})
	})
}

// unmountWait is unit's StopTimeout of a mount.
const unmountWait = 15 * time.Second

func TestAdopt(t *testing.T) {
	run(t, func(b *bench) { // before its disk is told of
		b.k.all = []mounted{{where: "/persist", source: "/dev/sda1", fstype: "vfat", super: "rw"}}
		b.k.poke()
		b.do(unit.Adopt, persist, 1)
		b.want("note /dev/sda1 vfat", "ready")
		b.Settled() // and it is not there
		b.want("lost sda1 is gone", "note sda1 is gone", "note device UUID=B61B-19E7")
	})
	run(t, func(b *bench) {
		b.do(unit.Adopt, srv, 1)
		b.want("lost it was gone when the supervisor came back", "note device LABEL=data")
		b.Disk(data)
		b.want("note /dev/sdb1 ext4", "ready")
	})
}

func TestSwap(t *testing.T) {
	run(t, func(b *bench) {
		c := &unit.MountConfig{What: "LABEL=swap", Swap: true}
		b.do(unit.Start, c, 1)
		b.Disk(unit.Disk{Node: "sdb2", Label: "swap", Type: "swap", Usage: "other"})
		b.want("note device LABEL=swap", "note /dev/sdb2", "ready")
		b.do(unit.Stop, c, 1)
		b.want("empty")
		b.wantCalls("swapon /dev/sdb2", "swapoff /dev/sdb2", "drop /dev/sdb2")
	})
	run(t, func(b *bench) {
		c := &unit.MountConfig{What: "zram", Swap: true}
		b.k.err["zram"] = errNoZram
		b.do(unit.Start, c, 1)
		b.want("failed swap on zram: the kernel has no zram")
		b.k.hang["swapoff"] = make(chan struct{})
		b.k.err["zram"] = nil
		b.do(unit.Start, c, 2)
		b.do(unit.Stop, c, 2)
		b.want("note /dev/zram0", "ready")
		b.do(unit.Kill, c, 2)
		b.want("empty")
	})
}

func TestUseDoesNotHang(t *testing.T) {
	run(t, func(b *bench) {
		if got := b.Use("/srv"); got != "12% used" {
			t.Errorf("Use %q", got)
		}
		b.k.mu.Lock()
		b.k.hang["used"] = make(chan struct{})
		b.k.mu.Unlock()
		began := time.Now()
		if got := b.Use("/srv"); got != "12% used" || time.Since(began) > useWithin {
			t.Errorf("Use %q after %v", got, time.Since(began))
		}
		if b.Use("/srv") != "12% used" || time.Since(began) > useWithin {
			t.Error("a second statfs on a disk that hangs")
		}
		synctest.Wait()
	})
}
