package install

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hoopy/build/apk"
	"hoopy/build/apk/oracle"
	"hoopy/build/tree"
)

const bootWorld = "alpine-base openssh e2fsprogs chrony dhcpcd openssl"

func bootRepo(t testing.TB) (*apk.Repo, *apk.Cache) {
	t.Helper()
	data := oracle.Data(t)
	keys, err := apk.LoadKeys(filepath.Join(data, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := apk.NewCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := apk.OpenRepo(t.Context(), filepath.Join(data, "v3.19/main"), "x86_64", keys, cache, apk.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r, cache
}

func installWorld(t testing.TB, world []string, o Options) *tree.Tree {
	t.Helper()
	r, cache := bootRepo(t)
	pkgs, err := apk.Solve(world, []*apk.Repo{r}, apk.SolveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tr := tree.New()
	if err := Install(t.Context(), tr, pkgs, cache, o); err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestInstallReal(t *testing.T) {
	var report Report
	tr := installWorld(t, strings.Fields(bootWorld), Options{Report: &report})
	if tr.Len() < 900 {
		t.Errorf("%d entries, want 900 or more", tr.Len())
	}
	if u := report.IDs.Users; u["chrony"] != 100 || u["dhcpcd"] != 101 {
		t.Errorf("users made by scripts: %v, want chrony 100 and dhcpcd 101", u)
	}
	for _, n := range report.Notes {
		t.Log(n)
	}
}

// BenchmarkInstallBootList reads the index, solves, and lays the tree of the
// boot list in memory: what the real apk does in BenchmarkApkAddBootList.
func BenchmarkInstallBootList(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		r, cache := bootRepo(b)
		pkgs, err := apk.Solve(strings.Fields(bootWorld), []*apk.Repo{r}, apk.SolveOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if err := Install(b.Context(), tree.New(), pkgs, cache, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestSameTwice: nothing of the day, the scheduler or map order may show.
func TestSameTwice(t *testing.T) {
	world := strings.Fields(bootWorld)
	lines := func(tr *tree.Tree) []string {
		var out []string
		for e := range tr.Walk() {
			if e.MTime == 0 && e.Path != "." {
				t.Errorf("%s has no time", e.Path)
			}
			out = append(out, fmt.Sprintf("%s %v %d:%d %d %q %q %d:%d %d %s", e.Path, e.Mode, e.UID, e.GID, e.MTime, e.Link, e.Hard, e.Major, e.Minor, e.Size, e.Source))
		}
		for _, f := range []string{"etc/passwd", "etc/group", "etc/shadow"} {
			data, err := tr.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(data))
		}
		return out
	}
	first := lines(installWorld(t, world, Options{}))
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	if diff := cmp.Diff(first, lines(installWorld(t, world, Options{}))); diff != "" {
		t.Errorf("two installs differ:\n%s", diff)
	}
}
