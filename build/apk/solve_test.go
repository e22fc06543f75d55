package apk

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// indexOf reads a short form of an index: one package a line, "name version
// KEY:value KEY:value", with D, p, i, k as in an index and "," between words.
func indexOf(t *testing.T, tag, text string) *Repo {
	t.Helper()
	r := &Repo{Location: "test", Tag: tag}
	for l := range strings.Lines(text) {
		f := strings.Fields(l)
		if len(f) == 0 {
			continue
		}
		p := &Package{Name: f[0], Version: f[1], InstalledSize: 1, Repo: r}
		copy(p.Checksum[:], l)
		for _, x := range f[2:] {
			v := strings.ReplaceAll(x[2:], ",", " ")
			switch x[0] {
			case 'D':
				p.Depends = deps(t, v)
			case 'p':
				p.Provides = deps(t, v)
			case 'i':
				p.InstallIf = deps(t, v)
			case 'k':
				p.ProviderPriority = int(v[0] - '0')
			}
		}
		r.Packages = append(r.Packages, p)
	}
	return r
}

func TestSolve(t *testing.T) {
	for _, tc := range []struct {
		name, world, main, second, edge string
		o                               SolveOptions
		want                            string // in the order of installation
		fails                           string // a piece of the explanation
	}{
		{name: "dependencies first", world: "a", main: "a 1 D:b,c\nb 1 D:c\nc 1", want: "c-1 b-1 a-1"},
		{name: "highest version", world: "a", main: "a 1\na 3\na 2", want: "a-3"},
		{name: "version asked for", world: "a<3", main: "a 1\na 3\na 2", want: "a-2"},
		{name: "first repository", world: "a", main: "a 1", second: "a 2", want: "a-1"},
		{name: "newest", world: "a", main: "a 1", second: "a 2", o: SolveOptions{Newest: true}, want: "a-2"},
		{name: "from the second", world: "a", main: "a 1 D:b", second: "b 2\na 9", want: "b-2 a-1"},
		{name: "provided with a version", world: "a", main: "a 1 D:so:x>1\nb 1 p:so:x=2", want: "b-1 a-1"},
		{name: "virtual, one provider", world: "a", main: "a 1 D:v\nb 1 p:v", fails: "v: only b-1 provides it"},
		{name: "virtual, priority", world: "a", main: "a 1 D:v\nb 1 p:v k:1\nc 1 p:v k:2", want: "c-1 a-1"},
		{name: "virtual, chosen in the world", world: "a b", main: "a 1 D:v\nb 1 p:v\nc 1 p:v", want: "b-1 a-1"},
		{name: "virtual, no preference", world: "a", main: "a 1 D:v\nb 1 p:v\nc 1 p:v", fails: "v: several packages provide it and none is preferred, name one: b-1, c-1\n    wanted by a-1 of the list of packages"},
		{name: "virtual does not meet a version", world: "a", main: "a 1 D:v>1\nb 1 p:v", fails: "v>1"},
		{name: "build provides", world: "a", main: "a 1 D:gen\nb 1 p:gen k:9", o: SolveOptions{Provides: []string{"gen"}}, want: "a-1"},
		{name: "build provides a version", world: "a", main: "a 1 D:gen>2", o: SolveOptions{Provides: []string{"gen=2"}}, fails: "gen"},
		{name: "build provides what triggers", world: "a", main: "a 1\na-x 1 i:a,init", o: SolveOptions{Provides: []string{"init"}}, want: "a-1 a-x-1"},
		{name: "install_if", world: "a b", main: "a 1\nb 1\nab 1 i:a,b\nac 1 i:a,c\nc 1", want: "a-1 b-1 ab-1"},
		{name: "install_if, chain", world: "a", main: "a 1\nb 1 i:a D:d\nc 1 i:b,d\nd 1", want: "a-1 d-1 c-1 b-1"},
		{name: "install_if, version", world: "a", main: "a 1\nb 1 i:a=1\nc 1 i:a=2", want: "a-1 b-1"},
		{name: "install_if, other's virtual", world: "a e", main: "a 1\ne 1 p:udev=1\ns 1 i:a,udev", want: "a-1 e-1 s-1"},
		// probed with apk 2.14.4: who is there because of the very name that was
		// asked for is not thought of, unless something else leads to it
		{name: "install_if, the name asked for", world: "s", main: "a 1 p:s=1\nx 1 i:s", want: "a-1"},
		{name: "install_if, another name of it", world: "s", main: "a 1 p:s=1,u=1\ny 1 i:u", want: "a-1 y-1"},
		{name: "install_if, the package asked for", world: "a", main: "a 1 p:s=1\nx 1 i:s", want: "a-1 x-1"},
		{name: "pin and version", world: "a@edge<3", main: "a 1", edge: "a 2\na 3", want: "a-2"},
		{name: "install_if, refused", world: "a !b", main: "a 1\nb 1 i:a", want: "a-1"},
		{name: "conflict makes the other provider", world: "a !b", main: "a 1 D:v\nb 1 p:v=2\nc 1 p:v=1", want: "c-1 a-1"},
		{name: "conflict", world: "a b", main: "a 1 D:!b\nb 1", fails: "b"},
		{name: "refused deep down", world: "a !c", main: "a 1 D:b\nb 1 D:so:c\nc 1 p:so:c=1", fails: "c-1 cannot be used (!c, says the list of packages)\n    wanted by b-1, for a-1 of the list of packages"},
		{name: "missing", world: "a", main: "a 1 D:b", fails: "b: no repository has it\n    wanted by a-1 of the list of packages"},
		{name: "missing far down", world: "a", main: "a 1 D:b\nb 1 D:c>2\nc 1", fails: "c>2"},
		{name: "same name twice", world: "a b", main: "a 1 p:v=1\nb 1 p:v=1", fails: "v"},
		{name: "cycle", world: "a", main: "a 1 D:b\nb 1 D:a", want: "b-1 a-1"},
		{name: "pin", world: "a@edge", main: "a 1", edge: "a 2", want: "a-2"},
		{name: "not pinned", world: "a", main: "a 1", edge: "a 2", want: "a-1"},
		{name: "pin hands down", world: "a@edge", edge: "a 2 D:b\nb 2", want: "b-2 a-2"},
		{name: "only pinned", world: "b", main: "a 1", edge: "b 2", fails: "b-2 cannot be used: it is only in a repository that needs a pin"},
		{name: "unknown pin", world: "a@test", main: "a 1", fails: "@test"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			repos := []*Repo{indexOf(t, "", tc.main), indexOf(t, "", tc.second), indexOf(t, "edge", tc.edge)}
			pkgs, err := Solve(strings.Fields(tc.world), repos, tc.o)
			if tc.fails != "" {
				var un *UnsatisfiableError
				if !errors.As(err, &un) || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("%v (chose %v); want %q", err, pkgs, tc.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var have []string
			for _, p := range pkgs {
				have = append(have, p.ID())
			}
			if !slices.Equal(have, strings.Fields(tc.want)) {
				t.Errorf("%q, want %q", have, tc.want)
			}
		})
	}
}

func TestWorldThatIsNone(t *testing.T) {
	repos := []*Repo{indexOf(t, "", "a 1")}
	for word, says := range map[string]string{
		"a>": "no version after the operator", "a=1-": `"1-" is no version`, "a>1@edge": "before the operator: a@edge>1", "!": "no name",
	} {
		if _, err := Solve([]string{"a", word}, repos, SolveOptions{}); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v; want %q", word, err, says)
		}
	}
}

func TestSolveIsStable(t *testing.T) {
	repos := alpineRepos(t, "full/main", "full/community")
	world := strings.Fields(bootWorld + " git bash python3")
	first := solveIDs(t, strings.Join(world, " "), repos, SolveOptions{})
	for range 5 {
		slices.Reverse(world)
		if again := solveIDs(t, strings.Join(world, " "), repos, SolveOptions{}); !slices.Equal(first, again) {
			t.Fatalf("another order:\n%v\n%v", first, again)
		}
	}
}
