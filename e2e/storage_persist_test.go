//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

// TestPersist is the life of a persistence device on USB in one machine: absent,
// plugged in late, pulled, plugged in again, there twice, and given back clean.
func TestPersist(t *testing.T) {
	stick := disk{id: "STICK", path: VFAT(t, 64, "B61B-19E7", "HOOPY"), bus: usb, absent: true}
	twin := disk{id: "TWIN", path: VFAT(t, 64, "B61B-19E7", "HOOPY"), bus: usb, absent: true}
	m := storageMachine(t, false, map[string]File{
		"etc/init.toml": initTOML(`
[persist]
device = "UUID=B61B-19E7"
path   = "/media/usb"
wait   = "3s"

[[mount]]
what     = "UUID=DEAD-BEEF"
where    = "/nothing"
required = false
wait     = "2s"

[[mount]]
what  = "LABEL=nobody"
where = "/needed"
wait  = "2s"
`),
		"etc/svc/diary.toml": file(`needs = ["mount:/media/usb"]
command = "echo open; exec sleep 100000"
`),
		// No host key, unlike what make run lays: ssh-keys has to see to it.
		"etc/ssh/ssh_host_ed25519_key":     file(""),
		"etc/ssh/ssh_host_ed25519_key.pub": {Link: "/nowhere"},
	}, stick, twin)
	v := m.boot(t)
	const persist = "mount:/persist"
	missing := func() bool {
		_, exit := v.Run("grep -q 'persistence device is missing' /etc/motd")
		return exit == 0
	}

	v.part(t, "absent", func(t *testing.T) {
		v.Expect(`mount:/persist +back-off`, 0)
		v.untilState("boot", unit.Ready)
		if r := v.noted(persist, "UUID=B61B-19E7"); r.Well() {
			t.Errorf("it counts as well: %+v", r)
		}
		if !missing() {
			t.Error("the message of the day does not say so")
		}
		if r := v.unitStatus("diary"); r.State == unit.Ready {
			t.Error("what needs the device was started")
		}
		if r := v.untilState("mount:/nothing", unit.Skipped); !strings.Contains(told(r), "UUID=DEAD-BEEF") {
			t.Errorf("an optional mount without its device: %s", told(r))
		}
		v.noted("mount:/needed", "LABEL=nobody")
		v.Must("svc status sshd")
		if r := v.unitStatus("ssh-keys"); r.Well() {
			t.Errorf("a host key of this boot alone counts as well: %+v", r)
		}
		if got := v.Must("svc status"); !strings.Contains(got, "sshd has a host key for this boot only: the persistence device is not there") {
			t.Errorf("svc status says nothing of the host key:\n%s", got)
		}
	})
	v.part(t, "late", func(t *testing.T) {
		v.plug(stick)
		r := v.untilState(persist, unit.Ready)
		t.Logf("%s: %s", persist, r.Note)
		v.untilState("diary", unit.Ready)
		v.untilState("ssh-keys", unit.Ready)
		v.Must("cmp /persist/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_ed25519_key && ls /etc/ssh/ssh_host_ed25519_key.pub")
		if missing() {
			t.Error("the message of the day still says that it is missing")
		}
		if got := v.Must("grep ' /media/usb vfat ' /proc/mounts"); !strings.Contains(got, "rw,noatime") || !strings.Contains(got, "fmask=0177") {
			t.Errorf("mounted with %q", got)
		}
		v.Must("ls /persist/seedrng/seed.credit /dev/disk/by-uuid/B61B-19E7 /dev/disk/by-label/HOOPY /dev/disk/by-id/usb-*STICK*")
		v.Must("echo one >/persist/file && sync")
	})
	v.part(t, "pulled", func(t *testing.T) {
		v.Must("echo two >/persist/file && sync")
		v.pull(stick)
		v.untilUnit(persist, "not ready", func(r unit.Report) bool { return r.State != unit.Ready })
		v.Expect(`mount:/persist +(starting|back-off)`, 0)
		r := v.untilUnit("diary", "stopped", func(r unit.Report) bool { return r.State != unit.Ready && r.State != unit.Stopping })
		if !strings.Contains(told(r)+waits(r), persist) {
			t.Errorf("diary does not say why: %+v", r)
		}
		v.eventually("the mount to go", "! grep -q ' /media/usb ' /proc/mounts")
		v.eventually("the links to go", "! ls /dev/disk/by-uuid/B61B-19E7 /dev/disk/by-id/usb-*STICK*")
		if !missing() {
			t.Error("the message of the day does not say that it is missing")
		}
	})
	v.part(t, "plugged in again", func(t *testing.T) {
		v.plug(stick)
		v.untilState(persist, unit.Ready)
		v.untilState("diary", unit.Ready)
		if got := v.Must("cat /persist/file"); got != "two" {
			t.Errorf("the file holds %q", got)
		}
		// It was pulled while it was mounted, and says so itself.
		if got := v.Must("dmesg"); !strings.Contains(got, persist+": fsck.vfat") {
			t.Error("a file system that was not unmounted was not checked")
		}
	})
	v.part(t, "two of one name", func(t *testing.T) {
		v.plug(twin)
		v.eventually("the twin's links", "ls /dev/disk/by-id/usb-*TWIN*")
		if r := v.unitStatus(persist); r.State != unit.Ready {
			t.Errorf("a twin took the mount away: %+v", r)
		}
		v.Must("svc stop --force " + persist)
		v.Start("svc start " + persist)
		r := v.noted(persist, "take one out")
		if !strings.Contains(told(r), "UUID=B61B-19E7 is on sd") || r.State == unit.Ready {
			t.Errorf("%s, %s", r.State, told(r))
		}
		v.pull(twin)
		v.untilState(persist, unit.Ready)
		if got := v.Must("cat /persist/file"); got != "two" {
			t.Errorf("the file holds %q: the wrong one is mounted", got)
		}
		v.untilUnit("diary", "started again", func(r unit.Report) bool { return r.State == unit.Ready || !r.Up })
	})
	v.part(t, "given back", func(t *testing.T) {
		v.Must("echo three >/persist/file")
		began := time.Now()
		v.off()
		t.Logf("off after %.1f s", time.Since(began).Seconds())
		v.lastWords("mount:/persist  stopped")
		if got := fromVFAT(t, stick.path, "file"); got != "three\n" {
			t.Errorf("the file holds %q", got)
		}
		if vfatDirty(t, stick.path) {
			t.Error("the file system is marked as not unmounted")
		}
	})
}

// waits are the names of what a unit waits for.
func waits(r unit.Report) (names string) {
	for _, w := range r.Waits {
		names += " " + w.Name
	}
	return names
}

// fromVFAT reads a file of an image on the host.
func fromVFAT(t testing.TB, image, name string) string {
	t.Helper()
	out, err := exec.Command(sbin(t, "mtools", "mtype"), "-i", image, "::"+name).Output()
	if err != nil {
		t.Errorf("mtype %s: %v", name, err)
	}
	return string(out)
}

// fromExt4 reads a file of an image on the host; with ?offset=BYTES behind it, of a
// partition of one.
func fromExt4(t testing.TB, image, name string) string {
	t.Helper()
	out, err := exec.Command(sbin(t, "e2fsprogs", "debugfs"), "-R", "cat "+name, image).Output()
	if err != nil {
		t.Errorf("debugfs: cat %s: %v", name, err)
	}
	return string(out)
}

// vfatDirty reads the bit that Linux sets while it is mounted: fs/fat/inode.c,
// fat_set_state.
func vfatDirty(t testing.TB, image string) bool {
	t.Helper()
	b := make([]byte, 512)
	f, err := os.Open(image)
	if err == nil {
		defer f.Close()
		_, err = f.ReadAt(b, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	state := b[0x25] // FAT12 and FAT16
	if b[0x16] == 0 && b[0x17] == 0 {
		state = b[0x41]
	}
	return state&1 != 0
}
