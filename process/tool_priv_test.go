//go:build priv

package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTool runs programs for another arm.
func TestTool(t *testing.T) {
	b := newBench(t)
	begun := filepath.Join(b.run, "begun") // ends the program that makes it
	run := func(input, script string) (string, int, error) {
		ctx, cancel := context.WithTimeout(context.Background(), bound)
		defer cancel()
		go func() {
			for ctx.Err() == nil {
				if os.Remove(begun) == nil {
					cancel()
				}
				time.Sleep(time.Millisecond)
			}
		}()
		out, st, err := b.arm.Tool(ctx, "pool:tank", []string{"/bin/sh", "-c", script}, []byte(input))
		code, _ := st.Exit()
		return string(out), code, err
	}
	if out, code, err := run("secret", "cat; echo more >&2; sed -n 's/.*svc/svc/p' /proc/self/cgroup; exit 3"); err != nil || code != 3 || !strings.HasPrefix(out, "secretmore\nsvc/pool:tank/") {
		t.Errorf("%q, exit %d, %v", out, code, err)
	}
	if out, _, err := run("", "yes | head -c 1000000"); err != nil || len(out) != toolOutput {
		t.Errorf("%d bytes of a flood, %v", len(out), err)
	}
	if out, _, err := run("", "echo begun; >"+begun+"; sleep 1000"); !errors.Is(err, context.Canceled) || out != "begun\n" {
		t.Errorf("%q, %v", out, err)
	}
	if _, _, err := b.arm.Tool(context.Background(), "x", []string{"/nosuch"}, nil); err == nil || !strings.Contains(err.Error(), "/nosuch") {
		t.Errorf("%v", err)
	}
	// A child that holds the output costs the grace, no more.
	if out, _, err := run("", "sleep 1000 & echo parent"); err != nil || out != "parent\n" {
		t.Errorf("%q, %v", out, err)
	}
	b.until("no leaf to be left", func() bool { return b.leaves() == 0 })
	done := make(chan struct{})
	for range 20 {
		go func() {
			defer func() { done <- struct{}{} }()
			if out, _, err := run("", "echo one"); err != nil || out != "one\n" {
				t.Errorf("%q, %v", out, err)
			}
		}()
	}
	for range 20 {
		<-done
	}
}
