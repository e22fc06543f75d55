package supervisor

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hoopy/unit"
)

var sizes = []int{10, 100, 1000}

// chained are n services, each with an edge or two to those before it.
func chained(n int) (units []*unit.Unit) {
	for i := range n {
		u := service(fmt.Sprintf("u%04d", i))
		if i > 0 {
			u.Needs = []string{fmt.Sprintf("u%04d", i/2)}
			if i/2 != i/3 {
				u.After = []string{fmt.Sprintf("u%04d", i/3)}
			}
		}
		units = append(units, u)
	}
	return append(units, milestone(unit.Boot))
}

// bootAll begins and has every unit spawned at once.
func bootAll(b *testing.B, g *unit.Graph) {
	s := NewState(g, 1, false)
	acts := append([]unit.Action(nil), s.Begin(1, 0)...)
	for len(acts) > 0 {
		a := acts[0]
		acts = acts[1:]
		if a.Op == unit.Start {
			acts = append(acts, s.Step(unit.Event{Op: unit.Spawned, Unit: a.Unit.Name, Run: a.Run, Now: 2})...)
		}
	}
	if s.bootAt == 0 {
		b.Fatal("not booted")
	}
}

// BenchmarkBegin is what stands between the graph and the first process.
func BenchmarkBegin(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g, err := unit.NewGraph(chained(n))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				NewState(g, 1, false).Begin(1, 0)
			}
		})
	}
}

// BenchmarkBoot is every decision of a boot: Begin, then every unit spawned.
func BenchmarkBoot(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g, err := unit.NewGraph(chained(n))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				bootAll(b, g)
			}
		})
	}
}

// BenchmarkLoadAndBoot also reads the files and makes the graph.
func BenchmarkLoadAndBoot(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			files := fstest.MapFS{}
			for _, u := range chained(n)[:n] {
				text := fmt.Sprintf("description = \"Unit %s\"\ncommand = [\"/usr/sbin/%s\", \"--foreground\"]\nrestart = \"on-failure\"\nmemory_max = \"64M\"\n", u.Name, u.Name)
				for key, names := range map[string][]string{"needs": u.Needs, "after": u.After} {
					if len(names) > 0 {
						text += fmt.Sprintf("%s = [%q]\n", key, strings.Join(names, ""))
					}
				}
				files["svc/"+u.Name+".toml"] = &fstest.MapFile{Data: []byte(text)}
			}
			for b.Loop() {
				c, err := unit.Load(files, "/etc")
				if err != nil {
					b.Fatal(err)
				}
				g, err := unit.NewGraph(append(c.Units, milestone(unit.Boot)))
				if err != nil {
					b.Fatal(err)
				}
				bootAll(b, g)
			}
		})
	}
}

// BenchmarkSnapshot is written after every batch of events.
func BenchmarkSnapshot(b *testing.B) {
	g, err := unit.NewGraph(chained(1000))
	if err != nil {
		b.Fatal(err)
	}
	s := NewState(g, 1, false)
	var buf []byte
	for b.Loop() {
		buf = s.Append(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}

// BenchmarkSteps is one event after the other from random schedules, restores
// included: what the model test can do in a second.
func BenchmarkSteps(b *testing.B) {
	steps, seed := 0, uint64(0)
	for b.Loop() {
		m := randomSchedule(b, seed)
		steps += m.steps
		seed++
	}
	b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "steps/s")
}

// BenchmarkStep is Step alone: a unit that fails, backs off and starts again
// among a hundred.
func BenchmarkStep(b *testing.B) {
	m := newSim(b, chained(100)...)
	m.boot().run(time.Second)
	n := m.node("u0099")
	steps := 0
	step := func(ev unit.Event) {
		m.now++
		ev.Unit, ev.Now = n.Name, m.now
		m.s.Step(ev)
		steps++
	}
	for b.Loop() {
		step(unit.Event{Op: unit.Exited, Run: n.run, Status: exit1, Seq: 1})
		step(unit.Event{Op: unit.Empty, Run: n.run})
		step(unit.Event{Op: unit.TimerFired, Timer: unit.BackOffTimer, Gen: n.gen[unit.BackOffTimer]})
		step(unit.Event{Op: unit.Spawned, Run: n.run, Pid: 7})
		if n.state != unit.Ready {
			b.Fatalf("%s is %s", n.Name, n.state)
		}
	}
	b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "steps/s")
}
