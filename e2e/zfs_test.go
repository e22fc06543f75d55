//go:build e2e

package e2e

import (
	"maps"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

const (
	passphrase = "correct horse battery"
	hostid     = `hostid = "00c0ffee"` + "\n"
)

// zfsInit is an init.toml with pools. Pools need a persistence device for keys.
func zfsInit(more string) File {
	return initTOML(hostid + `
[persist]
device = "UUID=B61B-19E7"
` + more)
}

// TestPools is the life of pools through five boots: made by hand, imported whole,
// with disks missing, and with a zpool that hangs.
func TestPools(t *testing.T) {
	stick := disk{id: "STICK", path: VFAT(t, 64, "B61B-19E7", "HOOPY"), bus: usb}
	za, zb := disk{id: "ZA", path: zfsDisk(t, 128), bus: virtio}, disk{id: "ZB", path: zfsDisk(t, 128), bus: scsi}
	zc, zd := disk{id: "ZC", path: zfsDisk(t, 128), bus: sata}, disk{id: "ZD", path: zfsDisk(t, 128), bus: scsi}
	ze := disk{id: "ZE", path: zfsDisk(t, 128), bus: nvme}
	disks := []disk{stick, za, zb, zc, zd, ze}

	t.Run("made by hand", func(t *testing.T) {
		v := storageMachine(t, true, map[string]File{"etc/init.toml": zfsInit("")}, disks...).boot(t)
		v.untilState("mount:/persist", unit.Ready)
		v.eventually("all members", "ls /dev/disk/by-id/virtio-ZA-part1 /dev/disk/by-id/scsi-*ZB-part1 /dev/disk/by-id/ata-*ZC-part1 /dev/disk/by-id/scsi-*ZD-part1 /dev/disk/by-id/nvme-*ZE-part1")
		v.Must("modprobe zfs && echo 12648430 >/sys/module/spl/parameters/spl_hostid") // 0xc0ffee
		const create = "cd /dev/disk/by-id && zpool create -o cachefile=none -O compression=off "
		v.Must(create + "-O mountpoint=/tank tank mirror virtio-ZA-part1 scsi-*ZB-part1")
		v.Must("zfs create tank/photos && zfs create tank/photos/raw && zfs create tank/misc && zfs create -o canmount=noauto tank/asleep")
		v.Must("echo " + passphrase + " | zfs create -o encryption=on -o keyformat=passphrase -o pbkdf2iters=100000 tank/secret")
		v.Must("dd if=/dev/urandom of=/persist/tank.key bs=32 count=1 && zfs create -o encryption=on -o keyformat=raw -o keylocation=file:///persist/tank.key tank/auto && zfs set keylocation=prompt tank/auto")
		v.Must("for d in photos photos/raw misc secret auto; do echo $d >/tank/$d/file; done")
		v.Must(create + "-O mountpoint=/twin twin mirror ata-*ZC-part1 scsi-*ZD-part1 && echo twin >/twin/file")
		v.Must("zpool export tank && zpool export twin")
		// Another machine's pool, which that one did not give back.
		v.Must("echo 3735928559 >/sys/module/spl/parameters/spl_hostid")
		v.Must(create + "-O mountpoint=/alien alien nvme-*ZE-part1 && zpool sync alien && sync")
		v.cut()
	})
	if t.Failed() {
		return
	}

	// What all further boots have.
	pools := `
[[pool]]
name     = "tank"
wait     = "4s"
degraded = "allow"
after    = ["tler"] # that of root/
[[pool.key]]
dataset = "tank/auto"
file    = "/persist/tank.key"

[[pool]]
name = "twin"
wait = "3s"
`
	files := map[string]File{
		"etc/init.toml": zfsInit(pools + `
[[pool]]
name = "alien"
wait = "4s"
`),
		"etc/svc/photos.toml": file(`needs = ["mount:/tank/photos"]
command = "cat /tank/photos/file; exec sleep 100000"
`),
		"etc/svc/vault.toml": file(`needs = ["mount:/tank/secret"]
command = "cat /tank/secret/file; exec sleep 100000"
`),
	}

	var usual unit.Time // when sshd was ready
	t.Run("imported", func(t *testing.T) {
		v := storageMachine(t, true, files, disks...).boot(t)
		usual = v.untilState("sshd", unit.Ready).Since
		v.untilState("devices", unit.Ready) // step by step: the host may be busy
		v.eventually("zfs", "test -d /proc/spl/kstat/zfs")
		v.part(t, "whole", func(t *testing.T) {
			r := v.untilState("pool:tank", unit.Ready)
			t.Logf("pool:tank: %s", r.Note)
			v.untilState("pool:twin", unit.Ready)
			v.noted("pool:tank", "ONLINE")
			got := v.Must("zpool status -P")
			for _, want := range []string{"/dev/disk/by-id/virtio-ZA-part1", "/dev/disk/by-id/ata-QEMU_HARDDISK_ZC-part1", "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_ZB-part1"} {
				if !strings.Contains(got, want) {
					t.Errorf("%s is not in\n%s", want, got)
				}
			}
			if got := v.Must("zpool get -H -o value cachefile tank"); got != "none" {
				t.Errorf("cache file: %q", got)
			}
		})
		v.part(t, "datasets", func(t *testing.T) {
			v.untilState("photos", unit.Ready)
			if got := v.Must("cat /tank/photos/file /tank/photos/raw/file /tank/misc/file /tank/auto/file /twin/file"); got != "photos\nphotos/raw\nmisc\nauto\ntwin" {
				t.Errorf("the files hold %q", got)
			}
			if got := v.Must("zfs get -H -o value mounted tank/asleep"); got != "no" {
				t.Error("a dataset that is not to be mounted is")
			}
		})
		v.part(t, "tasks before pools", func(t *testing.T) {
			task, pool := v.unitStatus("tler"), v.unitStatus("pool:tank")
			if got := v.Must("svc logs tler"); !strings.Contains(got, "ata-QEMU_HARDDISK_ZC ") || task.State != unit.Ready || task.Since > pool.Since {
				t.Errorf("it is %s, ready %v after the pool: %q", task.State, time.Duration(task.Since-pool.Since), got)
			}
		})
		v.part(t, "another host's", func(t *testing.T) {
			if r := v.noted("pool:alien", "previously in use from another system"); r.State == unit.Ready || r.Well() {
				t.Errorf("%s: %s", r.State, told(r))
			}
		})
		v.part(t, "svc unlock", func(t *testing.T) {
			v.noted("pool:tank", "tank/secret is locked: svc unlock tank/secret")
			if r := v.unitStatus("vault"); r.State == unit.Ready {
				t.Error("what needs the dataset is started before it is unlocked")
			}
			if out, exit := v.Run("echo wrong | svc unlock tank/secret"); exit != 1 || !strings.Contains(out, "ncorrect") {
				t.Errorf("a wrong passphrase: exit %d: %s", exit, out)
			}
			// A person: asked, not shown what is typed, told what is wrong with it.
			const prompt = "Passphrase of tank/secret: "
			for typed, says := range map[string]string{"wrong horse": "ncorrect", "": "no passphrase was given"} {
				out, exit := v.typed("svc unlock tank/secret", prompt, typed)
				if exit == 0 || !strings.Contains(out, says) || typed != "" && strings.Contains(out, typed) {
					t.Errorf("%q at the prompt: exit %d: %q", typed, exit, out)
				}
			}
			if r := v.unitStatus("vault"); r.State == unit.Ready {
				t.Error("a wrong passphrase unlocks")
			}
			out, exit := v.typed("svc unlock tank/secret", prompt, passphrase)
			if exit != 0 || !strings.Contains(out, "tank/secret is unlocked") || strings.Contains(out, passphrase) {
				t.Errorf("exit %d: %q", exit, out)
			}
			v.untilState("vault", unit.Ready)
			if got := v.Must("cat /tank/secret/file"); got != "secret" {
				t.Errorf("the file holds %q", got)
			}
			// sshd's log says nothing of commands, so who else would.
			if got := v.Must("(svc logs -n 100000; dmesg; grep -r . /run/hoopy /run/udev 2>/dev/null) | grep -c '" + passphrase + "' || true"); got != "0" {
				t.Errorf("the passphrase stands in %s lines", got)
			}
		})
		v.part(t, "scrub", func(t *testing.T) {
			v.Must("zpool scrub -w tank")
			if r := v.unitStatus("pool:tank"); !r.Well() {
				t.Errorf("after a scrub: %s", told(r))
			}
		})
		v.part(t, "a disk is pulled", func(t *testing.T) {
			v.pull(zb)
			v.Must("echo more >/tank/misc/more && zpool sync tank")
			if r := v.noted("pool:tank", "ZB is "); r.State != unit.Ready {
				t.Errorf("%s: %s", r.State, told(r))
			}
		})
		v.part(t, "somebody in the pool at the end", func(t *testing.T) {
			v.Must(`cd /tank/misc && (setsid sh -c 'trap "" HUP TERM; exec 3>held; while :; do sleep 1; done' </dev/null >/dev/null 2>&1 &)`)
			began := time.Now()
			v.off()
			t.Logf("off after %.1f s, 2 of it for who did not leave the pool", time.Since(began).Seconds())
			v.lastWords("did not end when asked to, killed", "tank is exported", "twin is exported")
			if strings.Contains(v.Console(), "is not exported") {
				t.Error("a pool was left as it was")
			}
		})
	})

	t.Run("disks missing", func(t *testing.T) {
		known := maps.Clone(files)
		known["etc/init.toml"] = zfsInit(pools)
		late := append([]disk(nil), disks...)
		late[2].absent, late[4].absent = true, true // ZB of tank, ZD of twin
		v := storageMachine(t, true, known, late...).boot(t)
		v.untilState("devices", unit.Ready)
		v.eventually("zfs", "test -d /proc/spl/kstat/zfs")
		v.part(t, "degraded is refused", func(t *testing.T) {
			r := v.noted("pool:twin", `degraded = "refuse"`)
			if r.State == unit.Ready || !strings.Contains(told(r), "1 of 2 disks") {
				t.Errorf("%s: %s", r.State, told(r))
			}
			v.plug(disks[4])
			v.untilState("pool:twin", unit.Ready)
			v.noted("pool:twin", "ONLINE")
		})
		v.part(t, "degraded is allowed", func(t *testing.T) {
			v.untilState("pool:tank", unit.Ready)
			r := v.noted("pool:tank", "DEGRADED")
			if r.Sick == "" || !strings.Contains(r.Sick, "ZB") {
				t.Errorf("svc status does not say which disk: %s", told(r))
			}
			v.untilState("photos", unit.Ready)
		})
		began := time.Now()
		v.off()
		t.Logf("off with two pools after %.1f s", time.Since(began).Seconds())
	})

	t.Run("zpool hangs", func(t *testing.T) {
		deaf := maps.Clone(files)
		deaf["sbin/zpool"] = File{Mode: 0o755, Content: []byte("#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do sleep 1000; done\n")}
		v := storageMachine(t, true, deaf, disks...).boot(t)
		now := v.untilState("sshd", unit.Ready).Since
		t.Logf("sshd is ready %.1f s after the start, with a zpool that answers %.1f s", float64(now)/1e9, float64(usual)/1e9)
		if usual != 0 && now > usual+unit.Time(30*time.Second) { // less than what waits for a zpool waits, more than a busy host costs
			t.Errorf("sshd is ready after %.1f s, usually after %.1f s", float64(now)/1e9, float64(usual)/1e9)
		}
		v.untilState("mount:/persist", unit.Ready)
		v.untilUnit("pool:tank", "starting", func(r unit.Report) bool { return r.State == unit.Starting })
		if r := v.unitStatus("photos"); r.State == unit.Ready {
			t.Error("what needs the pool is started")
		}
		// That nothing is imported is known without zpool, so an import hangs first.
		v.eventually("an import", "ps -o args | grep -q '[z]pool import'")
		off := time.Now()
		v.off()
		took := time.Since(off)
		t.Logf("off after %.1f s with a zpool that hangs and nothing imported", took.Seconds())
		if took > 30*time.Second { // an export is given 45
			t.Errorf("off after %v", took)
		}
	})
}
