//go:build e2e

package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"hoopy/unit"
)

// TestMounts holds the other mounts that init.toml can ask for, and swap, against
// what the kernel has of them: by label, by path, in one another, bound, overlaid,
// in memory; given back so that the disks are clean.
func TestMounts(t *testing.T) {
	data, more, swap := Ext4(t, 64, "6d0e2a7c-0f5c-4a53-9d0c-000000000001", "data"), Ext4(t, 32, "6d0e2a7c-0f5c-4a53-9d0c-000000000002", "more"), Raw(t, 64)
	format(t, "util-linux", "mkswap", "-q", "-L", "spare", swap)
	m := storageMachine(t, false, map[string]File{
		"etc/init.toml": initTOML(`
[persist]
device = "LABEL=data"

# Said before the folder that it lies in.
[[mount]]
what    = "/dev/disk/by-label/more"
where   = "/persist/deep/er"
options = "ro"

[[mount]]
what    = "/persist/photos"
where   = "/srv/photos"
options = "bind"
needs   = ["make"]

[[mount]]
what    = "overlay"
where   = "/usr/share"
options = "lowerdir=/usr/share,upperdir=/persist/upper,workdir=/persist/work"
needs   = ["make"]

[[mount]]
what    = "tmpfs"
where   = "/scratch"
options = "size=1M,mode=1777"

[[swap]]
what     = "LABEL=spare"
priority = 7

[[swap]]
what = "zram"
size = "32M"
`),
		"etc/svc/make.toml": file(`kind = "task"
needs = ["mount:/persist"]
command = "mkdir -p /persist/photos /persist/upper /persist/work && echo cat >/persist/photos/1"
`),
		"etc/svc/viewer.toml": file(`needs = ["mount:/srv/photos", "mount:/persist/deep/er"]
command = "cd /srv/photos; exec sleep 100000"
`),
	}, disk{id: "D", path: data, bus: virtio}, disk{id: "M", path: more, bus: sata}, disk{id: "S", path: swap, bus: virtio})
	v := m.boot(t)

	v.part(t, "all there", func(t *testing.T) {
		for _, name := range []string{"mount:/persist", "mount:/persist/deep/er", "mount:/srv/photos", "mount:/usr/share", "mount:/scratch", "swap:LABEL=spare", "swap:zram", "viewer"} {
			v.untilState(name, unit.Ready)
		}
		mounts := v.Must("cat /proc/mounts")
		for _, want := range []string{
			"/dev/vda /persist ext4 rw,noatime", " /persist/deep/er ext4 ro,", "/dev/vda /srv/photos ext4 rw,", "overlay /usr/share overlay rw,",
			" /scratch tmpfs rw,", "size=1024k",
		} {
			if !strings.Contains(mounts, want) {
				t.Errorf("no %q in\n%s", want, mounts)
			}
		}
		if got := v.Must("cat /srv/photos/1"); got != "cat" {
			t.Errorf("the photo is %q", got)
		}
		v.Must("echo kept >/usr/share/written && cp /usr/share/written /scratch/")
		swaps := v.Must("cat /proc/swaps")
		for _, want := range []string{"/dev/vdb", "\t7", "/dev/zram"} {
			if !strings.Contains(swaps, want) {
				t.Errorf("no %q in\n%s", want, swaps)
			}
		}
		t.Log(v.Must("svc status"))
	})
	v.part(t, "one stopped takes what needs it along, and no other", func(t *testing.T) {
		if out, exit := v.Run("svc stop mount:/srv/photos"); exit == 0 || !strings.Contains(out, "viewer") {
			t.Errorf("stopped below viewer (%d):\n%s", exit, out)
		}
		v.Must("svc stop --force mount:/srv/photos swap:zram")
		v.untilState("viewer", unit.Waiting) // it is still wanted
		if got := v.Must("cat /proc/mounts /proc/swaps"); strings.Contains(got, "/srv/photos") || strings.Contains(got, "zram") || !strings.Contains(got, "/persist/deep/er") {
			t.Errorf("left:\n%s", got)
		}
		v.Must("svc start viewer swap:zram")
		v.untilState("viewer", unit.Ready)
		v.untilState("swap:zram", unit.Ready)
	})
	v.part(t, "given back", func(t *testing.T) {
		v.off()
		for path, file := range map[string]string{data: "/upper/written", more: ""} {
			out, err := exec.Command(sbin(t, "e2fsprogs", "dumpe2fs"), "-h", path).CombinedOutput()
			if got := string(out); err != nil || !strings.Contains(got, "state:         clean\n") || strings.Contains(got, "needs_recovery") {
				t.Errorf("%s is dirty: %v\n%s", path, err, got)
			}
			if file != "" {
				if got := fromExt4(t, path, file); got != "kept\n" {
					t.Errorf("%s holds %q", file, got)
				}
			}
		}
		console := v.Console()
		for _, bad := range []string{"busy", "detached", "read-only"} {
			if strings.Contains(console, bad) {
				t.Errorf("%q on the console:\n%s", bad, console)
			}
		}
	})
}
