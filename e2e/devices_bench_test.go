//go:build e2e

package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"hoopy/build/qemu"
)

// coldplugs are ways to find and drive all devices of a machine on which nothing
// was loaded but the network card's modules. modprobe alone makes no names and
// reads no disks; it is asked until no new device shows up.
var coldplugs = []struct{ name, command string }{
	{"hoopy", "/bench/coldplug /tmp/through & until [ -s /tmp/through ] || ! kill -0 $!; do usleep 10000; done; [ -s /tmp/through ]"},
	{"modprobe -a", `n=-1; while m=$(cat /sys/bus/*/devices/*/modalias | sort -u | wc -l); [ $m -ne $n ]; do n=$m
		cat /sys/bus/*/devices/*/modalias | sort -u | xargs /bench/modprobe -abq; done`},
	{"udevd", "/lib/systemd/systemd-udevd --daemon && udevadm trigger --type=subsystems --action=add && udevadm trigger --type=devices --action=add && udevadm settle --timeout=50"},
}

// TestBenchColdplug prints how long each takes on the same devices, with the same
// modules and the same /init, the floor's; and what came of it.
func TestBenchColdplug(t *testing.T) {
	if *benchBoots <= 0 {
		t.Skip("a benchmark; run `make bench`")
	}
	kernel, initrd := Image(t)
	files := map[string]File{
		"init": floorInit(t), "bench/coldplug": program(t, "./testdata/coldplug", "-ldflags", "-s -w"),
		"lib/systemd/systemd-udevd": {Link: "/bin/udevadm"}, "sbin/modprobe": {Link: "/bench/modprobe"},
	}
	fromHost(t, files, "kmod", "kmod", "bench/modprobe")
	fromHost(t, files, "udev", "udevadm", "bin/udevadm")
	rules, err := filepath.Glob("/lib/udev/rules.d/*.rules")
	if err != nil || len(rules) == 0 {
		t.Fatal("udevd without rules: ", err)
	}
	for _, rule := range rules {
		addFile(t, files, rule, rule[1:])
	}
	for _, program := range []string{"ata_id", "scsi_id", "cdrom_id"} {
		fromHost(t, files, "udev", "/lib/udev/"+program, "lib/udev/"+program)
	}
	initrd = Overlay(t, initrd, files)
	key := Key(t)
	took := map[string][]time.Duration{}
	came := map[string]string{}
	for i := range *benchBoots {
		for _, c := range coldplugs {
			t.Run(fmt.Sprintf("%s/%d", c.name, i+1), func(t *testing.T) {
				var disks []disk
				for _, b := range []bus{virtio, sata, nvme, scsi, usb} {
					disks = append(disks, disk{id: "D" + string(b[0]), path: Ext4(t, 16, "7f0c1b9e-0000-4000-8000-0000000000"+fmt.Sprintf("%02x", b[0]), string(b[:4])), bus: b})
				}
				v := Boot(t, Config{Key: key, Config: qemu.Config{
					Kernel: kernel, Initrd: initrd, Cmdline: benchCmdline, MemoryMB: 1024, SMP: 2, Extra: diskArgs(disks),
				}})
				out := v.Must("read a b </proc/uptime; { " + c.command + "; } >/tmp/said 2>&1 || cat /tmp/said; read b c </proc/uptime; [ ! -e /tmp/through ] || read b c </tmp/through; echo took $a $b" +
					"; echo $(wc -l </proc/modules) modules, $(ls -d /dev/disk/*/* 2>/dev/null | wc -l) links")
				m := regexp.MustCompile(`^took (\S+) (\S+)\n(.*)$`).FindStringSubmatch(out)
				if m == nil {
					t.Fatalf("%s: %s", c.name, out)
				}
				var from, to float64
				if _, err := fmt.Sscan(m[1]+" "+m[2], &from, &to); err != nil {
					t.Fatal(err)
				}
				took[c.name] = append(took[c.name], time.Duration((to-from)*float64(time.Second)))
				came[c.name] = m[3]
			})
		}
	}
	if t.Failed() {
		return
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "coldplug, seconds, median (range) of %d boots\t\tratio\t\t\n", *benchBoots)
	for _, c := range coldplugs {
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%s\t\n", c.name, spread(took[c.name]), median(took[c.name]).Seconds()/median(took["hoopy"]).Seconds(), came[c.name])
	}
	w.Flush()
	t.Log("\n" + table.String())
}

// fromHost adds a program of this machine, with the libraries that it needs.
func fromHost(t testing.TB, files map[string]File, debian, program, name string) {
	t.Helper()
	path := sbin(t, debian, program)
	addFile(t, files, path, name)
	out, err := exec.Command("ldd", path).Output()
	if err != nil {
		t.Fatalf("ldd %s: %v", path, err)
	}
	for _, field := range strings.Fields(string(out)) {
		if strings.HasPrefix(field, "/") {
			addFile(t, files, field, field[1:])
		}
	}
}

func addFile(t testing.TB, files map[string]File, from, name string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	mode := fs.FileMode(0o755)
	if strings.HasSuffix(name, ".rules") {
		mode = 0o644
	}
	files[name] = File{Mode: uint32(mode), Content: b}
}
