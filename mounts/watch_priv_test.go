//go:build priv

package mounts

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWatchMissesNothing mounts and unmounts again and again; there is no second
// look that would find what the first was not told of.
func TestWatchMissesNothing(t *testing.T) {
	at := t.TempDir()
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	var there atomic.Bool
	looked := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- linux{}.watch(ctx, func() {
			table, err := linux{}.table()
			if err != nil {
				t.Error(err)
			}
			there.Store(top(table, at) != nil)
			select {
			case looked <- struct{}{}:
			default:
			}
		})
	}()
	limit := time.After(bound)
	until := func(want bool) {
		t.Helper()
		for there.Load() != want {
			select {
			case <-looked:
			case <-limit:
				t.Fatalf("it is mounted: %v; the watch did not say so", want)
			}
		}
	}
	for range 500 {
		if err := unix.Mount("x", at, "tmpfs", 0, "size=4k"); err != nil {
			t.Skip("mount:", err)
		}
		until(true)
		if err := unix.Unmount(at, 0); err != nil {
			t.Fatal(err)
		}
		until(false)
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-limit:
		t.Error("the watch does not end")
	}
}
