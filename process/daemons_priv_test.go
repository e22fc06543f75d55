//go:build priv

package process

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"hoopy/keeper"
	"hoopy/unit"
)

// daemons are units whose main process is not the one that was started: an
// orphan with a pid file, an orphan of its own word, and one whose parent stays.
func daemons() []*unit.Unit {
	one := func(name string, by unit.ReadyBy, steps ...string) *unit.Unit {
		return &unit.Unit{Name: name, Command: append([]string{"/init", "play"}, steps...), ReadyBy: by, ReadyPath: "/test/file.pid"}
	}
	return []*unit.Unit{
		one("file", unit.ByPidFile, "fork:/test/file.pid", "stay:41"),
		one("word", unit.ByNotify, "fork:", "send:READY=1", "give:x:FDSTORE=1", "stay:42"),
		one("ward", unit.ByNotify, "nanny", "send:READY=1", "stay:43"),
	}
}

// superviseDaemons starts them in the first epoch, which kills itself when they
// are ready, and stops them in the second.
func superviseDaemons(n int, conn *Keeper) {
	table, err := conn.Hello(bound)
	must("hello", err)
	events := make(chan unit.Event, 1000)
	conn.OnSignal, conn.OnPing = func(int) {}, conn.Pong
	conn.OnLost = func(err error) { must("lost", err) }
	arm, err := New(Config{Keeper: conn, Table: table, Epoch: uint32(n), Emit: func(ev unit.Event) { events <- ev },
		Log: func(s string) { fmt.Fprintln(os.Stderr, s) }})
	must("arm", err)
	go conn.Serve()
	units := daemons()
	var said []string
	seen := map[unit.EventOp]int{}
	await := func(op unit.EventOp) {
		for seen[op] < len(units) {
			select {
			case ev := <-events:
				arm.Do(unit.Action{Op: unit.Commit, Unit: &unit.Unit{Name: ev.Unit}, Run: ev.Run, Seq: ev.Seq})
				if ev.Op != unit.IsReady && ev.Op != unit.MainPid { // may be said again
					said = append(said, ev.Unit+" "+told(ev))
				}
				seen[ev.Op]++
			case <-time.After(bound):
				said = append(said, fmt.Sprintf("epoch %d waits for %d", n, op))
				return
			}
		}
	}
	if n == 1 {
		for i, u := range units {
			arm.Do(unit.Action{Op: unit.Start, Unit: u, Run: unit.Run(1)<<32 | unit.Run(i+1)})
		}
		await(unit.IsReady)
		unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	for i, u := range units {
		id := unit.Run(1)<<32 | unit.Run(i+1)
		row := slices.IndexFunc(table.Rows, func(r Row) bool { return r.Run == id && !r.Exited })
		if row < 0 {
			must("rows", fmt.Errorf("%+v", table.Rows))
		}
		arm.Do(unit.Action{Op: unit.Adopt, Unit: u, Run: id, To: unit.Ready, Pid: table.Rows[row].Pid})
		arm.Do(unit.Action{Op: unit.Stop, Unit: u, Run: id})
	}
	await(unit.Exited)
	arm.Do(unit.Action{Op: unit.Kill, Unit: units[2], Run: 1<<32 | 3}) // the parent that stays
	await(unit.Empty)
	slices.Sort(said)
	must("result", os.WriteFile("/test/result.new", []byte(strings.Join(said, "\n")), 0o644))
	must("result", os.Rename("/test/result.new", "/test/result"))
	conn.End(unit.PowerOff, true, "the test")
	select {}
}

// TestDaemonsOfTheRealKeeper: PID 1 is the parent of orphans, and knows of the
// end of others too.
func TestDaemonsOfTheRealKeeper(t *testing.T) {
	result, console := realKeeper(t, "daemons")
	ward := "ward exit 43"
	if strings.Contains(result, exitUnknown) { // Linux before 6.15
		ward = "ward exit 0: " + exitUnknown
	}
	want := []string{"file empty", "file exit 41", "file spawned", "ward empty", ward, "ward spawned", "word empty", "word exit 42", "word spawned"}
	if d := cmp.Diff(want, strings.Split(result, "\n")); d != "" {
		t.Errorf("%s\nconsole:\n%s", d, console)
	}
	if keeper.SpawnExtra+1+64 > keeper.FDMax {
		t.Error("not all that a unit may store fits into a packet")
	}
}
