//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

// TestBenchPool prints the time from the power button to off with a pool of four
// disks and without, in turn, on one machine with these disks.
func TestBenchPool(t *testing.T) {
	if *benchBoots <= 0 {
		t.Skip("a benchmark; run `make bench`")
	}
	var disks []disk
	for _, id := range []string{"A", "B", "C", "D"} {
		disks = append(disks, disk{id: id, path: zfsDisk(t, 128), bus: virtio})
	}
	init := func(more string) map[string]File { return map[string]File{"etc/init.toml": initTOML(hostid + more)} }
	with := storageMachine(t, true, init("[[pool]]\nname = \"tank\"\n"), disks...)
	without := storageMachine(t, true, init(""), disks...)
	with.cmdline, without.cmdline = benchCmdline, benchCmdline

	v := without.boot(t)
	v.eventually("all members", "ls /dev/disk/by-id/virtio-A-part1 /dev/disk/by-id/virtio-B-part1 /dev/disk/by-id/virtio-C-part1 /dev/disk/by-id/virtio-D-part1")
	v.Must("modprobe zfs && echo 12648430 >/sys/module/spl/parameters/spl_hostid") // 0xc0ffee
	v.Must("cd /dev/disk/by-id && zpool create -o cachefile=none -O mountpoint=/tank tank raidz1 virtio-*-part1 && zfs create tank/photos && zfs create tank/misc && zpool export tank")
	v.off()

	off := map[*machine][]time.Duration{}
	for i := range *benchBoots {
		for _, m := range []*machine{with, without} {
			t.Run(fmt.Sprintf("%s/%d", map[bool]string{true: "pool", false: "none"}[m == with], i+1), func(t *testing.T) {
				v := m.boot(t)
				v.untilState("boot", unit.Ready)
				if m == with {
					v.untilState("pool:tank", unit.Ready)
					v.Must("dd if=/dev/zero of=/tank/photos/file bs=64k count=64 && sync")
				}
				v.client.Close()
				v.client = nil
				pressed := time.Now()
				v.PowerButton()
				if reason := v.Ended(0); reason != "guest-shutdown" {
					t.Fatalf("the power button ended the machine by %q", reason)
				}
				off[m] = append(off[m], time.Since(pressed))
			})
		}
	}
	if t.Failed() {
		return
	}
	load, _ := os.ReadFile("/proc/loadavg")
	t.Logf("host load %s\npower button to off, seconds, median (range) of %d\n  a raidz1 of 4 disks  %s\n  no pool              %s\n  ratio                %.2f",
		strings.TrimSpace(string(load)), *benchBoots, spread(off[with]), spread(off[without]), median(off[with]).Seconds()/median(off[without]).Seconds())
}
