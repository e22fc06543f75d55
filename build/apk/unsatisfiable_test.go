package apk

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the golden texts anew")

// TestUnsatisfiable holds every explanation against testdata/unsatisfiable.txt:
// each file of it is one case, with the world in the first line, the packages of
// an index in the short form of indexOf, those of a repository tagged edge
// behind "@edge", and after an empty line what the person reads.
func TestUnsatisfiable(t *testing.T) {
	const golden = "testdata/unsatisfiable.txt"
	ar, err := txtar.ParseFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if len(ar.Files) < 15 {
		t.Fatalf("%d cases, want 15 or more", len(ar.Files))
	}
	for i, f := range ar.Files {
		t.Run(f.Name, func(t *testing.T) {
			given, want, _ := strings.Cut(string(f.Data), "\n\n")
			world, packages, _ := strings.Cut(given, "\n")
			var plain, edge string
			for l := range strings.Lines(packages) {
				if e, ok := strings.CutPrefix(l, "@edge "); ok {
					edge += e
				} else {
					plain += l
				}
			}
			_, err := Solve(strings.Fields(world), []*Repo{indexOf(t, "", plain), indexOf(t, "edge", edge)}, SolveOptions{Newest: true})
			var un *UnsatisfiableError
			if !errors.As(err, &un) {
				t.Fatalf("%v, want an *UnsatisfiableError", err)
			}
			have := err.Error() + "\n\n"
			ar.Files[i].Data = []byte(given + "\n\n" + have)
			if *update {
				return
			}
			if diff := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(have)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
	if *update {
		if err := os.WriteFile(golden, txtar.Format(ar), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
