//go:build priv

package modindex

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDepmodOracle indexes a real Debian kernel and compares every file with
// what depmod makes of the same tree, byte for byte.
func TestDepmodOracle(t *testing.T) {
	base, release := DebianModules(t)
	dir := filepath.Join(base, "lib/modules", release)
	if out, err := exec.Command("depmod", "-b", base, release).CombinedOutput(); err != nil {
		t.Fatalf("depmod: %v\n%s", err, out)
	}
	got := buildTree(t, dir)
	for name, data := range got {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, want) {
			t.Errorf("%s: %d bytes differ from depmod's %d at %d", name, len(data), len(want), firstDifference(data, want))
		}
	}
	compareLookups(t, dir, got)
}

// compareLookups asks both trees for every alias and every name, so that a
// difference in the files says what it means.
func compareLookups(t *testing.T, dir string, got map[string][]byte) {
	for _, name := range []string{"modules.alias.bin", "modules.dep.bin", "modules.builtin.bin", "modules.builtin.alias.bin"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := Parse(got[name])
		if err != nil {
			t.Fatal(err)
		}
		keys := 0
		for key, v := range want.All {
			keys++
			if w, ok := ours.Get(key); !ok {
				t.Errorf("%s: %q is missing, depmod has %q", name, key, v.Text)
			} else if first, _ := want.Get(key); w != first {
				t.Errorf("%s: %q = %q, depmod has %q", name, key, w, first)
			}
		}
		if keys == 0 {
			t.Errorf("%s: no key was compared", name)
		}
		t.Logf("%s: %d keys", name, keys)
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// TestModprobeOracle resolves real and made-up aliases with modprobe -R.
func TestModprobeOracle(t *testing.T) {
	base, release := DebianModules(t)
	files := buildTree(t, filepath.Join(base, "lib/modules", release))
	index, err := Parse(files["modules.alias.bin"])
	if err != nil {
		t.Fatal(err)
	}
	builtin, err := Parse(files["modules.builtin.alias.bin"])
	if err != nil {
		t.Fatal(err)
	}
	hits := 0
	for _, alias := range modaliases {
		var got []string
		for _, v := range index.Search(alias) {
			got = append(got, v.Text)
		}
		if got == nil {
			for _, v := range builtin.Search(alias) {
				got = append(got, v.Text)
			}
		}
		out, err := exec.Command("modprobe", "-d", base, "-S", release, "-C", "/dev/null", "-R", "--", alias).Output()
		if err != nil {
			out = nil // nothing found
		}
		var want []string
		for _, name := range strings.Fields(string(out)) {
			if len(want) == 0 || want[len(want)-1] != name {
				want = append(want, name)
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %q, modprobe says %q", alias, got, want)
		}
		hits += len(got)
	}
	if hits == 0 {
		t.Error("no alias was found")
	}
}

var modaliases = []string{
	"pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00",
	"pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00",
	"pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01",
	"pci:v0000144Dd0000A808sv0000144Dsd0000A801bc01sc08i02",
	"virtio:d00000001v00001AF4", "virtio:d00000002v00001AF4",
	"acpi:LNXPWRBN:", "acpi:PNP0C0C:", "acpi:PNP0501:", "platform:Fixed MDIO bus",
	"input:b0019v0000p0001e0000-e0,1,k74,ramlsfw", "fs-ext4", "crypto-crc32c", "net-pf-17",
	"usb:v0781p5567d0126dc00dsc00dp00ic08isc06ip50in00", "usb:v046DpC52Bd1201dc00dsc00dp00ic03isc01ip01in00",
	"dmi:bvnAmericanMegatrendsInc.:bvr09QA:bd10/22/2015:svnSAMSUNGELECTRONICSCO.,LTD.:pn300V3Z/300V4Z/300V5Z/200A4Y/200A5Y:pvr09QA:rvnSAMSUNGELECTRONICSCO.,LTD.:rn300V3Z/300V4Z:rvr09QA:cvnSAMSUNGELECTRONICSCO.,LTD.:ct9:cvr09QA:",
	"cpu:type:x86,ven0002fam0017mod0031:feature:,0000,0001,0002,0081,0089,00C0,0115",
	"scsi:t-0x00", "mmc:block", "nothing:at-all", "", "-", "[", "fs-nosuch",
}

// BenchmarkSearch looks real modaliases up among Debian's 26,000.
func BenchmarkSearch(b *testing.B) {
	base, release := DebianModules(b)
	index, err := Parse(buildTree(b, filepath.Join(base, "lib/modules", release))["modules.alias.bin"])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, alias := range modaliases {
			index.Search(alias)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(modaliases)), "ns/lookup")
}

// BenchmarkColdplug finds out what a machine's modaliases want to have loaded, and
// in which order, beside what `modprobe -a` (libkmod, as in udevd) takes for the
// same. Nobody loads anything.
func BenchmarkColdplug(b *testing.B) {
	base, release := DebianModules(b)
	modprobe, err := exec.LookPath("modprobe")
	if err != nil {
		b.Skip("no modprobe of kmod here: apt-get install -y --no-install-recommends kmod")
	}
	dir := b.TempDir()
	at := filepath.Join(dir, "lib/modules", release)
	if err := os.MkdirAll(at, 0o755); err != nil {
		b.Fatal(err)
	}
	for name, data := range buildTree(b, filepath.Join(base, "lib/modules", release)) {
		if err := os.WriteFile(filepath.Join(at, name), data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	open := func(name string) *Index { // as the loader does
		f, err := os.Open(filepath.Join(at, name))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			b.Fatal(err)
		}
		data, err := syscall.Mmap(int(f.Fd()), 0, int(st.Size()), syscall.PROT_READ, syscall.MAP_PRIVATE)
		if err != nil {
			b.Fatal(err)
		}
		x, err := Parse(data)
		if err != nil {
			b.Fatal(err)
		}
		return x
	}
	var ours time.Duration
	for b.Loop() {
		began := time.Now()
		alias, dep := open("modules.alias.bin"), open("modules.dep.bin")
		for _, a := range modaliases {
			for _, m := range alias.Search(a) {
				dep.Get(m.Text)
			}
		}
		ours += time.Since(began)
	}
	ours /= time.Duration(b.N)
	const runs = 20
	args := append([]string{"-a", "-q", "-D", "-d", dir, "-S", release}, modaliases...)
	began := time.Now()
	for range runs {
		// It says no of aliases that nothing is for; what counts is the time.
		_ = exec.Command(modprobe, args...).Run()
	}
	theirs := time.Since(began) / runs
	b.ReportMetric(float64(theirs)/float64(ours), "modprobe-ratio")
	b.ReportMetric(float64(theirs.Microseconds()), "modprobe-us")
}

// BenchmarkBuild indexes Debian's 4,000 modules, reading their files included.
func BenchmarkBuild(b *testing.B) {
	base, release := DebianModules(b)
	for b.Loop() {
		buildTree(b, filepath.Join(base, "lib/modules", release))
	}
}

// buildTree runs Build over a folder of modules.
func buildTree(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	var mods []Module
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".ko") {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		m, err := ReadModule(rel, f)
		mods = append(mods, m)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	files, err := Build(mods, read("modules.order"), read("modules.builtin"), read("modules.builtin.modinfo"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// DebianModules unpacks Debian's kernel package once into the cache and returns
// a base folder for depmod -b, and the release.
func DebianModules(t testing.TB) (base, release string) {
	t.Helper()
	for _, tool := range []string{"depmod", "modprobe", "dpkg-deb", "apt-get", "apt-cache"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: apt-get install kmod dpkg apt", tool)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	out, err := exec.Command("apt-cache", "depends", "linux-image-amd64").Output()
	_, name, ok := strings.Cut(string(out), "Depends: ")
	if err != nil || !ok {
		t.Skip("no package linux-image-amd64: apt-get update")
	}
	name = strings.Fields(name)[0]
	release = strings.TrimPrefix(name, "linux-image-")
	base = filepath.Join(cache, "hoopy", name)
	if _, err := os.Stat(base); err == nil {
		return base, release
	}
	tmp := filepath.Join(cache, "hoopy", name+".part")
	if err := os.RemoveAll(tmp); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	fetch := exec.Command("apt-get", "download", name)
	fetch.Dir = tmp
	if out, err := fetch.CombinedOutput(); err != nil {
		t.Skipf("apt-get download %s: %v\n%s", name, err, out)
	}
	debs, _ := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if len(debs) != 1 {
		t.Fatalf("%d packages in %s", len(debs), tmp)
	}
	if out, err := exec.Command("dpkg-deb", "-x", debs[0], tmp).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, out)
	}
	if err := os.Remove(debs[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, base); err != nil {
		t.Fatal(err)
	}
	return base, release
}
