//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

// flood sends 100,000 events through the kernel's socket as fast as the guest can,
// and plugs and pulls disks meanwhile. All that is there at the end is known, the
// machine answers all the time, and the supervisor does not grow.
func flood(t *testing.T, v *VM) {
	const mostGrowth = 16 << 10 // kB
	epoch, _ := v.epoch()
	pid := v.Must("cat /sys/fs/cgroup/supervisor/cgroup.procs")
	before := v.peak(pid, true)
	had, err := strconv.Atoi(v.Must("ls -d /sys/class/block/sd* | wc -l"))
	if err != nil {
		t.Fatal(err)
	}
	var disks []disk
	for i := range 8 {
		d := disk{id: "F" + strconv.Itoa(100+i), bus: scsi}
		v.nullDisk(d)
		disks = append(disks, d)
	}
	v.Start("flood 100000 4 /sys/class/*/*/uevent >/tmp/flooding 2>&1; mv /tmp/flooding /tmp/flood")
	v.eventually("the first events", "[ -e /tmp/flooding ] || [ -e /tmp/flood ]")
	began, slowest, logins := time.Now(), time.Duration(0), 0
	for i := 0; ; i++ {
		switch {
		case i < len(disks):
			v.plug(disks[i])
		case i < 2*len(disks) && i%2 == 0:
			v.QMP("device_del", map[string]any{"id": disks[i-len(disks)].id})
		}
		asked := time.Now()
		v.client.Close()
		v.client = nil // a login of its own
		if r := v.unitStatus("sshd"); r.State != unit.Ready {
			t.Errorf("sshd is %s", r.State)
		}
		slowest, logins = max(slowest, time.Since(asked)), logins+1
		if _, exit := v.Run("[ -e /tmp/flood ]"); exit == 0 && i >= 2*len(disks) {
			break
		}
		if time.Since(began) > 4*Patience { // of 16 rounds, and 20 s
			v.Fatalf("the flood does not end")
		}
	}
	events, seconds := 0, 0.0
	if _, err := fmt.Sscan(v.Must("cat /tmp/flood"), &events, &seconds); err != nil || events < 1000 {
		t.Errorf("the flood was %d events: %v", events, err)
	}
	// First the kernel has them, then they have names.
	v.eventually("the kernel to find 4 disks of 8", "[ $(ls -d /sys/class/block/sd* | wc -l) -eq "+strconv.Itoa(had+4)+" ]")
	v.eventually("names of 4 disks of 8", "[ $(ls -d /dev/disk/by-id/scsi-*HARDDISK_F1* 2>/dev/null | wc -l) -eq 4 ]")
	for i, d := range disks {
		_, exit := v.Run("[ -b /dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_" + d.id + " ]")
		if there := i%2 != 0; there != (exit == 0) {
			t.Errorf("the name of %s is there: %v, want %v", d.id, exit == 0, there)
		}
	}
	for _, d := range disks {
		if _, err := v.qmp.do("device_del", map[string]any{"id": d.id}); err != nil && !strings.Contains(err.Error(), "not found") {
			t.Error(err)
		}
	}
	v.eventually("their names to go", "[ $(ls -d /dev/disk/by-id/scsi-*HARDDISK_F1* 2>/dev/null | wc -l) -eq 0 ]")
	for _, name := range []string{"devices", "link:lan", "mount:/persist", "sshd"} {
		if r := v.untilState(name, unit.Ready); !r.Well() {
			t.Errorf("%s is not well: %s", name, told(r))
		}
	}
	if now, _ := v.epoch(); now != epoch {
		t.Errorf("the supervisor died: epoch %d, then %d", epoch, now)
	}
	after := v.peak(pid, false)
	if after > before+mostGrowth {
		t.Errorf("the supervisor had %d kB and then up to %d kB", before, after)
	}
	t.Logf("%d events in %.1f s: %.0f a second; %d logins with svc status, the slowest after %.1f s; supervisor %d kB, then up to %d kB; uevents lost %s times",
		events, seconds, float64(events)/seconds, logins, slowest.Seconds(), before, after, v.Must("dmesg | grep -c 'uevents were lost' || true"))
}

var residentPeak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak is the most memory, in kB, that a process had since it was reset.
func (v *VM) peak(pid string, reset bool) int {
	v.t.Helper()
	if reset {
		v.Must("echo 5 >/proc/" + pid + "/clear_refs")
	}
	m := residentPeak.FindStringSubmatch(v.Must("cat /proc/" + pid + "/status"))
	if m == nil {
		v.Fatalf("process %s does not say how large it was", pid)
	}
	n, _ := strconv.Atoi(m[1])
	return n
}
