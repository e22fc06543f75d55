//go:build priv

package keeper

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEarlyMounts(t *testing.T) {
	m := boot(t, Config{IdleEvery: 100 * Millisecond})
	_, _, _ = m.supervisor().hello() // answered when all stand
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", m.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	type point struct{ fstype, options, super string }
	got := map[string]point{}
	for line := range strings.Lines(string(text)) {
		left, right, _ := strings.Cut(strings.TrimSpace(line), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		got[l[4]] = point{r[0], l[5], r[2]}
	}
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		t.Fatal(err)
	}
	// Written from mount(8) of a running systemd 252 and Alpine 3.19, not from
	// the table.
	for _, want := range []struct {
		target, fstype string
		has, not       string // options of the mount
		super          string // options of the file system
		mode           uint32
		maybe          bool
	}{
		{"/proc", "proc", "nosuid nodev noexec", "ro", "", 0o555, false},
		{"/sys", "sysfs", "nosuid nodev noexec", "ro", "", 0o555, false},
		{"/dev", "devtmpfs", "nosuid", "nodev noexec ro", "", 0o755, false},
		{"/dev/pts", "devpts", "nosuid noexec", "nodev", "gid=5 mode=620 ptmxmode=666", 0o755, false},
		{"/dev/shm", "tmpfs", "nosuid nodev", "noexec", "", 0o1777, false},
		{"/dev/mqueue", "mqueue", "nosuid nodev noexec", "", "", 0o1777, true},
		{"/run", "tmpfs", "nosuid nodev", "noexec ro", "mode=755", 0o755, false},
		{"/tmp", "tmpfs", "nosuid nodev", "noexec ro", "", 0o1777, false},
		{"/sys/fs/cgroup", "cgroup2", "nosuid nodev noexec", "ro", "", 0, false},
		{"/sys/kernel/security", "securityfs", "nosuid nodev noexec", "", "", 0, true},
		{"/sys/firmware/efi/efivars", "efivarfs", "nosuid nodev noexec", "", "", 0, true},
		{"/sys/fs/pstore", "pstore", "nosuid nodev noexec", "", "", 0, true},
		{"/sys/kernel/tracing", "tracefs", "nosuid nodev noexec", "", "", 0, true},
		{"/sys/fs/bpf", "bpf", "nosuid nodev noexec", "", "mode=700", 0, true},
		{"/sys/kernel/config", "configfs", "nosuid nodev noexec", "", "", 0, true},
	} {
		t.Run(want.target, func(t *testing.T) {
			p, ok := got[want.target]
			if !ok {
				_, err := os.Stat(m.path(want.target))
				if want.maybe && (!hasWord(known, want.fstype) || err != nil) {
					t.Skip("this kernel has no " + want.fstype + " or no place for it")
				}
				t.Fatal("not mounted")
			}
			if p.fstype != want.fstype {
				t.Errorf("type %s", p.fstype)
			}
			options := "," + p.options + ","
			for _, o := range strings.Fields(want.has) {
				if !strings.Contains(options, ","+o+",") {
					t.Errorf("%s lacks %s", p.options, o)
				}
			}
			for _, o := range strings.Fields(want.not) {
				if strings.Contains(options, ","+o+",") {
					t.Errorf("%s has %s", p.options, o)
				}
			}
			for _, o := range strings.Fields(want.super) {
				if !strings.Contains(","+p.super+",", ","+o+",") {
					t.Errorf("%s lacks %s", p.super, o)
				}
			}
			var st unix.Stat_t
			if err := unix.Stat(m.path(want.target), &st); err != nil {
				t.Fatal(err)
			}
			if mode := st.Mode & 0o7777; want.mode != 0 && mode != want.mode {
				t.Errorf("mode %#o, want %#o", mode, want.mode)
			}
		})
	}
	for _, l := range []string{"fd", "stdin", "stdout", "stderr", "ptmx"} {
		if _, err := os.Lstat(m.path("/dev/" + l)); err != nil {
			t.Error(err)
		}
	}
	for dir, want := range map[string]int{"keeper": 1, "supervisor": 1, "svc": 0} {
		m.until("cgroup "+dir+" to hold what it should", func() bool {
			procs, err := os.ReadFile(m.path("/sys/fs/cgroup/" + dir + "/cgroup.procs"))
			return err == nil && strings.Count(string(procs), "\n") == want
		})
	}
}
