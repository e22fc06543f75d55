//go:build priv

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/control"
	"hoopy/unit"
)

func player(role string, more ...string) string {
	return fmt.Sprintf("command = [\"/bin/player\", %q%s]\n", role, strings.Join(more, ""))
}

func load() map[string]string {
	units := map[string]string{"chatty": player("chatty")}
	for i := range 5 {
		units[fmt.Sprintf("steady%d", i)] = player("steady")
	}
	for i := range 3 {
		units[fmt.Sprintf("short%d", i)] = player("short", fmt.Sprintf(", \"short%d\"", i)) + "kind = \"task\"\n"
		units[fmt.Sprintf("notify%d", i)] = player("notify") + "ready = \"notify\"\n"
	}
	return units
}

// TestKills kills the supervisor at random moments under load: no service is
// started anew, and no exit, no readiness and no line of log is lost.
func TestKills(t *testing.T) {
	kills, within := 1000, 5*time.Minute // a slow machine does what it can, 100 at least
	if os.Getenv("HOOPY_SOAK") != "" {
		kills, within = 10000, time.Hour
	}
	h := bootMachine(t, load())
	pids := map[string]int{}
	for i := range 5 {
		name := fmt.Sprintf("steady%d", i)
		pids[name] = h.untilState(name, unit.Ready).Pid
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines := make(chan error, 1)
	followed, starts, restarts := new(atomic.Int64), new(atomic.Int64), new(atomic.Int64)
	go func() { lines <- h.followLines(ctx, "chatty", followed) }()
	driven := make(chan error, 2)
	go func() { driven <- h.drive(ctx, control.Start, "short", starts) }()
	go func() { driven <- h.drive(ctx, control.Restart, "notify", restarts) }()

	r := rand.New(rand.NewPCG(1, 2))
	began := time.Now()
	var calm time.Time // the last life that was long enough
	moved := [...]*atomic.Int64{followed, starts, restarts}
	var was [len(moved)]int64
	for n := range kills {
		if n >= 100 && time.Since(began) > within {
			kills = n
			break
		}
		var pid int
		h.until("a supervisor to kill", func() bool { pid = h.supervisor(); return pid != 0 })
		// Early in its life, later, and just after it begins to answer; now and
		// then, and on a slow machine each time, when it has done its work.
		if time.Since(calm) > time.Second/2 {
			for i, n := range moved {
				h.until("lines, starts and restarts to go on", func() bool { return n.Load() > was[i] || len(driven)+len(lines) > 0 })
			}
			for i, n := range moved {
				was[i] = n.Load()
			}
			calm = time.Now()
		} else {
			unix.Poll(nil, r.IntN(80))
		}
		select {
		case err := <-driven:
			t.Fatalf("after %d kills: %v", n, err)
		case err := <-lines:
			t.Fatalf("after %d kills: %v", n, err)
		default:
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			t.Fatal(err)
		}
		h.until("the next supervisor", func() bool { p := h.supervisor(); return p != 0 && p != pid })
	}
	asked := starts.Load() + restarts.Load()
	t.Logf("%d kills in %.0f s, %d lines followed, %d starts asked for", kills, time.Since(began).Seconds(), followed.Load(), asked)

	before := followed.Load()
	h.until("the log to go on", func() bool { return followed.Load() > before+100 })
	stop()
	for range 2 {
		if err := <-driven; err != nil {
			t.Error(err)
		}
	}
	if err := <-lines; err != nil {
		t.Error(err)
	}
	for name, pid := range pids {
		if got := h.unit(name); got.State != unit.Ready || got.Pid != pid || got.Restarts != 0 {
			t.Errorf("%s is %s as pid %d after %d restarts; it was pid %d", name, got.State, got.Pid, got.Restarts, pid)
		}
	}
	for i := range 3 {
		name := fmt.Sprintf("notify%d", i)
		h.untilState(name, unit.Ready)
		h.wantExit(fmt.Sprintf("short%d", i))
	}
	if asked < int64(kills)/20 {
		t.Errorf("only %d starts under %d kills: there was no load", asked, kills)
	}
}

// wantExit checks that the task's state is that of its last exit.
func (h *host) wantExit(name string) {
	h.t.Helper()
	h.until(name+" to be as it exited", func() bool {
		want := unit.Ready
		b, _ := os.ReadFile(filepath.Join(h.dir, name+".status"))
		if string(b) == "7" {
			want = unit.Failed
		}
		return h.unit(name).State == want
	})
}

// drive asks for starts of three units in turn, for ever; each must settle.
func (h *host) drive(ctx context.Context, op control.Op, name string, asked *atomic.Int64) error {
	for i := 0; ctx.Err() == nil; i++ {
		one := fmt.Sprintf("%s%d", name, i%3)
		soon, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := h.ask(soon, control.Request{Op: op, Names: []string{one}, Wait: 4 * time.Second})
		cancel()
		if err == nil {
			asked.Add(1)
		}
		// The answer may be lost with its supervisor; the unit may not.
		settled := false
		var last unit.Report
		for end := time.Now().Add(bound); !settled && ctx.Err() == nil; {
			if time.Now().After(end) {
				return fmt.Errorf("%s is %s (run %x, %s) and nothing moves it", one, last.State, last.Run, last.Why)
			}
			soon, cancel := context.WithTimeout(ctx, 2*time.Second)
			r, err := h.ask(soon, control.Request{Op: control.Status, Names: []string{one}})
			cancel()
			if err == nil && len(r.Units) == 1 {
				last = r.Units[0]
				settled = last.State == unit.Ready || last.State == unit.Failed
			}
			if !settled {
				unix.Poll(nil, 5)
			}
		}
	}
	return nil
}

// followLines reads all lines of a unit, over all lives of the supervisor, and
// fails if one is missing or comes twice in a ring.
func (h *host) followLines(ctx context.Context, name string, count *atomic.Int64) error {
	next := 0
	for ctx.Err() == nil {
		c, err := control.Dial(ctx, fmt.Sprintf("/proc/%d/root%s", h.cmd.Process.Pid, control.Path))
		if err != nil {
			unix.Poll(nil, 5)
			continue
		}
		inRing := 0
		var wrong error
		_ = c.Do(ctx, control.Request{Op: control.Logs, Names: []string{name}, N: -1, Follow: true}, func(r *control.Response) error {
			for _, l := range r.Lines {
				n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(l.Text, "line "), " of chatty"))
				if err != nil {
					if inRing == 0 {
						continue // the oldest line of a full ring may lack its beginning
					}
					wrong = fmt.Errorf("a line is torn: %q after %d", l.Text, inRing)
					return wrong
				}
				if inRing != 0 && n != inRing+1 {
					wrong = fmt.Errorf("line %d follows line %d (%d dropped)", n, inRing, l.Lost)
					return wrong
				}
				inRing = n
				if next != 0 && n > next {
					wrong = fmt.Errorf("line %d comes where %d was due: the test read too slowly, or lines are lost", n, next)
					return wrong
				}
				if n == next || next == 0 {
					next = n + 1
					count.Add(1)
				}
			}
			return nil
		})
		if wrong != nil {
			return wrong
		}
	}
	return nil
}

// TestPanicsAndStops injects a panic into each part, and stops the supervisor
// with SIGSTOP: what runs goes on, and svc answers again.
func TestPanicsAndStops(t *testing.T) {
	h := bootMachine(t, map[string]string{"steady": player("steady"), "notify": player("notify") + "ready = \"notify\"\n"})
	pid := h.untilState("steady", unit.Ready).Pid
	h.untilState("notify", unit.Ready)
	epoch := h.must(control.Request{Op: control.Status}).Machine.Epoch
	for _, part := range []string{"loop", "process", "netcfg", "keeper", "devices"} {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/root/run/hoopy/fault", h.cmd.Process.Pid), []byte(part), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := unix.Kill(h.supervisor(), unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		h.until("the panic of "+part, func() bool {
			// Each part panics when it next has something to say: give it that.
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			switch part {
			case "process":
				_, _ = h.ask(ctx, control.Request{Op: control.Restart, Names: []string{"notify"}, Wait: time.Second})
			case "netcfg", "devices":
				h.newLink()
			}
			r, err := h.ask(ctx, control.Request{Op: control.Status})
			return err == nil && r.Machine.Epoch > epoch
		})
		epoch = h.must(control.Request{Op: control.Status}).Machine.Epoch
		if got := h.untilState("steady", unit.Ready); got.Pid != pid {
			t.Errorf("after a panic in %s steady is pid %d, it was %d", part, got.Pid, pid)
		}
		h.untilState("notify", unit.Ready)
	}
	if err := unix.Kill(h.supervisor(), unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h.until("a supervisor in place of the stopped one", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := h.ask(ctx, control.Request{Op: control.Status})
		return err == nil && r.Machine.Epoch > epoch
	})
	if got := h.untilState("steady", unit.Ready); got.Pid != pid {
		t.Errorf("after SIGSTOP steady is pid %d, it was %d", got.Pid, pid)
	}
}
