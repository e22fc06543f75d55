//go:build e2e

package e2e

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/crypto/ssh"

	"hoopy/build/qemu"
)

var benchBoots = flag.Int("bench-boots", 0, "boots of each image in TestBench; 0 skips it")

// benchCmdline is the same for all: quiet, as a machine in use has it.
const benchCmdline = "console=ttyS0 panic=-1 quiet printk.devkmsg=on"

// contender is one image of the benchmark.
type contender struct {
	name, initrd string
	figures      map[string][]time.Duration
}

// The figures of one boot. The first is the one that counts; the rest say where
// a difference comes from.
const (
	initToBanner   = "init to SSH banner"
	initToFrame    = "init to first frame"
	kernelToInit   = "kernel to init"
	qemuToBanner   = "qemu to SSH banner"
	clockError     = "error of the clocks, at most"
	buttonToOff    = "power button to off"
	noPowerButtons = "floor" // has none
)

var figures = []string{initToBanner, initToFrame, kernelToInit, qemuToBanner, clockError, buttonToOff}

// TestBench boots the image under test and the floor in turn, and prints
// medians and ranges. The floor is the same image with another /init laid over
// it: same kernel, same sshd, same bytes to unpack but for that one file.
func TestBench(t *testing.T) {
	if *benchBoots <= 0 {
		t.Skip("a benchmark; run `make bench`")
	}
	kernel, initrd := Image(t)
	bench(t, kernel, initrd, Key(t), *benchBoots)
}

func bench(t *testing.T, kernel, initrd string, key ssh.Signer, boots int) {
	hoopy := &contender{name: "hoopy", initrd: initrd, figures: map[string][]time.Duration{}}
	floor := &contender{name: "floor", initrd: Overlay(t, initrd, map[string]File{"init": floorInit(t)}),
		figures: map[string][]time.Duration{}}
	for i := range boots {
		for _, c := range []*contender{hoopy, floor} {
			t.Run(fmt.Sprintf("%s/%d", c.name, i+1), func(t *testing.T) { c.boot(t, kernel, key) })
		}
	}
	if t.Failed() {
		return
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "seconds, median (range) of %d boots\thoopy\tfloor\tratio\t\n", boots)
	rows := slices.Clone(figures)
	for f := range hoopy.figures {
		if !slices.Contains(rows, f) {
			rows = append(rows, f)
		}
	}
	slices.SortFunc(rows[len(figures):], func(a, b string) int {
		return cmp.Compare(median(hoopy.figures[a]), median(hoopy.figures[b]))
	})
	for _, f := range rows {
		ratio := "-"
		if a, b := median(hoopy.figures[f]), median(floor.figures[f]); b > 0 {
			ratio = fmt.Sprintf("%.2f", a.Seconds()/b.Seconds())
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", f, spread(hoopy.figures[f]), spread(floor.figures[f]), ratio)
	}
	w.Flush()
	load, _ := os.ReadFile("/proc/loadavg")
	t.Logf("host load %s\n%s", strings.TrimSpace(string(load)), table.String())
}

// boot measures one boot.
func (c *contender) boot(t *testing.T, kernel string, key ssh.Signer) {
	vm := Boot(t, Config{Key: key, Config: qemu.Config{
		Kernel: kernel, Initrd: c.initrd, Cmdline: benchCmdline, MemoryMB: 1024, SMP: 2,
	}})
	frame := vm.FirstFrame(0)
	banner := vm.Banner(0)
	zero, within := vm.KernelClock()
	init := zero.Add(vm.Logged("Run /init as init process"))
	note := func(figure string, d time.Duration) { c.figures[figure] = append(c.figures[figure], d) }
	note(initToBanner, banner.Sub(init))
	note(initToFrame, frame.Sub(init))
	note(kernelToInit, init.Sub(zero))
	note(qemuToBanner, banner.Sub(vm.Started))
	note(clockError, within)
	for name, at := range phases(vm.Must("dmesg")) {
		note("init to "+name+" ready", zero.Add(at).Sub(init))
	}
	if c.name == noPowerButtons {
		return
	}
	vm.client.Close()
	vm.client = nil
	pressed := time.Now()
	vm.PowerButton()
	if reason := vm.Ended(0); reason != "guest-shutdown" {
		t.Errorf("the power button ended the machine by %q", reason)
	}
	note(buttonToOff, time.Since(pressed))
}

var phase = regexp.MustCompile(`(?m)^\[ *([0-9.]+)\] hoopy: (\S+) +ready\b`)

// phases are the units that the log of a boot has as ready, with the times.
func phases(log string) map[string]time.Duration {
	times := map[string]time.Duration{}
	for _, m := range phase.FindAllStringSubmatch(log, -1) {
		seconds, err := strconv.ParseFloat(m[1], 64)
		if _, twice := times[m[2]]; err == nil && !twice {
			times[m[2]] = time.Duration(seconds * float64(time.Second))
		}
	}
	return times
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", median(d).Seconds(), slices.Min(d).Seconds(), slices.Max(d).Seconds())
}
