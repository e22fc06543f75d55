//go:build linux

package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// measureEnv is set for a process of its own that builds and measures itself.
const measureEnv = "HOOPY_MEASURE_IMAGE"

// TestPeakMemory builds an image of 75 real packages in a process of its own
// and reads how much memory that ever had.
func TestPeakMemory(t *testing.T) {
	if os.Getenv(measureEnv) != "" {
		o := realImage(t)
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		_, line, _ := strings.Cut(string(status), "VmHWM:")
		var kib int64
		if _, err := fmt.Sscan(line, &kib); err != nil {
			t.Fatal(err)
		}
		c, err := Inspect(o.Out)
		if err != nil {
			t.Fatal(err)
		}
		bytes, _, _ := c.Unpacked()
		fmt.Println("measured", kib<<10, bytes)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestPeakMemory$", "-test.v")
	cmd.Env = append(os.Environ(), measureEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "--- SKIP") {
		t.Skipf("%s", out)
	}
	var peak, tree int64
	_, line, _ := strings.Cut(string(out), "measured ")
	if _, err := fmt.Sscanf(line, "%d %d", &peak, &tree); err != nil || tree < 20<<20 {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("peak %.1f MiB, of which the tree %.1f MiB", float64(peak)/(1<<20), float64(tree)/(1<<20))
	if most := int64(64 << 20); peak-tree > most {
		t.Errorf("%d bytes beyond the tree's %d, want %d at most", peak-tree, tree, most)
	}
}
