//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

func TestPowerButton(t *testing.T) {
	v := bootWith(t, map[string]File{
		"etc/svc/stubborn.toml": file(`command = ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
stop_timeout = "2s"
`),
	}, func(c *Config) { c.Cmdline += " hoopy.log=debug" })
	// The keyboard has such a key, too; a press that nobody listens for is lost.
	v.Expect(`(?s)power button on.*power button on`, 0)
	v.untilState("stubborn", unit.Ready)
	pressed := time.Now()
	v.PowerButton()
	v.Expect(`power-off: asked by the power button`, 0)
	v.Expect(`stubborn +stopping +did not end within 2 s, killed`, 0)
	if got := v.Ended(0); got != "guest-shutdown" {
		t.Errorf("the machine ended by %q", got)
	}
	t.Logf("off %.1f s after the button, 2 s of it for the service that ignores TERM", time.Since(pressed).Seconds())
}

func TestHalt(t *testing.T) {
	v := bootWith(t, nil)
	v.Expect(`(?m)boot +ready`, 0)
	v.Start("svc halt") // nobody waits for what it says: the machine stands still
	v.Expect(`halt: asked by root`, 0)
	v.Expect(`(?i)system halted`, 0)
}

// TestRescueByCommandLine asks for the shell first; leaving it boots the machine.
func TestRescueByCommandLine(t *testing.T) {
	v := bootWith(t, nil, func(c *Config) { c.Cmdline += " hoopy.rescue nobody.knows=this" })
	v.Expect(`rescue shell`, 0)
	v.Expect(`[#$] `, 0)
	if err := v.Send("echo in$((40+2)); exit\n"); err != nil {
		t.Fatal(err)
	}
	v.Expect(`in42`, 0)
	v.Expect(`(?m)boot +ready`, 0)
	v.Must("svc status sshd")
}

// TestTruncatedImage cuts the image short: the kernel boots it all the same.
func TestTruncatedImage(t *testing.T) {
	kernel, initrd := Image(t)
	v := bootWith(t, nil, func(c *Config) {
		c.Kernel, c.Initrd = kernel, truncate(t, initrd)
	})
	line := v.Expect(`(?m)^.*/\.hoopy/complete.*$`, 0)[0]
	if !strings.Contains(line, "IMAGE IS NOT COMPLETE") {
		t.Errorf("the console says %q", line)
	}
}

// truncate copies a file without its last part.
func truncate(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "truncated")
	if err := os.WriteFile(out, b[:len(b)-64], 0o644); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestEndWithSessions ends a machine on which somebody is logged in, and something
// that they started will not go and keeps a file open.
func TestEndWithSessions(t *testing.T) {
	const stick, data = "B61B-19E7", "0b5e4a11-0000-4000-8000-000000000002"
	m := storageMachine(t, false, map[string]File{"etc/init.toml": initTOML(`
[persist]
device = "UUID=` + stick + `"

[[mount]]
what  = "UUID=` + data + `"
where = "/data"
`)},
		disk{id: "STICK", path: VFAT(t, 64, stick, "HOOPY"), bus: usb}, disk{id: "DATA", path: Ext4(t, 16, data, "data"), bus: virtio})
	v := m.boot(t)
	v.untilState("mount:/data", unit.Ready)
	v.untilState("mount:/persist", unit.Ready)
	v.Must(`cd /data && (setsid sh -c 'trap "" HUP TERM; exec 3>held; while :; do sleep 1; done' </dev/null >/dev/null 2>&1 &)`)
	person := v.shell()
	began := time.Now()
	person.says("cd /data; svc poweroff", "power-off is on its way")
	if got := v.Ended(2 * time.Minute); got != "guest-shutdown" {
		t.Errorf("the machine ended by %q", got)
	}
	t.Logf("off %.1f s after svc poweroff, with what does not go in the way", time.Since(began).Seconds())
	v.lastWords("sh (pid", "did not end when asked to, killed", "mount:/data     stopped")
	if strings.Contains(v.Console(), "detached") {
		t.Error("a mount was taken away from under those who used it")
	}
	// The next boot knows of it, and takes it off the device: should that boot end
	// by a power cut, nobody takes an old end for the last one.
	v = m.boot(t)
	v.untilState("mount:/persist", unit.Ready)
	if got := v.Must("svc blame --end"); !regexp.MustCompile(`(?s)^last end: power-off at .*, [0-9.]+ s, longest: .*mount:/data`).MatchString(got) {
		t.Errorf("svc blame --end says:\n%s", got)
	}
	if got := v.Must("svc blame --end --svg"); !strings.HasPrefix(got, "<svg") {
		t.Errorf("svc blame --end --svg says:\n%s", got)
	}
	v.Must("sync")
	v.cut()
	v = m.boot(t)
	v.untilState("mount:/persist", unit.Ready)
	if got := v.Must("svc blame --end"); !strings.HasPrefix(got, "the last end was none in order") {
		t.Errorf("after a power cut svc blame --end says:\n%s", got)
	}
}
