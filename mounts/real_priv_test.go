//go:build priv

package mounts

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

const bound = time.Minute // for anything that is expected to happen

// TestRealDisk mounts ext4 on a loop device: dirty, checked, busy, detached.
func TestRealDisk(t *testing.T) {
	dev := loop(t)
	at := filepath.Join(t.TempDir(), "a b")
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	events := make(chan unit.Event, 100)
	a := New(Config{
		Emit:  func(e unit.Event) { events <- e },
		Log:   func(line string) { t.Log(line) },
		Fault: func(what any, stack []byte) { t.Errorf("%v\n%s", what, stack) },
		Tool: func(ctx context.Context, _ string, argv []string, _ []byte) ([]byte, unit.Status, error) {
			out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
			if e, ok := err.(*exec.ExitError); ok {
				return out, unit.Status(e.ExitCode() << 8), nil
			}
			return out, 0, err
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	await := func(op unit.EventOp, has string) {
		t.Helper()
		limit := time.After(bound)
		for {
			select {
			case e := <-events:
				if t.Logf("%d %s", e.Op, e.Text); e.Op == op && strings.Contains(e.Text, has) {
					return
				}
			case <-limit:
				t.Fatalf("no event %d with %q", op, has)
			}
		}
	}
	u := &unit.Unit{Name: unit.MountUnit(at), Kind: unit.Mount, Mount: &unit.MountConfig{What: "LABEL=data", Where: at, Options: "noatime"}}
	disk := unit.Disk{Node: strings.TrimPrefix(dev, "/dev/"), Type: "ext4", Usage: "filesystem", Label: "data", Dirty: true}

	a.Do(unit.Action{Op: unit.Start, Unit: u, Run: 1})
	await(unit.Noted, "device LABEL=data")
	a.Disk(disk)
	await(unit.IsReady, "")
	use := a.Use(at) // nothing, if the disk is slow
	for end := time.Now().Add(bound); use == "" && time.Now().Before(end); use = a.Use(at) {
	}
	if !strings.HasSuffix(use, "% used") {
		t.Errorf("Use %q", use)
	}
	held, err := os.Create(filepath.Join(at, "held"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }()
	a.Do(unit.Action{Op: unit.Stop, Unit: u, Run: 1})
	await(unit.Noted, "(pid "+strconv.Itoa(os.Getpid())+") holds "+at+"/held")
	a.Do(unit.Action{Op: unit.Kill, Unit: u, Run: 1})
	await(unit.Empty, "")
	if all, _ := (linux{}).table(); top(all, at) != nil {
		t.Error("it is still mounted")
	}
	_ = held.Close()

	u.Mount.NoFsck = true
	a.Do(unit.Action{Op: unit.Start, Unit: u, Run: 2})
	await(unit.IsReady, "")
	if err := unix.Unmount(at, 0); err != nil {
		t.Fatal(err)
	}
	await(unit.Lost, "somebody else has unmounted it")
	await(unit.IsReady, "")
	a.Gone(disk.Node)
	await(unit.Lost, "is gone")
	a.Disk(disk)
	await(unit.IsReady, "")
	a.Do(unit.Action{Op: unit.Stop, Unit: u, Run: 2})
	await(unit.Empty, "")
}

// loop gives a loop device with an ext4 of its own.
func loop(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/filesystems")
	if err != nil || !strings.Contains(string(b), "\text4\n") {
		t.Skip("this kernel has no ext4")
	}
	img := filepath.Join(t.TempDir(), "img")
	if err := os.WriteFile(img, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(img, 16<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-L", "data", img).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4: %v: %s", err, out)
	}
	out, err := exec.Command("losetup", "--show", "-f", img).CombinedOutput()
	if err != nil {
		t.Skipf("losetup: %v: %s", err, out)
	}
	dev := strings.TrimSpace(string(out))
	t.Cleanup(func() { _ = exec.Command("losetup", "-d", dev).Run() })
	return dev
}
