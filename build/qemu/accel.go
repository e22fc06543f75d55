package qemu

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// AccelEnv is the environment variable that decides the accelerator without a
// probe: "tcg" or "kvm".
const AccelEnv = "HOOPY_ACCEL"

const (
	probeBound = 5 * time.Second  // guest code runs within milliseconds where it runs at all
	bootBound  = 10 * time.Second // a kernel without a root panics after about a second
	reapBound  = 2 * time.Second  // a process stuck in the kernel ignores even SIGKILL
	probeExit  = 5                // what the probe's guest writes to isa-debug-exit
)

// Accelerator returns "kvm" where hardware virtualization was seen to execute
// guest code during this boot of the host, and "tcg" (emulation) everywhere
// else. There are hosts where /dev/kvm can be opened and every guest hangs, so
// an open device proves nothing.
//
// $HOOPY_ACCEL set to "tcg" or "kvm" is obeyed without a probe; any other value
// is an error. The probe takes at most 7 s and its verdict is kept in the
// user's cache folder for the boot of the host; a probe that never returned
// counts as "tcg". A cache that cannot be written only costs the next probe.
//
// There are also hosts where eight bytes run and a kernel does not: one that is
// named has to boot, on the processor that Command will ask for, up to its panic
// about the missing root. That takes at most 12 s more; "" leaves it out.
func Accelerator(ctx context.Context, kernel string) (string, error) {
	switch v := os.Getenv(AccelEnv); v {
	case "tcg", "kvm":
		return v, nil
	case "":
	default:
		return "", fmt.Errorf("qemu: %s is %q; write tcg or kvm", AccelEnv, v)
	}
	if unix.Access("/dev/kvm", unix.R_OK|unix.W_OK) != nil {
		return "tcg", nil
	}
	path, err := Find()
	if err != nil {
		return "", err
	}
	bootID, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "tcg", nil
	}
	return accelerator(ctx, path, kernel, strings.TrimSpace(string(bootID)), cacheFile("accel")), nil
}

// accelerator looks into the verdict file before it probes. The file says "tcg"
// while the probe runs: whoever finds it after a probe that took the host down
// with it does not try again.
func accelerator(ctx context.Context, path, kernel, bootID, file string) string {
	if have, err := os.ReadFile(file); err == nil {
		if fields := strings.Fields(string(have)); len(fields) == 2 && fields[0] == bootID {
			return fields[1]
		}
	}
	record := func(verdict string) {
		if file == "" || os.MkdirAll(filepath.Dir(file), 0o755) != nil {
			return
		}
		os.WriteFile(file, []byte(bootID+" "+verdict+"\n"), 0o644)
	}
	record("tcg")
	if !probe(ctx, path, "kvm") || kernel != "" && !boots(ctx, path, kernel, "kvm") {
		return "tcg"
	}
	record("kvm")
	return "kvm"
}

// probe reports whether a guest of eight bytes ran under the accelerator.
func probe(ctx context.Context, path, accel string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeBound)
	defer cancel()
	dir, err := os.MkdirTemp("", "hoopy-probe-")
	if err != nil {
		return false
	}
	defer os.RemoveAll(dir)
	bios := filepath.Join(dir, "bios")
	if err := os.WriteFile(bios, probeBIOS(), 0o644); err != nil {
		return false
	}
	cmd := exec.Command(path, "-machine", "q35", "-accel", accel, "-cpu", Config{Accel: accel}.cpu(), "-smp", "2",
		"-nodefaults", "-display", "none", "-m", "16", "-bios", bios, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04")
	return ends(ctx, cmd) && cmd.ProcessState.ExitCode() == probeExit<<1|1
}

// boots reports whether the kernel runs under the accelerator until it panics
// for want of a root and resets the machine.
func boots(ctx context.Context, path, kernel, accel string) bool {
	ctx, cancel := context.WithTimeout(ctx, bootBound)
	defer cancel()
	var console bytes.Buffer
	cmd := exec.Command(path, Config{
		Kernel: kernel, Cmdline: "console=ttyS0 panic=-1", MemoryMB: 256, SMP: 2, Serial: "stdio", Accel: accel,
	}.Args()...)
	cmd.Stdout = &console
	return ends(ctx, cmd) && bytes.Contains(console.Bytes(), []byte("Kernel panic"))
}

// ends starts a command and reports whether it ended by itself before ctx did.
// Else its process group is killed and waited for, with a bound: a process that
// hangs inside the kernel goes when the kernel lets it.
func ends(ctx context.Context, cmd *exec.Cmd) bool {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = reapBound
	if err := cmd.Start(); err != nil {
		return false
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
		return true
	case <-ctx.Done():
	}
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	late := time.NewTimer(reapBound)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
	}
	return false
}

// probeBIOS is a firmware whose reset vector (16 bytes below the end) writes
// probeExit to port 0xf4 and halts.
func probeBIOS() []byte {
	bios := make([]byte, 64<<10)
	copy(bios[len(bios)-16:], []byte{
		0xba, 0xf4, 0x00, // mov dx, 0xf4
		0xb0, probeExit, // mov al, probeExit
		0xee, // out dx, al
		0xf4, // hlt
	})
	return bios
}

// cacheFile names a file below the user's cache folder; empty where the user
// has none.
func cacheFile(elem ...string) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(append([]string{dir, "hoopy"}, elem...)...)
}
