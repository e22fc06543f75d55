// Package hoopy_test holds what is true of the whole tree: which package may
// import which, and what /init weighs.
package hoopy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hoopy/build/image"
)

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// arrows lists, for each package of ours, the packages of ours that it may
// import. "x/..." stands for x and all below it. What is not listed may not
// exist: a new package says first where it belongs.
var arrows = map[string][]string{
	"hoopy/kmsg":          {},
	"hoopy/json":          {},
	"hoopy/keeper":        {"hoopy/kmsg"},
	"hoopy/keeper/rescue": {},
	"hoopy/unit/schema":   {},
	"hoopy/unit/fstab":    {"hoopy/unit"},
	"hoopy/unit/schedule": {},
	"hoopy/unit/durable":  {},
	"hoopy/timers":        {"hoopy/unit", "hoopy/unit/durable", "hoopy/unit/schedule"},
	"hoopy/unit":          {"hoopy/unit/schema", "hoopy/unit/schedule"},
	"hoopy/supervisor":    {"hoopy/unit"},
	"hoopy/control":       {"hoopy/json", "hoopy/unit"},
	"hoopy/process/...":   {"hoopy/process/...", "hoopy/keeper", "hoopy/unit"},
	"hoopy/netcfg":        {"hoopy/json", "hoopy/unit"},
	"hoopy/mounts":        {"hoopy/unit"},
	"hoopy/devices/...":   {"hoopy/devices/...", "hoopy/unit"},
	"hoopy/zfs":           {"hoopy/unit"},
	"hoopy/seedrng":       {},
	"hoopy/acpi":          {},
	"hoopy/cmd/svc":       {"hoopy/control", "hoopy/unit", "hoopy/unit/schema"},
	"hoopy/cmd/init": {"hoopy/acpi", "hoopy/control", "hoopy/devices", "hoopy/json", "hoopy/keeper", "hoopy/keeper/rescue", "hoopy/kmsg", "hoopy/mounts",
		"hoopy/netcfg", "hoopy/process/...", "hoopy/seedrng", "hoopy/supervisor", "hoopy/timers", "hoopy/unit/...", "hoopy/zfs"},
	"hoopy/build/...": {"hoopy/build/...", "hoopy/devices/modindex", "hoopy/unit", "hoopy/unit/fstab", "hoopy/unit/schema"},
	"hoopy/root":      {},
	"hoopy/e2e/...":   {"hoopy/e2e/...", "hoopy/build/...", "hoopy/control", "hoopy/unit"},
}

// keeperMay is everything that the package keeper may import.
var keeperMay = []string{"golang.org/x/sys/unix", "hoopy/kmsg", "os", "os/signal", "syscall", "unsafe"}

// heavy may not be linked into /init: each costs more than what it would give.
var heavy = []string{"net/http", "crypto/tls", "text/template", "html/template", "log/slog", "os/exec",
	"github.com/vishvananda/netlink"} // its messages, netlink/nl, are light

// initMost is what /init may weigh, in bytes: it is unpacked at every boot, and
// what is linked but never runs is read, audited and mapped all the same. It was
// 4.5 MB before disks: the catalog, the prober, mounts and pools are 400 kB.
const initMost = 5_000_000

// run gives what a go command says of the tree. It opens all folders first: go
// test keeps a result as long as what the test itself opened is unchanged, and
// does not know what its children have read.
func run(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != "." && (d.Name()[0] == '.' || path == "out" || path == "bin") {
			return filepath.SkipDir
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a folder that another test has thrown away
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, &stderr)
	}
	return out
}

func list(t *testing.T, args ...string) (pkgs []pkg) {
	t.Helper()
	out := run(t, exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...))
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) == 0 {
		t.Fatalf("go list %v names no package", args)
	}
	return pkgs
}

func covers(pattern, path string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == base || strings.HasPrefix(path, base+"/")
	}
	return pattern == path
}

func TestArrows(t *testing.T) {
	for _, p := range list(t, "-tags=linux", "./...") {
		if p.ImportPath == "hoopy" {
			continue
		}
		var may []string
		known := false
		for from, to := range arrows {
			if covers(from, p.ImportPath) {
				known = true
				may = append(may, to...)
			}
		}
		if !known {
			t.Errorf("%s has no line in the table of arrows", p.ImportPath)
		}
		for _, imp := range p.Imports {
			ours := imp == "hoopy" || strings.HasPrefix(imp, "hoopy/")
			if ours && !slices.ContainsFunc(may, func(m string) bool { return covers(m, imp) }) {
				t.Errorf("%s imports %s: no arrow goes there", p.ImportPath, imp)
			}
			outside := strings.HasPrefix(p.ImportPath, "hoopy/build") || strings.HasPrefix(p.ImportPath, "hoopy/e2e")
			if imp == "os/exec" && !outside {
				t.Errorf("%s imports os/exec: nobody but the keeper starts and waits for processes", p.ImportPath)
			}
		}
	}
}

func TestKeeperImportsFivePackages(t *testing.T) {
	for _, imp := range list(t, "./keeper")[0].Imports {
		if !slices.Contains(keeperMay, imp) {
			t.Errorf("keeper imports %s; it may import only %v", imp, keeperMay)
		}
	}
}

func TestInitIsLean(t *testing.T) {
	for _, dep := range list(t, "./cmd/init")[0].Deps {
		if slices.Contains(heavy, dep) {
			t.Errorf("/init links %s", dep)
		}
	}
}

// TestInitIsSmall builds /init as the image does.
func TestInitIsSmall(t *testing.T) {
	out := filepath.Join(t.TempDir(), "init")
	args := append([]string{"build", "-o", out}, image.CompileFlags("0.1.0")...)
	cmd := exec.Command("go", append(args, "./cmd/init")...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1")
	run(t, cmd)
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > initMost {
		t.Errorf("/init is %d bytes, %d more than it may be; see go tool nm -size -sort size, and go build -ldflags=-dumpdep for who asks for what",
			info.Size(), info.Size()-initMost)
	}
	t.Logf("/init is %d bytes", info.Size())
}
