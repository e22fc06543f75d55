//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// KernelClock returns when, on the host's clock, the kernel's log had the time
// zero, with the greatest error that it can have. The guest writes numbered
// lines to /dev/kmsg when it is told to; the line whose round trip was the
// shortest counts. The kernel must be started with printk.devkmsg=on.
func (v *VM) KernelClock() (zero time.Time, within time.Duration) {
	v.t.Helper()
	session, err := v.Client().NewSession()
	if err != nil {
		v.Fatalf("%v", err)
	}
	defer session.Close()
	in, err := session.StdinPipe()
	if err != nil {
		v.Fatalf("%v", err)
	}
	out, err := session.StdoutPipe()
	if err != nil {
		v.Fatalf("%v", err)
	}
	// Only words of the shell itself: a fork would be in the round trip.
	if err := session.Start(`while read n; do echo "hoopy-clock $n" >/dev/kmsg; echo; done`); err != nil {
		v.Fatalf("%v", err)
	}
	const rounds = 20
	var sent, back [rounds]time.Time
	lines := bufio.NewReader(out)
	for i := range rounds {
		sent[i] = time.Now()
		if _, err := fmt.Fprintln(in, i); err != nil {
			v.Fatalf("%v", err)
		}
		if _, err := lines.ReadString('\n'); err != nil {
			v.Fatalf("the guest's shell: %v", err)
		}
		back[i] = time.Now()
	}
	in.Close()
	best := 0
	for i := range rounds {
		if back[i].Sub(sent[i]) < back[best].Sub(sent[best]) {
			best = i
		}
	}
	trip := back[best].Sub(sent[best])
	stamp := v.Logged(fmt.Sprintf("hoopy-clock %d", best))
	return sent[best].Add(trip / 2).Add(-stamp), trip / 2
}

// Logged returns the time at which the kernel's log has the first line that
// ends in text.
func (v *VM) Logged(text string) time.Duration {
	v.t.Helper()
	log := v.Must("dmesg")
	m := regexp.MustCompile(`(?m)^\[ *([0-9]+\.[0-9]+)\].* ?` + regexp.QuoteMeta(text) + `\s*$`).FindStringSubmatch(log)
	if m == nil {
		v.Fatalf("the kernel's log has no line %q", text)
	}
	seconds, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		v.Fatalf("%v", err)
	}
	return time.Duration(seconds * float64(time.Second))
}
