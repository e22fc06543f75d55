package devices

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestModprobe(t *testing.T) {
	files := map[string]string{
		"etc/modprobe.d/x.conf":        "options ext4 a=1\nblacklist shy\ninstall ext4 /bin/false\nalias virt-* ext4\n",
		"sys/module/jbd2/initstate":    "live\n",
		"sys/module/jbd2/refcnt":       "0\n",
		"sys/module/ext4/initstate":    "live\n",
		"sys/module/ext4/refcnt":       "0\n",
		"sys/module/mbcache/initstate": "live\n",
		"sys/module/mbcache/refcnt":    "1\n",
	}
	const lib = "ROOT/lib/modules/1.0/"
	for _, row := range []struct {
		args        string
		status      int
		out, stderr string
		calls       []string
	}{
		{args: "-q -- fs-nosuch", status: 1},
		{args: "nosuch", status: 1, stderr: "modprobe: module \"nosuch\" not found in " + lib[:len(lib)-1] + "\n"},
		{args: "-q -- crypto-crc32c", calls: []string{"crc32c_generic", "crc32c_intel"}},
		{args: "ext4"}, // loaded, as is all it needs
		{args: "--first-time ext4", status: 1, stderr: "modprobe: module ext4: already in the kernel\n"},
		{args: "after p=1 q=2", calls: []string{"after p=1 q=2"}},
		{args: "-a after shy", calls: []string{"after", "shy"}},
		{args: "-ba after shy", calls: []string{"after"}},
		{args: "pci:v1", calls: nil}, // the blacklist counts for aliases
		{args: "bad", status: 1, stderr: "modprobe: module bad: invalid argument\n", calls: []string{"bad"}},
		{args: "-q bad", status: 1, calls: []string{"bad"}},
		{args: "fs-vfat"},
		{args: "-R virt-x", out: "ext4\n"},
		{args: "-D fs-vfat", out: "builtin vfat_core\n"},
		{args: "--show-depends ext4 b=2", out: "insmod " + lib + "kernel/mbcache.ko\ninsmod " + lib + "kernel/crc32c-generic.ko\n" +
			"insmod " + lib + "kernel/crc32c-intel.ko\ninsmod " + lib + "kernel/jbd2.ko\ninsmod " + lib + "kernel/ext4.ko a=1 b=2\n" +
			"insmod " + lib + "kernel/after.ko\n"},
		{args: "-nv after", out: "insmod " + lib + "kernel/after.ko\n", stderr: "modprobe: ROOT/etc/modprobe.d/x.conf: install ext4: commands are not run\n"},
		{args: "-r ext4", calls: []string{"remove ext4", "remove jbd2"}},
		{args: "-r after"},
		{args: "-r --first-time after", status: 1, stderr: "modprobe: module after: not in the kernel\n"},
		{args: "-r fs-vfat", status: 1, stderr: "modprobe: module vfat_core: built in\n"},
		{args: "-z", status: 1, stderr: "modprobe: unknown option \"z\"\n" + modprobeUsage},
		{args: "", status: 1, stderr: "modprobe: no module is named\n" + modprobeUsage},
		{args: "-S", status: 1, stderr: "modprobe: -S wants a value\n" + modprobeUsage},
		{args: "--help", out: modprobeUsage},
	} {
		t.Run(row.args, func(t *testing.T) {
			c, k := machine(t, files, append([]string{"kernel/shy.ko: alias=pci:v1", "kernel/bad.ko: "}, disk...)...)
			k.fail = map[string]error{"bad": unix.EINVAL}
			var out, stderr bytes.Buffer
			status := modprobe(strings.Fields(row.args), &out, &stderr, c)
			if status != row.status {
				t.Errorf("status %d, want %d", status, row.status)
			}
			clean := func(b *bytes.Buffer) string { return strings.ReplaceAll(b.String(), filepath.Clean(c.Root), "ROOT") }
			if d := cmp.Diff(row.out, clean(&out)); d != "" {
				t.Errorf("output: %s", d)
			}
			if d := cmp.Diff(row.stderr, clean(&stderr)); d != "" {
				t.Errorf("errors: %s", d)
			}
			if d := cmp.Diff(row.calls, k.said()); d != "" {
				t.Errorf("calls: %s", d)
			}
		})
	}
}
