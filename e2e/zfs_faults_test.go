//go:build e2e

package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hoopy/build/debian"
	"hoopy/unit"
)

// zhack returns the files of the tool that makes pools which this ZFS cannot read;
// nil: tools/zfs left none.
func zhack(t *testing.T) map[string]File {
	t.Helper()
	kernel, err := debian.LoadKernel(t.Context(), debian.Options{CacheDir: filepath.Join(cacheDir, "debian")})
	if err != nil {
		t.Skip(err)
	}
	dir, err := debian.ZFS(kernel.Release)
	if err != nil {
		t.Skip(err)
	}
	files := map[string]File{}
	for name, to := range map[string]string{"zhack": "sbin/zhack", "libzpool.so.6": "lib/x86_64-linux-gnu/libzpool.so.6"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil
		}
		files[to] = File{Mode: 0o755, Content: b}
	}
	return files
}

// TestPoolFaults is what can be wrong with pools: two of one name, one that this
// ZFS cannot read, disks that go and come back, with zed and without.
func TestPoolFaults(t *testing.T) {
	member := func(id string, on bus) disk { return disk{id: id, path: zfsDisk(t, 80), bus: on} }
	mb, z3 := member("MB", scsi), member("Z3", scsi)
	disks := []disk{member("MA", virtio), mb, member("Z1", virtio), member("Z2", sata), z3,
		member("D1", virtio), member("D2", virtio), member("N1", virtio)}
	files := map[string]File{
		// Each pool that is made by hand has a name that no unit waits for, or one whose unit is stopped.
		"etc/init.toml": initTOML(hostid + "[[pool]]\nname = \"dup\"\n[[pool]]\nname = \"newer\"\n"),
		"etc/zfs/zed.d/statechange-note.sh": {Mode: 0o755,
			Content: []byte("#!/bin/sh\necho $ZEVENT_POOL $ZEVENT_VDEV_PATH $ZEVENT_VDEV_STATE_STR >>/run/zed-notes\n")},
	}
	hack := zhack(t)
	maps.Copy(files, hack)

	var guid string // of one of the two
	t.Run("made by hand", func(t *testing.T) {
		v := storageMachine(t, true, files, disks...).boot(t)
		v.Must("svc stop pool:dup pool:newer")
		v.eventually("all members", "test $(ls /dev/disk/by-path/*-part1 | grep -c -v -e virtio-pci -e ata-1-) -ge 8")
		v.Must("modprobe zfs && echo 12648430 >/sys/module/spl/parameters/spl_hostid") // 0xc0ffee
		v.Must("svc restart zed")                                                      // it looks for the module every 30 s
		const create = "cd /dev/disk/by-id && zpool create -o cachefile=none -O compression=off "
		v.Must(create + "-O mountpoint=/tank tank mirror virtio-MA-part1 scsi-*MB-part1")
		v.part(t, "zed brings a disk back", func(t *testing.T) {
			v.eventually("zed", "svc logs zed | grep -q 'Processing events'")
			v.pull(mb)
			v.eventually("what zed did", "grep -q 'MB-part1 REMOVED' /run/zed-notes && zpool status tank | grep -q 'MB-part1 *REMOVED'")
			v.Must("echo more >/tank/more && zpool sync tank")
			v.plug(mb)
			v.eventually("what zed did", "grep -q 'MB-part1 ONLINE' /run/zed-notes && test $(zpool list -H -o health tank) = ONLINE")
		})
		v.Must(create + "-O mountpoint=/rz rz raidz1 virtio-Z1-part1 ata-*Z2-part1 scsi-*Z3-part1 && echo rz >/rz/file")
		v.Must(create + "-O mountpoint=/dup dup virtio-D1-part1 && echo one >/dup/file && zpool export dup")
		v.Must(create + "-O mountpoint=/second dup virtio-D2-part1 && echo two >/second/file")
		guid = v.Must("zpool get -H -o value guid dup")
		v.Must("zpool export dup && zpool export rz && zpool export tank")
		v.part(t, "two of one name", func(t *testing.T) {
			v.Run("svc start pool:dup")
			r := v.noted("pool:dup", "more than one matching pool")
			if r.State == unit.Ready || !strings.Contains(told(r), guid) {
				t.Errorf("%s: %s", r.State, told(r))
			}
		})
		v.part(t, "a feature that is not known", func(t *testing.T) {
			if hack == nil {
				t.Skip("no zhack; tools/zfs fetches it")
			}
			const at = "zhack -d /dev/disk/by-id/virtio-N1-part1 feature "
			v.Must(create + "newer virtio-N1-part1 && zpool export newer")
			v.Must(at + "enable newer com.example:tomorrow && " + at + "ref newer com.example:tomorrow")
			v.Run("svc start pool:newer")
			if r := v.noted("pool:newer", "feature(s) not supported by this system: com.example:tomorrow"); r.State == unit.Ready || r.Well() {
				t.Errorf("%s: %s", r.State, told(r))
			} else {
				t.Log(told(r))
			}
		})
		v.off()
	})
	if t.Failed() {
		return
	}

	t.Run("without zed", func(t *testing.T) {
		files := maps.Clone(files)
		files["etc/init.toml"] = initTOML(hostid + `
[[pool]]
name = "tank"
[[pool]]
name     = "rz"
wait     = "3s"
degraded = "allow"
[[pool]]
name = "dup"
[[pool]]
name = "second"
guid = "` + guid + `"
`)
		files["etc/svc/zed.toml"] = file("command = [\"/usr/sbin/zed\", \"-F\"]\nmanual = true\n")
		disks[4].absent = true // Z3
		v := storageMachine(t, true, files, disks...).boot(t)
		v.untilState("devices", unit.Ready) // step by step: the host may be busy
		v.untilState("pool:tank", unit.Ready)
		v.part(t, "raidz lacks a disk", func(t *testing.T) {
			v.untilState("pool:rz", unit.Ready)
			if r := v.noted("pool:rz", "DEGRADED"); !strings.Contains(r.Sick, "Z3 is missing") {
				t.Errorf("svc status does not say which disk: %s", told(r))
			}
			if got := v.Must("cat /rz/file"); got != "rz" {
				t.Errorf("the file holds %q", got)
			}
		})
		v.part(t, "one of two by its number", func(t *testing.T) {
			v.untilState("pool:dup", unit.Ready)
			v.untilState("pool:second", unit.Ready)
			if got := v.Must("cat /dup/file /second/file; zpool get -H -o value guid second"); got != "one\ntwo\n"+guid {
				t.Errorf("got %q, want the guid %s", got, guid)
			}
		})
		v.part(t, "a disk of the mirror is back", func(t *testing.T) {
			v.pull(mb)
			v.Must("echo more >/tank/more && zpool sync tank")
			t.Log(told(v.noted("pool:tank", "MB is ")))
			v.plug(mb)
			r := v.untilUnit("pool:tank", "well again", func(r unit.Report) bool { return r.Sick == "" && strings.HasPrefix(r.Note, "ONLINE") })
			t.Log(told(r))
		})
		v.part(t, "one taken offline is not waited for", func(t *testing.T) {
			v.Must("zpool offline rz scsi-0QEMU_QEMU_HARDDISK_Z3-part1 && svc restart pool:rz")
			r := v.noted("pool:rz", "Z3 is offline")
			if r.State != unit.Ready {
				t.Errorf("%s: %s", r.State, told(r))
			}
			v.plug(z3)
			v.eventually("the disk", "ls /dev/disk/by-id/scsi-*Z3-part1")
			v.Must("zpool status rz | grep -q OFFLINE")
		})
		v.off()
	})
}
