//go:build priv

package apk

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"hoopy/build/apk/oracle"
)

var (
	worlds = flag.Int("worlds", 25, "how many random worlds of Alpine to solve beside the real apk")
	made   = flag.Int("made", 1000, "how many worlds of made-up packages to solve beside the real apk")
	pairs  = flag.Int("pairs", 1000, "how many pairs of versions to compare beside the real apk")
	seed   = flag.Uint64("seed", 1, "of the random worlds and pairs")
)

// count is how often to try: n, or more when HOOPY_SOAK=1.
func count(n, soak int) int {
	if os.Getenv("HOOPY_SOAK") == "1" {
		return max(n, soak)
	}
	return n
}

var installing = regexp.MustCompile(`(?m)^\(\d+/\d+\) Installing (\S+) \((\S+)\)`)

// apkChoice lets the real apk solve.
func apkChoice(r *oracle.Root, world, repos []string) ([]string, error) {
	out, err := r.Add(oracle.Empty, repos, world, "--simulate")
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	var ids []string
	for _, m := range installing.FindAllStringSubmatch(out, -1) {
		name, _, _ := strings.Cut(m[1], "@") // the pin that it came by
		ids = append(ids, name+"-"+m[2])
	}
	return ids, nil
}

func TestSolveAsApk(t *testing.T) {
	root := oracle.New(t)
	root.Share(filepath.Join(oracle.Data(t), "v3.19"), "v3.19")
	boot := alpineRepos(t, "main")
	full := alpineRepos(t, "full/main", "full/community")
	bootDirs := []string{"/v3.19/main"}
	fullDirs := []string{"/v3.19/full/main", "/v3.19/full/community"}

	same := func(t *testing.T, world []string, repos []*Repo, dirs []string, order bool) {
		t.Helper()
		want, wantErr := apkChoice(root, world, dirs)
		pkgs, err := Solve(world, repos, SolveOptions{Newest: true})
		if (err == nil) != (wantErr == nil) {
			t.Errorf("world %q:\nours: %v\napk:  %v", world, err, wantErr)
			return
		}
		have := idsOf(pkgs)
		if order && !slices.Equal(have, want) {
			t.Errorf("world %q: order differs\nours: %v\napk:  %v", world, have, want)
		}
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			t.Errorf("world %q: %d packages, apk %d\nours only: %v\napk only: %v", world, len(have), len(want), minus(have, want), minus(want, have))
		}
	}
	t.Run("boot list", func(t *testing.T) { same(t, strings.Fields(bootWorld), boot, bootDirs, true) })
	t.Run("everything", func(t *testing.T) {
		var all []string
		for _, p := range boot[0].Packages {
			all = append(all, p.Name)
		}
		same(t, all, boot, bootDirs, false)
	})
	t.Run("nas", func(t *testing.T) { same(t, strings.Fields(nas), full, fullDirs, false) })
	t.Run("virtual, conflict, versions", func(t *testing.T) {
		for _, w := range []string{
			"!busybox-binsh bash", "busybox !musl", "so:libz.so.1", "cmd:ssh", "openssl>3", "openssl<3", "openssl~3.1",
			"openssl=3.1.5-r0", "openssl=3.1", "openssl~3.1.5.9", "openssl~3", "openssl>~3.0", "openssl<~3.0", "postgresql", "mdev eudev", "nosuchpackage", "linux-lts !mkinitfs",
			"linux-lts !initramfs-generator", "/bin/sh", "dbus-launch dbus openrc", "alpine-base !openrc",
		} {
			same(t, strings.Fields(w), full, fullDirs, false)
		}
	})
	t.Run("each of nas", func(t *testing.T) {
		list := strings.Fields(nas)
		for _, n := range list[:count(8, len(list))] {
			same(t, []string{n}, full, fullDirs, false)
		}
	})
	rng := rand.New(rand.NewPCG(*seed, 2))
	t.Run("random", func(t *testing.T) {
		packages := slices.Concat(full[0].Packages, full[1].Packages)
		solved := 0
		for range count(*worlds, 500) {
			var world []string
			for _, p := range some(rng, packages) {
				world = append(world, wordFor(rng, p, ""))
			}
			same(t, world, full, fullDirs, false)
			if _, err := Solve(world, full, SolveOptions{Newest: true}); err == nil {
				solved++
			}
		}
		t.Logf("%d worlds, %d of them can be had", count(*worlds, 500), solved)
	})
	t.Run("random with pins", func(t *testing.T) {
		pinned := alpineRepos(t, "full/main", "full/community")
		pinned[1].Tag = "edge"
		dirs := []string{fullDirs[0], "@edge " + fullDirs[1]}
		packages := slices.Concat(pinned[0].Packages, pinned[1].Packages)
		for range count(*worlds, 500) {
			var world []string
			for _, p := range some(rng, packages) {
				tag := p.Repo.Tag
				if rng.IntN(8) == 0 {
					tag = "edge"
				}
				world = append(world, wordFor(rng, p, tag))
			}
			same(t, world, pinned, dirs, false)
		}
	})
}

// some takes packages of different names.
func some(rng *rand.Rand, packages []*Package) []*Package {
	var out []*Package
	for range 1 + rng.IntN(12) {
		p := pick(rng, packages)
		if !slices.ContainsFunc(out, func(o *Package) bool { return o.Name == p.Name }) {
			out = append(out, p)
		}
	}
	return out
}

// wordFor asks for a package, mostly by its name alone.
func wordFor(rng *rand.Rand, p *Package, tag string) string {
	d := Dep{Name: p.Name, Tag: tag}
	switch rng.IntN(12) {
	case 0:
		d.Op, d.Version = Equal, p.Version
	case 1:
		d.Op, d.Version = Greater|Equal, p.Version
	case 2:
		major, _, _ := strings.Cut(p.Version, ".")
		d.Op, d.Version = Fuzzy, major
	case 3:
		if rng.IntN(3) == 0 {
			d.Op, d.Version = pick(rng, []Op{Less, Greater}), p.Version
		}
	case 4:
		d.Conflict, d.Tag = true, ""
	}
	return d.String()
}

func idsOf(pkgs []*Package) []string {
	var ids []string
	for _, p := range pkgs {
		ids = append(ids, p.ID())
	}
	return ids
}

func minus(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

func TestCompareAsApk(t *testing.T) {
	root := oracle.New(t)
	full := alpineRepos(t, "full/main", "full/community")
	var versions []string
	for _, r := range full {
		for _, p := range r.Packages {
			versions = append(versions, p.Version)
			for _, d := range p.Provides {
				if d.Version != "" {
					versions = append(versions, d.Version)
				}
			}
		}
	}
	slices.Sort(versions)
	versions = slices.Compact(versions)
	rng := rand.New(rand.NewPCG(*seed, 4))
	mutate := func(v string) string {
		b := []byte(v)
		i := rng.IntN(len(b))
		switch rng.IntN(5) {
		case 0:
			b[i] = "0123456789._-rabp"[rng.IntN(17)]
		case 1:
			b = slices.Insert(b, i, "0123456789._ar"[rng.IntN(14)])
		case 2:
			if len(b) > 1 {
				b = slices.Delete(b, i, i+1)
			}
		case 3:
			b = append(b[:i:i], []string{"_rc1", "_p2", "_git20240101", "-r1", ".0", ".01", "b", "_alpha"}[rng.IntN(8)]...)
		case 4:
			b = slices.Insert(b, i, '0')
		}
		return string(b)
	}
	type pair struct{ a, b string }
	var list []pair
	for range count(*pairs, 5000) {
		p := pair{versions[rng.IntN(len(versions))], versions[rng.IntN(len(versions))]}
		switch rng.IntN(4) {
		case 0: // neighbours are the hard ones
			i := rng.IntN(len(versions) - 1)
			p = pair{versions[i], versions[i+1]}
		case 1:
			p.b = mutate(p.a)
		case 2:
			p.a, p.b = mutate(p.a), mutate(mutate(p.a))
		}
		if p.a == "" || p.b == "" || p.a[0] == '-' || p.b[0] == '-' {
			continue // apk would take it for a flag
		}
		list = append(list, p)
	}
	var in strings.Builder
	for _, p := range list {
		fmt.Fprintf(&in, "%s %s\n", p.a, p.b)
	}
	out, err := root.Run(in.String(), "/bin/sh", "-c",
		`while read a b; do r=$(apk version -t "$a" "$b" 2>/dev/null) || r=error; echo "${r:-none}"; done`)
	if err != nil {
		t.Fatalf("%v\n%.500s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != len(list) {
		t.Fatalf("%d answers to %d pairs: %.300s", len(lines), len(list), out)
	}
	wrong := 0
	for i, p := range list {
		have := map[int]string{-1: "<", 0: "=", 1: ">"}[Compare(p.a, p.b)]
		if have != lines[i] {
			wrong++
			if wrong < 30 {
				t.Errorf("%s %s: %s, apk says %s (valid: %v %v)", p.a, p.b, have, lines[i], ValidVersion(p.a), ValidVersion(p.b))
			}
		}
	}
	t.Logf("%d pairs of %d versions", len(list), len(versions))
}

// TestApkReadsOurs has the real apk verify and install what WriteArchive and
// WriteIndex wrote.
func TestApkReadsOurs(t *testing.T) {
	root := oracle.New(t)
	a := small("one")
	a.Info.Provides = deps(t, "cmd:one=1.0-r0")
	// cap_net_raw=ep, as setcap(8) stores it
	const capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	a.Entries[1].Xattrs = map[string]string{"security.capability": capability}
	b := small("two")
	b.Info.Depends = deps(t, "one>=1.0 cmd:one")
	location := makeRepo(t, a, b)
	root.Share(location, "ours")
	pub, err := PublicPEM(&testKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := root.Add("/without", []string{"/ours"}, []string{"two"}); err == nil {
		t.Errorf("without the key apk took it:\n%s", out)
	}
	if err := os.WriteFile(filepath.Join(root.Dir, "etc/apk/keys", testKeyName), pub, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := root.Add("/target", []string{"/ours"}, []string{"two"}, "--no-scripts")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(root.Dir, "target/usr/one"))
	if err != nil || string(data) != "content of one\n" {
		t.Errorf("%q, %v", data, err)
	}
	buf := make([]byte, 100)
	n, err := syscall.Getxattr(filepath.Join(root.Dir, "target/usr/one"), "security.capability", buf)
	if err != nil || string(buf[:max(0, n)]) != capability {
		t.Errorf("file capability %q, %v", buf[:max(0, n)], err)
	}
}

// BenchmarkApkSimulateFullIndexes is the peer of BenchmarkSolveFullIndexes: the
// real apk reads the same indexes and solves the same list, in a chroot.
func BenchmarkApkSimulateFullIndexes(b *testing.B) {
	root := oracle.New(b)
	for _, name := range []string{"main", "community"} {
		root.Share(filepath.Join(oracle.Data(b), "v3.19/full", name), "full/"+name)
	}
	for b.Loop() {
		if _, err := apkChoice(root, strings.Fields(nas), []string{"/full/main", "/full/community"}); err != nil {
			b.Fatal(err)
		}
	}
}
