//go:build priv

package install

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hoopy/build/apk"
	"hoopy/build/apk/oracle"
	"hoopy/build/tree"
)

// line describes one entry in full, but for its time.
type line string

func describe(mode fs.FileMode, uid, gid int, rest string) line {
	return line(fmt.Sprintf("%v %d:%d %s", mode, uid, gid, rest))
}

// fromTree describes every entry of a tree.
func fromTree(t *testing.T, tr *tree.Tree) map[string]line {
	t.Helper()
	out := map[string]line{}
	groups := map[string][]string{}
	for e := range tr.Walk() {
		rest := ""
		switch {
		case e.Mode&fs.ModeSymlink != 0:
			rest = "-> " + e.Link
		case e.Mode.IsRegular():
			r, err := tr.Content(e)
			if err != nil {
				t.Fatal(err)
			}
			h := sha256.New()
			if _, err := io.Copy(h, r); err != nil {
				t.Fatal(err)
			}
			r.Close()
			rest = fmt.Sprintf("%x", h.Sum(nil)[:8])
			first := e.Path
			if e.Hard != "" {
				first = e.Hard
			}
			groups[first] = append(groups[first], e.Path)
		}
		out[e.Path] = describe(e.Mode, e.UID, e.GID, rest)
	}
	withLinks(out, groups)
	return out
}

// fromDisk describes every entry below a directory.
func fromDisk(t *testing.T, root string) map[string]line {
	t.Helper()
	out := map[string]line{}
	inodes := map[uint64][]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		rest := ""
		switch {
		case fi.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			rest = "-> " + target
		case fi.Mode().IsRegular():
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(data)
			rest = fmt.Sprintf("%x", sum[:8])
			inodes[st.Ino] = append(inodes[st.Ino], name)
		}
		out[name] = describe(fi.Mode(), int(st.Uid), int(st.Gid), rest)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string][]string{}
	for ino, names := range inodes {
		groups[fmt.Sprint(ino)] = names
	}
	withLinks(out, groups)
	return out
}

// withLinks adds to each name of a hard linked file all its names.
func withLinks(out map[string]line, groups map[string][]string) {
	for _, names := range groups {
		if len(names) < 2 {
			continue
		}
		slices.Sort(names)
		for _, n := range names {
			out[n] += line(" = " + strings.Join(names, " = "))
		}
	}
}

// ours lists what differs on purpose; see the package comment.
func decided(name string) bool {
	switch name {
	case ".", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/apk/world", "etc/apk/arch", "lib/apk", "lib/apk/db",
		"lib/apk/exec", "var/cache/apk", "proc":
		return true
	}
	return strings.HasPrefix(name, "lib/apk/db/") || strings.HasPrefix(name, "dev/")
}

func TestTreeAsApk(t *testing.T) {
	root := oracle.New(t)
	root.Share(filepath.Join(oracle.Data(t), "v3.19/main"), "main")
	r, _ := bootRepo(t)
	var all []string
	for _, p := range r.Packages {
		// ifupdown-ng, which alpine-base brings, wants no vlan
		if p.Name != "vlan" && p.Name != "network-extras" {
			all = append(all, p.Name)
		}
	}
	worlds := map[string][]string{"boot": strings.Fields(bootWorld), "everything": all}
	// some packages upon the base in another company each time: other users,
	// other triggers, other directories first
	rng := rand.New(rand.NewPCG(1, 1))
	many := 4
	if os.Getenv("HOOPY_SOAK") == "1" {
		many = 60
	}
	for i := range many {
		world := []string{"alpine-baselayout", "busybox"}
		for range 1 + rng.IntN(12) {
			world = append(world, all[rng.IntN(len(all))])
		}
		slices.Sort(world)
		worlds[fmt.Sprintf("random%d", i)] = slices.Compact(world)
	}
	for name, world := range worlds {
		t.Run(name, func(t *testing.T) { sameTree(t, root, name, world) })
	}
}

// sameTree installs a world of the boot repository both ways and compares.
func sameTree(t *testing.T, root *oracle.Root, name string, world []string) {
	out, err := root.Add("/"+name, []string{"/main"}, world)
	if err != nil {
		t.Fatalf("world %q: %v\n%s", world, err, out)
	}
	want := fromDisk(t, filepath.Join(root.Dir, name))
	tr := installWorld(t, world, Options{})
	// the day of the last change is the only field we leave empty
	shadow, err := os.ReadFile(filepath.Join(root.Dir, name, "etc/shadow"))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := tr.ReadFile("etc/shadow")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(withoutDay(string(shadow)), withoutDay(string(ours))); diff != "" {
		t.Errorf("etc/shadow (-apk +ours):\n%s", diff)
	}
	if _, err := tr.WriteFile("etc/shadow", shadow, 0); err != nil {
		t.Fatal(err)
	}
	have := fromTree(t, tr)
	for path := range want {
		if decided(path) {
			delete(want, path)
		}
	}
	for path := range have {
		if decided(path) {
			delete(have, path)
		}
	}
	if len(want) < 300 {
		t.Fatalf("apk laid %d entries only", len(want))
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("world %q (-apk +ours):\n%s", world, diff)
	}
	t.Logf("%d entries equal to apk's", len(want))
}

// TestScriptsAsApk: which scripts run when, with which arguments, and what they
// find. Everything that they say ends in /out.
func TestScriptsAsApk(t *testing.T) {
	root := oracle.New(t)
	root.Share(filepath.Join(oracle.Data(t), "v3.19/main"), "main")
	trust(t, root)
	say := func(a *apk.Archive, names ...string) *apk.Archive {
		for _, n := range names {
			with(a, n, "echo "+a.Info.Name+" "+n+" \"$@\" >> /out; [ -e /opt/"+a.Info.Name+" ] && echo there >> /out; exit 0\n")
		}
		return a
	}
	a := say(pack("a", dir("opt"), file("opt/a", "x", 0o644)), "pre-install", "post-install", "trigger", "post-upgrade", "pre-deinstall")
	a.Info.Triggers = []string{"/opt", "/opt/*", "/made", "/usr/bin", "/none"}
	b := say(pack("b", dir("opt"), dir("opt/b"), file("opt/b/c", "x", 0o644)), "post-install", "trigger")
	b.Info.Triggers = []string{"/opt/b", "/opt/*/deep"}
	// a directory that a script made, and one deeper
	c := with(pack("c", dir("made"), file("made/f", "x", 0o644), dir("opt"), dir("opt/b"), dir("opt/b/deep"), file("opt/b/deep/f", "x", 0o644)), "pre-install", "mkdir /made\n")
	d := say(pack("d", dir("usr"), dir("usr/bin"), file("usr/bin/d", "x", 0o755)), "trigger")
	d.Info.Triggers = []string{"/srv"}
	made := []*apk.Archive{a, b, c, d}
	for _, m := range made {
		needs, err := apk.ParseDeps("alpine-baselayout busybox")
		if err != nil {
			t.Fatal(err)
		}
		m.Info.Depends = needs
	}
	location := repository(t, made...)
	root.Share(location, "made")
	world := []string{"alpine-baselayout", "busybox", "a", "b", "c", "d"}
	if out, err := root.Add("/scripts", []string{"/main", "/made"}, world); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(root.Dir, "scripts/out"))
	if err != nil {
		t.Fatal(err)
	}
	r, cache := bootRepo(t)
	keys := apk.NewKeys()
	keys.Add("test.rsa.pub", &key().PublicKey)
	ours, err := apk.OpenRepo(t.Context(), location, "x86_64", keys, cache, apk.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pkgs, err := apk.Solve(world, []*apk.Repo{r, ours}, apk.SolveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tr := tree.New()
	if err := Install(t.Context(), tr, pkgs, cache, Options{}); err != nil {
		t.Fatal(err)
	}
	// apk gives a trigger its directories in the order of its hash table
	words := func(text string) []string {
		var out []string
		for l := range strings.Lines(text) {
			f := strings.Fields(l)
			slices.Sort(f[min(2, len(f)):])
			out = append(out, strings.Join(f, " "))
		}
		return out
	}
	if len(words(string(want))) < 8 {
		t.Errorf("apk's scripts said only %q", want)
	}
	if diff := cmp.Diff(words(string(want)), words(read(t, tr, "out"))); diff != "" {
		t.Errorf("(-apk +ours):\n%s", diff)
	}
}

// trust gives the real apk the key of the test's own packages.
func trust(t *testing.T, root *oracle.Root) {
	t.Helper()
	pub, err := apk.PublicPEM(&key().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root.Dir, "etc/apk/keys/test.rsa.pub"), pub, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestConflictsAsApk: who may overwrite whose file.
func TestConflictsAsApk(t *testing.T) {
	root := oracle.New(t)
	trust(t, root)
	for i, tc := range conflicts() {
		t.Run(tc.name, func(t *testing.T) {
			at := fmt.Sprintf("conflict%d", i)
			root.Share(repository(t, tc.a, tc.b), "repo-"+at)
			out, err := root.Add("/"+at, []string{"/repo-" + at}, []string{"a", "b"})
			if (err != nil) != (tc.winner == "") {
				t.Fatalf("apk: %v\n%s\nthe table wants %q", err, out, tc.winner)
			}
			have, rerr := os.ReadFile(filepath.Join(root.Dir, at, "d/f"))
			if err == nil && string(have) != tc.winner {
				t.Errorf("apk laid %q, %v; the table wants %q", have, rerr, tc.winner)
			}
		})
	}
}

func withoutDay(shadow string) []string {
	var out []string
	for _, l := range strings.Split(shadow, "\n") {
		f := strings.Split(l, ":")
		if len(f) > 2 {
			f[2] = ""
		}
		out = append(out, strings.Join(f, ":"))
	}
	return out
}

// BenchmarkApkAddBootList is the peer of BenchmarkInstallBootList: the real apk,
// which reads the index, solves and writes to disk, in a chroot.
func BenchmarkApkAddBootList(b *testing.B) {
	root := oracle.New(b)
	root.Share(filepath.Join(oracle.Data(b), "v3.19/main"), "main")
	n := 0
	for b.Loop() {
		n++
		if out, err := root.Add(fmt.Sprintf("/bench%d", n), []string{"/main"}, strings.Fields(bootWorld)); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
}
