//go:build priv

package modindex_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hoopy/devices"
	"hoopy/devices/modindex"
)

// TestShowDependsOracle compares what our modprobe would load, in order, with
// kmod's: every 15th module of Debian's kernel, and those with soft
// dependencies. kmod names some modules twice; the first time counts.
func TestShowDependsOracle(t *testing.T) {
	base, release := modindex.DebianModules(t)
	if out, err := exec.Command("depmod", "-b", base, release).CombinedOutput(); err != nil {
		t.Fatalf("depmod: %v\n%s", err, out)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(base, "lib/modules", release, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	names := []string{"fs-ext4", "net-pf-17", "crypto-crc32c", "crc32", "no-such-module"}
	for line := range strings.Lines(read("modules.softdep")) {
		if f := strings.Fields(line); f[0] == "softdep" && !slices.Contains(names, f[1]) {
			names = append(names, f[1])
		}
	}
	soft := len(names)
	for i, line := range strings.Split(read("modules.dep"), "\n") {
		if path, _, ok := strings.Cut(line, ":"); ok && i%15 == 0 {
			names = append(names, modindex.ModuleName(path))
		}
	}
	if len(names) < soft+100 {
		t.Fatalf("only %d modules to compare", len(names))
	}
	for _, name := range names {
		// An error is an empty list.
		want, _ := exec.Command("modprobe", "-q", "-C", "/dev/null", "-d", base, "-S", release, "-D", name).Output()
		var got, ours bytes.Buffer
		devices.Modprobe([]string{"-q", "-d", base, "-S", release, "-D", name}, &got, &ours)
		if g, w := got.String(), once(string(want)); g != w {
			t.Errorf("%s: we load\n%skmod\n%s", name, g, w)
		}
	}
	t.Logf("%d names compared", len(names))
}

// once drops repeated lines and white space at their ends.
func once(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(append(lines, ""), "\n")
}
