package qemu

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestArgs(t *testing.T) {
	c := Config{
		Kernel: "vmlinux", Initrd: "initramfs", Cmdline: "console=ttyS0 quiet",
		MemoryMB: 256, SMP: 2, QMP: "/run/q",
		NICs:  []NIC{{Forwards: []Forward{{2222, 22}}}, {ID: "wan", MAC: "52:54:00:00:00:01", Open: true}},
		Disks: []Disk{{Path: "a.img", Serial: "A1"}, {ID: "stick", Path: "b.img", USB: true, ReadOnly: true}, {Path: "c,d.img", Detached: true}},
		Extra: []string{"-device", "i6300esb"},
	}
	want := strings.Fields(`-machine q35 -accel tcg -cpu qemu64,+rdrand -nodefaults -display none -no-reboot -m 256 -smp 2
		-serial stdio -device virtio-rng-pci -kernel vmlinux -initrd initramfs -append CMDLINE
		-qmp unix:/run/q
		-netdev user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22 -device virtio-net-pci,netdev=n0,id=nic-n0
		-netdev user,id=wan -device virtio-net-pci,netdev=wan,id=nic-wan,mac=52:54:00:00:00:01
		-drive if=none,format=raw,id=drive-d0,file=a.img -device virtio-blk-pci,drive=drive-d0,id=d0,serial=A1
		-device qemu-xhci,id=xhci
		-drive if=none,format=raw,id=drive-stick,file=b.img,readonly=on -device usb-storage,bus=xhci.0,drive=drive-stick,id=stick
		-drive if=none,format=raw,id=drive-d2,file=c,,d.img
		-device i6300esb`)
	for i := range want {
		if want[i] == "CMDLINE" {
			want[i] = c.Cmdline
		}
	}
	if diff := cmp.Diff(want, c.Args()); diff != "" {
		t.Error(diff)
	}
}

func TestCheck(t *testing.T) {
	long := "/" + strings.Repeat("x", 107)
	for name, c := range map[string]Config{
		"long serial":          {Disks: []Disk{{Serial: strings.Repeat("1", 21)}}},
		"long socket":          {QMP: long},
		"forward without host": {NICs: []NIC{{Forwards: []Forward{{0, 22}}}}},
		"forward beyond":       {NICs: []NIC{{Forwards: []Forward{{22, 65536}}}}},
	} {
		if c.check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := (Config{}).check(); err != nil {
		t.Error(err)
	}
}

func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Command(context.Background(), Config{})
	if err == nil || !strings.Contains(err.Error(), "apt-get install") {
		t.Errorf("%v does not say what to type", err)
	}
}

func TestAcceleratorObeysTheEnvironment(t *testing.T) {
	for _, v := range []string{"tcg", "kvm"} {
		t.Setenv(AccelEnv, v)
		if got, err := Accelerator(context.Background(), ""); got != v || err != nil {
			t.Errorf("%s: got %q, %v", v, got, err)
		}
	}
	t.Setenv(AccelEnv, "xen")
	if _, err := Accelerator(context.Background(), ""); err == nil {
		t.Error("xen: no error")
	}
}

// script is an executable that stands for qemu; it appends a line to calls each
// time that it is started.
func script(t *testing.T, body string) (path, calls string) {
	dir := t.TempDir()
	path, calls = filepath.Join(dir, "qemu"), filepath.Join(dir, "calls")
	text := "#!/bin/sh\necho $$ >>" + calls + "\n" + body + "\n"
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path, calls
}

func TestAcceleratorKeepsItsVerdict(t *testing.T) {
	for _, tc := range []struct{ name, body, want string }{
		{"runs", "exit 11", "kvm"},
		{"refused", "exit 1", "tcg"},
		{"ends without running", "exit 0", "tcg"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path, calls := script(t, tc.body)
			file := filepath.Join(t.TempDir(), "new", "accel")
			for i, boot := range []string{"boot-1", "boot-1", "boot-2"} {
				if got := accelerator(t.Context(), path, "", boot, file); got != tc.want {
					t.Errorf("call %d: got %q, want %q", i, got, tc.want)
				}
			}
			b, _ := os.ReadFile(calls)
			if n := strings.Count(string(b), "\n"); n != 2 {
				t.Errorf("%d probes for two boots of the host, want 2", n)
			}
		})
	}
}

// TestProbeSurvivesAHang has a qemu that ignores TERM and has a child of its
// own, as a hanging one with helper processes would.
func TestProbeSurvivesAHang(t *testing.T) {
	path, calls := script(t, "trap '' TERM INT HUP; sleep 1000 & echo $! >>"+"${0%/*}/calls; wait; sleep 1000")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // until it and its child hang, or the bound of the probe is over
		for ctx.Err() == nil {
			if b, _ := os.ReadFile(calls); strings.Count(string(b), "\n") == 2 {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	start := time.Now()
	if got := accelerator(ctx, path, "", "boot", filepath.Join(t.TempDir(), "accel")); got != "tcg" {
		t.Errorf("got %q", got)
	}
	t.Logf("took %v", time.Since(start))
	b, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range strings.Fields(string(b)) {
		if alive(t, pid) {
			t.Errorf("process %s is left", pid)
		}
	}
}

// alive reports whether a process runs; one that was killed and waits for its
// new parent is gone.
func alive(t *testing.T, pid string) bool {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return false
		}
	}
	return true
}

// TestProbeRunsItsGuest holds the probe's guest against a qemu that works.
func TestProbeRunsItsGuest(t *testing.T) {
	path, err := Find()
	if err != nil {
		t.Skip(err)
	}
	for range 10 { // each has a bound, which a busy machine exceeds
		if probe(t.Context(), path, "tcg") {
			return
		}
	}
	t.Error("the guest did not run under emulation")
}
