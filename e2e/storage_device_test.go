//go:build e2e

package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

// TestDisks holds the names of disks on every bus, and a burst of them.
func TestDisks(t *testing.T) {
	table := Raw(t, 64)
	gpt(t, table, part{mib: 16, kind: "U", name: "boot part", uuid: "0fc63daf-0000-4000-8000-000000000001"},
		part{mib: 32, kind: "L", uuid: "0fc63daf-0000-4000-8000-000000000002"})
	mkfsAt(t, table, 17, 32, "e2fsprogs", "mkfs.ext4", "-q", "-F", "-U", "7a9b5a34-6d37-4e46-8fd1-000000000002", "-L", "a/b c")
	disks := []disk{
		{id: "DV", path: table, bus: virtio}, {id: "DA", path: Raw(t, 16), bus: sata}, {id: "DN", path: Raw(t, 16), bus: nvme},
		{id: "DS", path: Raw(t, 16), bus: scsi}, {id: "DU", path: Raw(t, 16), bus: usb},
	}
	v := storageMachine(t, false, map[string]File{"bin/flood": program(t, "./testdata/flood", "-ldflags", "-s -w"), "etc/init.toml": initTOML(`
[persist]
device = "PARTUUID=0fc63daf-0000-4000-8000-000000000002"
`)}, disks...).boot(t)
	v.Expect(`(?m)boot +ready`, 0)

	v.part(t, "a partition with ext4 persists", func(t *testing.T) {
		v.untilState("mount:/persist", unit.Ready)
		if got := v.Must("grep ' /persist ' /proc/mounts"); !strings.HasPrefix(got, "/dev/vda2 /persist ext4 rw,noatime") {
			t.Errorf("mounted with %q", got)
		}
		v.Must("ls /persist/seedrng/seed.credit && echo kept >/persist/file")
	})

	v.part(t, "names", func(t *testing.T) {
		for link, want := range map[string]string{
			"by-id/virtio-DV": "vda", "by-id/virtio-DV-part2": "vda2", "by-id/ata-QEMU_HARDDISK_DA": "sd", "by-id/nvme-QEMU_NVMe_Ctrl_DN": "nvme0n1",
			"by-id/scsi-0QEMU_QEMU_HARDDISK_DS": "sd", "by-id/usb-QEMU_QEMU_HARDDISK_DU-0:0": "sd",
			"by-partuuid/0fc63daf-0000-4000-8000-000000000001": "vda1", `by-partlabel/boot\x20part`: "vda1",
			"by-uuid/7a9b5a34-6d37-4e46-8fd1-000000000002": "vda2", `by-label/a\x2fb\x20c`: "vda2",
		} {
			v.eventually(link+", to "+want, "case $(readlink -f '/dev/disk/"+link+"') in /dev/"+want+"*) ;; *) false ;; esac")
		}
	})
	v.part(t, "an array and a map", func(t *testing.T) {
		leads := func(link, to string) {
			t.Helper()
			v.eventually(link, "[ /dev/"+to+" = \"$(readlink -f '/dev/"+link+"')\" ]")
		}
		const fs = "7a9b5a34-6d37-4e46-8fd1-00000000000"
		v.Must("modprobe raid1 && timeout 50 mdadm --create /dev/md/mirror --run --level=1 --raid-devices=2 --homehost=box --name=mirror --uuid=0a0b0c0d:00000001:00000002:00000003" +
			" /dev/disk/by-id/ata-QEMU_HARDDISK_DA /dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_DS")
		v.eventually("the array", "ls /dev/disk/by-id/md-uuid-*")
		md := v.Must("basename $(readlink -f /dev/disk/by-id/md-uuid-*)")
		v.Must("mkfs.ext4 -q -U " + fs + "3 -L mirrored /dev/" + md)
		links := []string{"disk/by-id/md-name-box:mirror", "disk/by-id/md-uuid-0a0b0c0d:00000001:00000002:00000003", "md/mirror", "disk/by-uuid/" + fs + "3", "disk/by-label/mirrored"}
		for _, link := range links {
			leads(link, md)
		}
		v.Must("timeout 50 mdadm --stop /dev/md/mirror")
		for _, link := range links {
			v.eventually("the end of "+link, "[ ! -L '/dev/"+link+"' ]")
		}
		v.Must("timeout 50 mdadm --assemble --homehost=box /dev/md/mirror --uuid=0a0b0c0d:00000001:00000002:00000003")
		v.eventually("the array", "ls /dev/disk/by-id/md-uuid-*")
		md = v.Must("basename $(readlink -f /dev/disk/by-id/md-uuid-*)")
		for _, link := range links {
			leads(link, md)
		}
		v.Must("timeout 50 mdadm --stop /dev/md/mirror")

		v.Must("echo 0 16384 linear /dev/nvme0n1 2048 | timeout 50 dmsetup create 'dark side'")
		v.eventually("the map", "[ -b '/dev/mapper/dark\\x20side' ]")
		dm := v.Must("basename $(readlink -f /dev/mapper/dark*)")
		v.Must("mkfs.ext4 -q -U " + fs + "4 /dev/mapper/dark*")
		for _, link := range []string{`disk/by-id/dm-name-dark\x20side`, "disk/by-uuid/" + fs + "4"} {
			leads(link, dm)
		}
		v.Must("timeout 50 dmsetup remove 'dark side'")
		v.Must("echo 0 16384 linear /dev/nvme0n1 2048 | timeout 50 dmsetup --verifyudev create second && [ -b /dev/mapper/second ] && timeout 50 dmsetup remove second")
		v.eventually("the map to go", "! ls /dev/mapper/dark* && ! ls /dev/disk/by-id/dm-name-* && ! ls /dev/disk/by-uuid/"+fs+"4")
	})
	v.part(t, "a driver that a dying supervisor took along", func(t *testing.T) {
		const link = "/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_DU-0:0"
		v.Must("cd /sys/bus/usb/drivers/usb-storage && echo *:* >unbind")
		v.eventually("the disk without its driver to go", "[ ! -e "+link+" ]")
		v.Must(killSupervisor)
		v.eventually("the disk to be back", "[ -e "+link+" ]")
	})
	v.part(t, "64 in a burst", func(t *testing.T) {
		const crowd = 64
		list := func() string { return v.Must("cd /dev/disk && ls -d by-id/* by-path/* 2>/dev/null") }
		before := list()
		var burst []disk
		for i := range crowd {
			d := disk{id: "B" + strconv.Itoa(100+i), bus: scsi}
			v.nullDisk(d)
			burst = append(burst, d)
		}
		began := time.Now()
		for _, d := range burst {
			v.plug(d)
		}
		v.eventually("64 disks", "[ $(ls -d /sys/class/block/sd* | wc -l) -ge 67 ]")
		there := time.Since(began)
		v.eventually("64 names by id", "[ $(ls -d /dev/disk/by-id/scsi-*HARDDISK_B1* | wc -l) -eq 64 ]")
		v.eventually("64 names by path", "[ $(ls -d /dev/disk/by-path/* | wc -l) -ge 75 ]")
		t.Logf("64 disks after %.1f s, all names after %.1f s", there.Seconds(), time.Since(began).Seconds())
		// Every disk has a name of each kind that leads to it.
		if got := v.Must("ls -l /dev/disk/by-id >/tmp/ids; ls -l /dev/disk/by-path >/tmp/paths; for d in /sys/class/block/sd*; do n=${d##*/}; for f in /tmp/ids /tmp/paths; do grep -q \"/$n\\$\" $f || echo $n $f; done; done"); got != "" {
			t.Errorf("without a name:\n%s", got)
		}
		for _, d := range burst {
			v.QMP("device_del", map[string]any{"id": d.id})
		}
		v.eventually("the disks to go", "[ $(ls -d /sys/class/block/sd* | wc -l) -eq 3 ]")
		v.eventually("their names to go", "[ $(ls -d /dev/disk/by-id/scsi-*HARDDISK_B1* 2>/dev/null | wc -l) -eq 0 ]")
		if after := list(); after != before {
			t.Errorf("names before:\n%s\nand after:\n%s", before, after)
		}
		if out, _ := v.Run("svc status devices"); !strings.Contains(out, "ready") {
			t.Errorf("devices is not ready any more:\n%s", out)
		}
	})
	v.part(t, "a flood of events", func(t *testing.T) { flood(t, v) })
	v.part(t, "the end", func(t *testing.T) {
		// reboot(2) waits for the scan of a SCSI bus that is under way: 256 targets.
		v.eventually("the scan of the SCSI bus", "! grep -q do_scan_async /proc/[0-9]*/stack 2>/dev/null")
		v.Must("svc stop --force mount:/persist")
		v.off()
		if got := fromExt4(t, table+"?offset="+strconv.Itoa(17<<20), "/file"); got != "kept\n" {
			t.Errorf("the file holds %q", got)
		}
	})
}
