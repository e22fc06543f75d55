//go:build linux && !race

package install

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hoopy/build/apk"
	"hoopy/build/apk/oracle"
	"hoopy/build/tree"
)

// measureEnv names, for a process of its own, the folder of real data.
const measureEnv = "HOOPY_MEASURE_INSTALL"

// TestPeakMemory solves against the full indexes and installs the boot list in
// a process of its own, and reads how much memory that ever had.
func TestPeakMemory(t *testing.T) {
	if data := os.Getenv(measureEnv); data != "" {
		measured(t, data)
		return
	}
	// The least of three: on a busy machine the collector comes late.
	const most = 64 << 20
	var beyond, own int64
	for range 3 {
		if beyond, own = peakOnce(t); beyond <= most {
			return
		}
	}
	t.Errorf("%d bytes beyond the tree's own %d, want %d at most", beyond, own, int64(most))
}

// peakOnce measures in a process of its own.
func peakOnce(t *testing.T) (beyond, own int64) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestPeakMemory$", "-test.v")
	cmd.Env = append(os.Environ(), measureEnv+"="+oracle.Data(t), "GOGC=75") // as package main of build sets it
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var peak int64
	_, line, _ := strings.Cut(string(out), "measured ")
	if _, err := fmt.Sscanf(line, "%d %d", &peak, &own); err != nil || own < 20<<20 {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("peak %.1f MiB, of which the tree %.1f MiB", float64(peak)/(1<<20), float64(own)/(1<<20))
	return peak - own, own
}

// measured does the work and says what it took.
func measured(t *testing.T, data string) {
	keys, err := apk.LoadKeys(filepath.Join(data, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := apk.NewCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var repos []*apk.Repo
	for _, name := range []string{"main", "full/main", "full/community"} {
		r, err := apk.OpenRepo(t.Context(), filepath.Join(data, "v3.19", name), "x86_64", keys, cache, apk.FetchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		repos = append(repos, r)
	}
	pkgs, err := apk.Solve(strings.Fields(bootWorld), repos, apk.SolveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("after solve", highWater(t))
	tr := tree.New()
	if err := Install(t.Context(), tr, pkgs, cache, Options{}); err != nil {
		t.Fatal(err)
	}
	own := int64(0)
	for e := range tr.Walk() {
		own += e.Size
	}
	fmt.Println("measured", highWater(t), own)
}

// highWater is the most memory that this process ever had, in bytes (VmHWM of
// proc_pid_status(5)).
func highWater(t *testing.T) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(status), "VmHWM:")
	var kb int64
	if _, err := fmt.Sscan(line, &kb); err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
