//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"hoopy/build/qemu"
)

// TestBenchMemory prints what the keeper and the supervisor hold for
// themselves, with 50 services more, a minute after the boot, and the sizes of
// what is shipped. `Anonymous` is what no other process could share: text of a
// program on tmpfs counts as private in every other line of smaps_rollup
// (proc_pid_smaps(5)).
func TestBenchMemory(t *testing.T) {
	if *benchBoots <= 0 {
		t.Skip("a benchmark; run `make bench`")
	}
	kernel, initrd := Image(t)
	units := map[string]File{}
	for i := range 50 {
		units[fmt.Sprintf("etc/svc/idle-%02d.toml", i)] = File{Content: []byte("command = [\"/bin/sleep\", \"100000\"]\n")}
	}
	vm := Boot(t, Config{Config: qemu.Config{
		Kernel: kernel, Initrd: Overlay(t, initrd, units), Cmdline: benchCmdline, MemoryMB: 1024, SMP: 2,
	}})
	vm.Must("sleep 30")
	vm.Must("sleep 30")
	if n, _ := strconv.Atoi(vm.Must("grep -l '^/bin/sleep.10000[0]' /proc/[0-9]*/cmdline | wc -l")); n != 50 {
		t.Errorf("%d of the 50 services run", n)
	}
	anonymous := regexp.MustCompile(`Anonymous: +(\d+) kB`)
	supervisor := regexp.MustCompile(`/proc/(\d+)/`).FindStringSubmatch(vm.Must("grep -l '^/init.supervis[e]' /proc/[0-9]*/cmdline"))
	if supervisor == nil {
		vm.Fatalf("no process is the supervisor")
	}
	for name, pid := range map[string]string{"keeper": "1", "supervisor": supervisor[1]} {
		m := anonymous.FindStringSubmatch(vm.Must("cat /proc/" + pid + "/smaps_rollup"))
		if m == nil {
			vm.Fatalf("%s: no line Anonymous", name)
		}
		t.Logf("%s: %s kB anonymous", name, m[1])
	}
	for _, file := range []string{"/init", "/sbin/svc"} {
		t.Logf("%s: %s bytes", file, vm.Must("wc -c <"+file))
	}
	info, err := os.Stat(initrd)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("initramfs: %d bytes", info.Size())
}
