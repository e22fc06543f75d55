package unit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// holds checks what is true of every Graph.
func holds(t *testing.T, g *Graph) {
	t.Helper()
	edges := 0
	for i, u := range g.Units {
		if g.Index(u.Name) != i {
			t.Errorf("%s is at %d, not %d", u.Name, i, g.Index(u.Name))
		}
		if u.Essential && g.Broken(i) != "" {
			t.Errorf("essential unit is broken: %s", g.Broken(i))
		}
		seen := map[int]bool{}
		for _, e := range g.Out(i) {
			if e.To >= i {
				t.Errorf("%s comes before %s", u.Name, g.Units[e.To].Name)
			}
			if seen[e.To] {
				t.Errorf("two edges from %s to %s", u.Name, g.Units[e.To].Name)
			}
			seen[e.To] = true
			if !slices.Contains(g.In(e.To), Edge{i, e.Kind}) {
				t.Errorf("%s does not know that %s is after it", g.Units[e.To].Name, u.Name)
			}
			edges++
		}
		edges -= len(g.In(i))
	}
	if edges != 0 {
		t.Errorf("%d more edges out than in", edges)
	}
}

func names(g *Graph) string {
	var s []string
	for _, u := range g.Units {
		s = append(s, u.Name)
	}
	return strings.Join(s, " ")
}

func TestGraph(t *testing.T) {
	g, err := NewGraph([]*Unit{
		{Name: "d", Needs: []string{"b", "b"}, After: []string{"b"}, Wants: []string{"c"}},
		{Name: "c", Before: []string{"b"}},
		{Name: "b", After: []string{"a"}},
		{Name: "a"},
	})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, g)
	if names(g) != "a c b d" {
		t.Errorf("order %s", names(g))
	}
	for name, want := range map[string][]Edge{"a": nil, "c": nil, "b": {{0, After}, {1, After}}, "d": {{1, Wants}, {2, Needs}}} {
		if d := cmp.Diff(want, g.Out(g.Index(name))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if g.Index("x") != -1 {
		t.Error("x is somewhere")
	}
	if _, err := g.Find("aa"); err == nil || err.Error() != `no such unit as "aa"; did you mean "a"?` {
		t.Error(err)
	}
}

func TestGraphMistakes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		files  []string // name, edges
		want   string
		broken string
		order  string
	}{
		{"unknown need", []string{"a", "needs = [\n\"sshd\",\n\"ntework\"]"},
			"svc/a.toml:3: needs: no unit is called \"sshd\"\nsvc/a.toml:4: needs: no unit is called \"ntework\"; did you mean \"network\"?",
			`a: needs "sshd", which is not there`, "a"},
		{"unknown after", []string{"a", "after = [\"x\"]\nbefore=[\"y\"]\nwants=[\"z\"]"},
			"svc/a.toml:2: after: no unit is called \"x\"\nsvc/a.toml:3: before: no unit is called \"y\"\nsvc/a.toml:4: wants: no unit is called \"z\"", "", "a"},
		{"essential", []string{"a", "essential = true\nneeds = [\"x\"]"}, "svc/a.toml:3: needs: no unit is called \"x\"", "", "a"},
		{"self", []string{"a", "needs = [\"a\"]", "b", "after = [\"b\"]"}, "svc/a.toml:2: needs: \"a\" is the unit itself\nsvc/b.toml:2: after: \"b\" is the unit itself", "a: needs itself", "a b"},
		{"two", []string{"a", "needs = [\"b\"]", "b", "needs = [\"a\"]"},
			"svc/a.toml:2: cycle: a -> b -> a; a needs b (svc/a.toml:2); b needs a (svc/b.toml:2)",
			"a: needs itself: a -> b -> a\nb: needs itself: a -> b -> a", "a b"},
		{"weakest first", []string{"a", "needs = [\"b\"]", "b", "wants = [\"c\"]", "c", "\nafter = [\"a\"]"},
			"svc/a.toml:2: cycle: a -> b -> c -> a; a needs b (svc/a.toml:2); b wants c (svc/b.toml:2); c after a (svc/c.toml:3)", "", "c b a"},
		{"wants", []string{"a", "needs = [\"b\"]", "b", "wants = [\"a\"]"},
			"svc/a.toml:2: cycle: a -> b -> a; a needs b (svc/a.toml:2); b wants a (svc/b.toml:2)", "", "b a"},
		{"before", []string{"a", "before = [\"b\"]", "b", "before = [\"a\"]"},
			"svc/b.toml:2: cycle: a -> b -> a; a after b (svc/b.toml:2); b after a (svc/a.toml:2)", "", "a b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fsys := fstest.MapFS{"init.toml": {}}
			for i := 0; i < len(tt.files); i += 2 {
				fsys["svc/"+tt.files[i]+".toml"] = &fstest.MapFile{Data: []byte("command = [\"/x\"]\n" + tt.files[i+1])}
			}
			c, err := Load(fsys, "")
			if err != nil {
				t.Fatal(err)
			}
			g, err := c.Graph()
			if err == nil {
				t.Fatal("no mistake found")
			}
			if d := cmp.Diff(tt.want, err.Error()); d != "" {
				t.Error(d)
			}
			holds(t, g)
			var broken []string
			for i, u := range g.Units {
				if why := g.Broken(i); why != "" {
					broken = append(broken, u.Name+": "+why)
				}
			}
			if d := cmp.Diff(tt.broken, strings.Join(broken, "\n")); d != "" {
				t.Error(d)
			}
			var own []string
			for _, n := range strings.Fields(names(g)) {
				if !slices.Contains(milestones, n) {
					own = append(own, n)
				}
			}
			if d := cmp.Diff(tt.order, strings.Join(own, " ")); d != "" {
				t.Error(d)
			}
		})
	}
}

// The mistakes of one file are not told again as those of its users.
func TestGraphBadFile(t *testing.T) {
	c, err := Load(files("svc/a.toml", "x = 1", "svc/b.toml", "command = [\"/b\"]\nneeds = [\"a\"]", "svc/c.toml", "command = [\"/c\"]\nafter = [\"a\"]"), "")
	if err == nil {
		t.Fatal("no mistake found")
	}
	g, err := c.Graph()
	if err != nil {
		t.Error(err)
	}
	holds(t, g)
	if got := g.Broken(g.Index("b")); got != `needs "a", whose file has mistakes` {
		t.Error(got)
	}
	if got := g.Broken(g.Index("c")); got != "" {
		t.Error(got)
	}
}

func TestGraphTwice(t *testing.T) {
	g, err := NewGraph([]*Unit{{Name: "a", File: "x.toml"}, {Name: "a", File: "y.toml"}, {Name: "b"}, {Name: "b", File: "z.toml"}})
	if err == nil || err.Error() != "y.toml: the name \"a\" is taken by x.toml\nz.toml: the name \"b\" is taken by the built-in unit b" {
		t.Error(err)
	}
	holds(t, g)
	if len(g.Units) != 2 || g.Units[0].File != "x.toml" {
		t.Error(names(g))
	}
}

// Whatever the edges, the graph is whole, and its order does not depend on the
// order of the units.
func TestGraphRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		units := randomUnits(rnd, 1+rnd.IntN(30), rnd.IntN(3))
		g, _ := NewGraph(units)
		holds(t, g)
		if len(g.Units) != len(units) {
			t.Fatal("units are missing")
		}
		rnd.Shuffle(len(units), func(i, j int) { units[i], units[j] = units[j], units[i] })
		again, _ := NewGraph(units)
		if names(again) != names(g) {
			t.Fatalf("%s and %s", names(g), names(again))
		}
	}
}

func randomUnits(rnd *rand.Rand, n, edges int) []*Unit {
	units := make([]*Unit, n)
	for i := range units {
		u := &Unit{Name: fmt.Sprintf("u%04d", i), Essential: rnd.IntN(5) == 0, Manual: rnd.IntN(5) == 0}
		if i == n/2 {
			u = &Unit{Name: Boot, Kind: Milestone}
		}
		for _, list := range []*[]string{&u.Needs, &u.Wants, &u.After, &u.Before} {
			for range rnd.IntN(edges + 1) {
				name := fmt.Sprintf("u%04d", rnd.IntN(n))
				if rnd.IntN(10) == 0 {
					name = Boot
				}
				*list = append(*list, name)
			}
		}
		units[i] = u
	}
	return units
}

func thousand() []*Unit {
	rnd := rand.New(rand.NewPCG(1, 2))
	units := make([]*Unit, 1000)
	for i := range units {
		u := &Unit{Name: fmt.Sprintf("u%04d", i)}
		for k := 0; i > 0 && k < 4; k++ {
			u.After = append(u.After, fmt.Sprintf("u%04d", rnd.IntN(i)))
		}
		units[i] = u
	}
	return units
}

func BenchmarkGraph1000(b *testing.B) {
	units := thousand()
	for b.Loop() {
		if _, err := NewGraph(units); err != nil {
			b.Fatal(err)
		}
	}
}

const plainFile = `description = "Tailscale node agent"
command     = ["/usr/sbin/tailscaled", "--state=/persist/tailscaled.state"]
needs       = ["network"]
ready       = "notify"
memory_max  = "256M"
`

func BenchmarkLoad1000(b *testing.B) {
	fsys := fstest.MapFS{"init.toml": {}}
	for i := range 1000 {
		fsys[fmt.Sprintf("svc/u%04d.toml", i)] = &fstest.MapFile{Data: []byte(plainFile)}
	}
	for b.Loop() {
		c, err := Load(fsys, "/etc")
		if err != nil || len(c.Units) != 1000 {
			b.Fatal(err)
		}
	}
}
