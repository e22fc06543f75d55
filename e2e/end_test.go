//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
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
	v.Start("svc halt") // its connection never ends: the machine stands still
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
