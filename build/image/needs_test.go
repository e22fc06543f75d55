package image

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"hoopy/build/apk"
	"hoopy/build/apk/oracle"
)

// Nothing that the solver chooses lacks anything, or a good lock would be
// refused; and what is taken out of a set is missed if anything depends on it.
func TestSolvedSetsLackNothing(t *testing.T) {
	data := oracle.Data(t)
	keys, err := apk.LoadKeys(filepath.Join(data, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := apk.NewCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var repos []*apk.Repo
	for _, name := range []string{"main", "community"} {
		r, err := apk.OpenRepo(t.Context(), filepath.Join(data, "v3.19/full", name), "x86_64", keys, cache, apk.FetchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		repos = append(repos, r)
	}
	provides := []string{"initramfs-generator"}
	worlds := [][]string{strings.Fields(bootList + " linux-lts !mkinitfs restic tailscale smartmontools python3 so:libz.so.1 cmd:rsync")}
	random := rand.New(rand.NewPCG(1, 2))
	for range 25 {
		var world []string
		for range 1 + random.IntN(8) {
			r := repos[random.IntN(len(repos))]
			world = append(world, r.Packages[random.IntN(len(r.Packages))].Name)
		}
		worlds = append(worlds, world)
	}
	solved, missed := 0, 0
	for _, world := range worlds {
		pkgs, err := apk.Solve(world, repos, apk.SolveOptions{Provides: provides})
		if err != nil {
			continue
		}
		solved++
		n := newNeeds(world, pkgs, provides)
		if lacks := n.lacking(); len(lacks) > 0 {
			t.Errorf("%q lacks %q", world, lacks)
		}
		why := n.reasons()
		for i, p := range pkgs {
			chain := n.chain(p, why)
			if len(chain) == 0 || strings.Contains(strings.Join(chain, " "), "nothing asks") {
				t.Errorf("%q: %s: %q", world, p.ID(), chain)
			}
			if i%9 > 0 {
				continue
			}
			less := append(append([]*apk.Package{}, pkgs[:i]...), pkgs[i+1:]...)
			if len(newNeeds(world, less, provides).lacking()) > 0 {
				missed++
			}
		}
	}
	if solved < 12 || missed < 20 {
		t.Errorf("%d worlds solved, %d packages missed: too few to tell anything", solved, missed)
	}
}
