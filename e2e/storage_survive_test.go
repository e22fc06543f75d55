//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

// rounds is how many times each way of ending a machine is tried.
func rounds() int {
	if soak() {
		return 50
	}
	return 5
}

// soak says whether there is time for everything: make soak.
func soak() bool { return os.Getenv("HOOPY_SOAK") != "" }

// TestData boots a machine again and again, ended in order and by power cuts in
// turn, each time while something is being written. What was written and synced
// is whole, on ext4, on vfat and on ZFS; no seed is ever credited twice.
func TestData(t *testing.T) {
	stick := disk{id: "STICK", path: VFAT(t, 64, "B61B-19E7", "HOOPY"), bus: usb}
	disks := []disk{stick, {id: "EXT4", path: Ext4(t, 64, "7a9b5a34-6d37-4e46-8fd1-7c5e0d0a8a13", "srv"), bus: sata}}
	more := "\n[[mount]]\nwhat = \"LABEL=srv\"\nwhere = \"/srv\"\n"
	places, units := []string{"/persist", "/srv"}, []string{"mount:/persist", "mount:/srv"}
	s, err := storageImage()
	if err != nil {
		t.Fatalf("the image does not build: %v", err)
	}
	if s.zfs == nil {
		za, zb := disk{id: "ZA", path: zfsDisk(t, 128), bus: virtio}, disk{id: "ZB", path: zfsDisk(t, 128), bus: nvme}
		disks = append(disks, za, zb)
	} else {
		t.Log("without ZFS: ", s.zfs)
	}
	// A service that writes until it is stopped, or the power goes.
	writer := func() File {
		return file(`needs = ["` + strings.Join(units, `", "`) + `"]
command = "i=0; while :; do i=$((i+1)); for d in ` + strings.Join(places, " ") + `; do dd if=/dev/urandom of=$d/torn bs=64k count=8; mv $d/torn $d/torn$((i % 4)); done; done"
manual  = true
`)
	}
	m := storageMachine(t, false, map[string]File{"etc/init.toml": zfsInit(more), "etc/svc/writer.toml": writer()}, disks...)
	if s.zfs == nil {
		v := m.boot(t)
		v.untilState("mount:/persist", unit.Ready)
		v.Must("modprobe zfs && zpool create -o cachefile=none -O mountpoint=/tank tank mirror /dev/disk/by-id/virtio-ZA-part1 /dev/disk/by-id/nvme-*ZB-part1")
		v.Must("zpool export tank")
		v.off()
		places, units = append(places, "/tank"), append(units, "pool:tank")
		m = storageMachine(t, true, map[string]File{"etc/init.toml": zfsInit(more + "\n[[pool]]\nname = \"tank\"\n"), "etc/svc/writer.toml": writer()}, disks...)
	}

	sums := map[string]string{}   // of files that were synced
	credited := map[string]bool{} // seeds, by their sums
	var ends, cuts []time.Duration
	for i := range 2 * rounds() {
		seed := seedOn(t, stick.path)
		v := m.boot(t)
		for _, name := range units {
			v.untilState(name, unit.Ready)
		}
		said := v.Console() + v.Must("dmesg")
		switch {
		case seed != "" && strings.Contains(said, "bits credited"):
			if credited[seed] {
				t.Errorf("boot %d: a seed was credited twice", i)
			}
			credited[seed] = true
		case i > 0:
			t.Errorf("boot %d: no seed was credited, %q was on the disk", i, seed)
		}
		// After a cut, and only then, the file systems were checked.
		for _, check := range []string{"mount:/persist: fsck.vfat", "mount:/srv: e2fsck"} {
			if checked, cut := strings.Contains(said, check), i%2 == 0 && i > 0; checked != cut {
				t.Errorf("boot %d, after a power cut: %v; the console says %q: %v", i, cut, check, checked)
			}
		}
		// What there was is whole.
		if len(sums) > 0 {
			list := ""
			for name, sum := range sums {
				list += sum + "  " + name + "\n"
			}
			v.Must("cat >/tmp/sums <<'E'\n" + list + "E")
			if out, exit := v.Run("sha256sum -c /tmp/sums 2>&1 | grep -v ': OK$'"); exit == 0 {
				t.Errorf("boot %d: not as it was written:\n%s", i, out)
			}
		}
		// More is written; the older half goes.
		n := strconv.Itoa(i)
		for _, at := range places {
			v.Must("dd if=/dev/urandom of=" + at + "/new bs=64k count=16 2>/dev/null && mv " + at + "/new " + at + "/data" + n)
			if old := at + "/data" + strconv.Itoa(i-4); sums[old] != "" {
				v.Must("rm " + old)
				delete(sums, old)
			}
		}
		v.Must("sync")
		for _, line := range strings.Split(v.Must("sha256sum "+strings.Join(places, "/data"+n+" ")+"/data"+n), "\n") {
			sum, name, _ := strings.Cut(line, "  ")
			sums[name] = sum
		}
		// And something is under way when it ends.
		v.Must("svc start writer")
		v.eventually("the writer", "ls "+places[0]+"/torn1 "+places[len(places)-1]+"/torn1")
		began := time.Now()
		if i%2 == 1 {
			v.cut()
			cuts = append(cuts, time.Since(began))
			continue
		}
		v.off()
		ends = append(ends, time.Since(began))
		// The host sees the same, without a journal to replay.
		for name, sum := range sums {
			switch {
			case strings.HasPrefix(name, "/persist/"):
				if got := sumOf(fromVFAT(t, stick.path, name[len("/persist/"):])); got != sum {
					t.Errorf("boot %d: %s is not whole on the host", i, name)
				}
			case strings.HasPrefix(name, "/srv/"):
				if got := sumOf(fromExt4(t, disks[1].path, name[len("/srv"):])); got != sum {
					t.Errorf("boot %d: %s is not whole on the host", i, name)
				}
			}
		}
		if vfatDirty(t, stick.path) {
			t.Errorf("boot %d: the persistence device was not unmounted", i)
		}
	}
	t.Logf("%d power-offs while something was written: %v; %d power cuts; %d seeds, none twice", len(ends), ends, len(cuts), len(credited))
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// seedOn is the sum of the seed that the next boot may credit; empty: there is
// none.
func seedOn(t testing.TB, image string) string {
	t.Helper()
	out, err := exec.Command(sbin(t, "mtools", "mtype"), "-i", image, "::seedrng/seed.credit").Output()
	if err != nil || len(out) == 0 {
		return ""
	}
	return sumOf(string(out))
}

// TestSeed cuts the power at several moments of a boot and of its end. A seed that
// was credited is on the disk no more when the machine is gone, and no two seeds
// are equal.
func TestSeed(t *testing.T) {
	stick := disk{id: "STICK", path: VFAT(t, 64, "B61B-19E7", "HOOPY"), bus: virtio}
	m := storageMachine(t, false, map[string]File{"etc/init.toml": zfsInit("")}, stick)
	used := map[string]string{} // seed, and the boot that credited it
	ended := ""
	for _, end := range []string{"power-off", "at the start", "power-off", "when it was used", "when sshd answers", "at the end", "power-off"} {
		before := seedOn(t, stick.path)
		v := m.boot(t)
		switch end {
		case "at the start":
			v.Expect(`hoopy \S+ on Linux`, 0)
		default:
			v.Expect(`seed: .*\n`, 0)
		}
		switch end {
		case "at the start", "when it was used":
			v.cut()
		case "when sshd answers":
			v.untilState("boot", unit.Ready)
			v.cut()
		case "at the end":
			v.untilState("boot", unit.Ready)
			v.Start("svc poweroff")
			v.Expect(`power-off: asked|stopped|dropped here`, 0)
			v.cut()
		default:
			v.untilState("boot", unit.Ready)
			v.off()
		}
		after := seedOn(t, stick.path)
		if before != "" && strings.Contains(v.Console(), "bits credited") {
			if was := used[before]; was != "" {
				t.Errorf("a seed was credited in the boot ended %s, and again in the one ended %s", was, end)
			}
			used[before] = end
		} else if ended == "power-off" && end != "at the start" {
			t.Errorf("ended %s, after a power-off: no seed was credited", end)
		}
		ended = end
		if used[after] != "" {
			t.Errorf("ended %s: a seed that was credited lies on the disk", end)
		}
	}
	if len(used) < 4 {
		t.Errorf("%d seeds were credited: power cuts cost too many", len(used))
	}
}
