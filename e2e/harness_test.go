//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hoopy/build/qemu"
)

// floorInit builds the init of the floor and returns it as a file for an
// overlay.
func floorInit(t testing.TB) File {
	t.Helper()
	out := filepath.Join(t.TempDir(), "floor")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "./floor")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("floor: %v\n%s", err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return File{Mode: 0o755, Content: b}
}

// TestHarness holds every part of the harness against the floor's machine.
func TestHarness(t *testing.T) {
	kernel, base, key := standIn(t)
	if unpacked, err := qemu.Kernel(kernel); err != nil || unpacked == kernel {
		t.Errorf("Debian's kernel is booted packed: %v", err)
	}
	initrd := Overlay(t, base, map[string]File{"init": floorInit(t)})
	boot := func(t *testing.T) *VM {
		return Boot(t, Config{Key: key, Config: qemu.Config{
			Kernel: kernel, Initrd: initrd, Cmdline: "console=ttyS0 panic=-1 loglevel=7 printk.devkmsg=on",
			Disks: []qemu.Disk{{Path: Ext4(t, 16, "7f0c1b9e-0000-4000-8000-000000000001", "data"), Serial: "DISK1"}},
		}})
	}
	t.Run("console, network, ssh", func(t *testing.T) {
		vm := boot(t)
		release := vm.Expect(`Linux version (\S+) `, 0)[1]
		vm.Expect(`Run /init as init process`, 0)
		frame, banner := vm.FirstFrame(0), vm.Banner(0)
		if !banner.After(frame) {
			t.Error("the banner came before the first frame")
		}
		vm.Expect(`floor: lease 10\.0\.2\.15`, 0)
		if got := vm.Must("uname -r"); got != release {
			t.Errorf("uname -r is %q, the console said %q", got, release)
		}
		if out, exit := vm.Run("echo no; exit 3"); out != "no\n" || exit != 3 {
			t.Errorf("got %q, exit %d", out, exit)
		}
		if _, exit := vm.Run("kill -9 $$"); exit != -1 {
			t.Errorf("a killed command has exit %d", exit)
		}
		out, _ := vm.Run("cat /proc/partitions")
		if strings.Contains(out, "vda") {
			t.Error("the floor has no virtio_blk loaded, and yet a disk")
		}
		zero, within := vm.KernelClock()
		if init := zero.Add(vm.Logged("Run /init as init process")); init.Before(vm.Started) || init.After(frame.Add(within)) {
			t.Errorf("init ran %v after the start, the first frame came %v after it", init.Sub(vm.Started), frame.Sub(vm.Started))
		}
		vm.QMP("set_link", map[string]any{"name": "nic-n0", "up": false})
		if _, err := vm.qmp.do("no_such_command", nil); err == nil {
			t.Error("qmp: an unknown command gives no error")
		}
	})
	t.Run("typing", func(t *testing.T) {
		vm := Boot(t, Config{Key: key, Config: qemu.Config{
			Kernel: kernel, Initrd: base, Cmdline: "console=ttyS0 panic=-1 rdinit=/bin/sh",
		}})
		vm.Expect(`/ # `, 0)
		if err := vm.Send("echo $((6*7))\n"); err != nil {
			t.Fatal(err)
		}
		vm.Expect(`\n42\r?\n`, 0)
	})
	t.Run("reset is told from power off", func(t *testing.T) {
		for trigger, want := range map[string]string{"b": "guest-reset", "o": "guest-shutdown"} {
			vm := boot(t)
			vm.Client()
			vm.Run("echo " + trigger + " >/proc/sysrq-trigger")
			if got := vm.Ended(0); got != want {
				t.Errorf("sysrq %s: ended by %q, want %q", trigger, got, want)
			}
			if e := vm.Event("SHUTDOWN", 0); e.Name != "SHUTDOWN" {
				t.Errorf("event %+v", e)
			}
		}
	})
	t.Run("nothing is left behind", func(t *testing.T) {
		var pid int
		t.Run("machine", func(t *testing.T) { pid = boot(t).Pid() })
		if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid))); err == nil {
			t.Errorf("qemu %d is still there", pid)
		}
	})
}

func TestAccepts(t *testing.T) {
	synAck := make([]byte, 14+20+20)
	synAck[12], synAck[14], synAck[14+9], synAck[35], synAck[14+20+13] = 0x08, 0x45, 6, 22, 0x12
	if !accepts(synAck, 22) {
		t.Error("a SYN with ACK from port 22 is not seen")
	}
	for name, change := range map[string]struct {
		at int
		to byte
	}{
		"ARP": {13, 6}, "UDP": {23, 17}, "another port": {35, 23}, "RST": {47, 0x14}, "SYN": {47, 0x02},
		"IPv6": {14, 0x65}, "a header beyond the end": {14, 0x4f},
	} {
		frame := bytes.Clone(synAck)
		frame[change.at] = change.to
		if accepts(frame, 22) {
			t.Errorf("%s counts", name)
		}
	}
	for n := range len(synAck) {
		accepts(synAck[:n], 22) // must not panic
	}
}

// TestConsoleTakes holds Expect's order and memory: no machine is needed.
func TestConsoleTakes(t *testing.T) {
	c := newConsole()
	vm := &VM{t: t, console: c, Started: time.Now()}
	c.Write([]byte("one two \x1b[1mone\x1b[0m\r\n"))
	vm.Expect("one", 0)
	vm.Expect("two", 0)
	vm.Expect("one", 0)
	if got, ok := c.all(), strings.Repeat("x", consoleKept); got != "one two one\n" {
		t.Errorf("console %q", got)
	} else {
		for range 3 {
			c.Write([]byte(ok))
		}
	}
	c.Write([]byte("end"))
	vm.Expect("end$", 0)
	if n := len(c.text); n > 2*consoleKept {
		t.Errorf("%d bytes kept", n)
	}
	c.end()
	if _, ok := vm.await("never", 0); ok {
		t.Error("found what was not said")
	}
}
