//go:build e2e

package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"hoopy/build/debian"
	"hoopy/build/image"
	"hoopy/build/qemu"
	"hoopy/unit"
)

// storageImage is the checkout's image with what tests of storage need besides:
// smartctl, mdadm and dmsetup, and ZFS where it was built. It is made once for all tests; zfs says why
// it has no ZFS.
var storageImage = sync.OnceValues(func() (s struct {
	built
	zfs error
}, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	out := filepath.Join("..", "out", "e2e-storage")
	dir, debs := filepath.Join(out, "folder"), filepath.Join(cacheDir, "debian")
	kernel, err := debian.LoadKernel(ctx, debian.Options{CacheDir: debs})
	if err != nil {
		return s, err
	}
	packages, modules := "smartmontools\nmdadm\ndmsetup\n", ""
	if _, s.zfs = debian.ZFS(kernel.Release); s.zfs == nil {
		packages, modules = packages+"zfs\nzfs-lts\n", `"zfs", `
	} else if !errors.Is(s.zfs, debian.ErrNoZFS) {
		return s, s.zfs
	}
	if err := os.RemoveAll(dir); err != nil {
		return s, err
	}
	for _, name := range []string{"root", "keys"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join("..", name))); err != nil {
			return s, err
		}
	}
	for name, edit := range map[string]func(string) string{
		"VERSION":  func(text string) string { return text },
		"packages": func(text string) string { return text + packages },
		"image.toml": func(text string) string {
			return strings.Replace(text, `"@base", `, `"@base", `+modules, 1)
		},
	} {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			return s, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(edit(string(text))), 0o644); err != nil {
			return s, err
		}
	}
	r, err := image.Build(ctx, image.Options{
		// A cache of its own: the repository of stand-ins is made for one list of packages.
		Dir: dir, Self: "..", Out: out, Cache: filepath.Join(cacheDir, "storage"), Login: true,
		StandIn: func(ctx context.Context, dir string, names []string) (string, error) {
			err := debian.Repository(ctx, debian.Options{Dir: dir, Names: names, CacheDir: debs})
			return filepath.Join(dir, debian.KeyName), err
		},
	})
	if err != nil {
		return s, err
	}
	s.built = built{r.Vmlinuz, r.Initramfs, r.SSHKey}
	return s, nil
})

// machine is one whose disks outlive it: it is booted again and again.
type machine struct {
	kernel, initrd string
	key            ssh.Signer
	disks          []disk
	cmdline        string
}

// storageMachine is one with files laid over the image of storage. With zfs it is
// skipped where ZFS was not built.
func storageMachine(t testing.TB, zfs bool, files map[string]File, disks ...disk) *machine {
	t.Helper()
	s, err := storageImage()
	if err != nil {
		t.Fatalf("the image does not build: %v", err)
	}
	if zfs && s.zfs != nil {
		t.Skip(s.zfs)
	}
	m := &machine{kernel: s.kernel, initrd: s.initramfs, disks: disks, cmdline: cmdline}
	if m.key, err = readKey(s.key); err != nil {
		t.Fatal(err)
	}
	if len(files) > 0 {
		m.initrd = Overlay(t, m.initrd, files)
	}
	return m
}

// boot starts the machine once more. The disks may be said anew.
func (m *machine) boot(t testing.TB, disks ...disk) *VM {
	t.Helper()
	if len(disks) == 0 {
		disks = m.disks
	}
	return Boot(t, Config{Key: m.key, Config: qemu.Config{
		Kernel: m.kernel, Initrd: m.initrd, Cmdline: m.cmdline, MemoryMB: 1024, SMP: 2, Extra: diskArgs(disks),
	}})
}

// init is an init.toml with a link and with what a test adds.
func initTOML(more string) File {
	return file(`hostname = "hoopy"
modules = ["af_packet", "ipv6"]
instances = ["getty@ttyS0"]
` + more + `
[[link]]
name = "lan"
match = { name = "eth*" }
`)
}

// off ends the machine in order.
func (v *VM) off() {
	v.t.Helper()
	v.Run("svc poweroff")
	if got := v.Ended(2 * time.Minute); got != "guest-shutdown" {
		v.Fatalf("svc poweroff: the machine ended by %q", got)
	}
}

// cut ends the machine as a power cut does: what the guest has not written is
// lost.
func (v *VM) cut() {
	v.t.Helper()
	v.QMP("quit", nil)
	v.Ended(0)
}

// lastWords holds what the console showed of the machine's end. Its lines may be
// dropped, and then it says so.
func (v *VM) lastWords(want ...string) {
	v.t.Helper()
	said := v.Console()
	for _, text := range want {
		if !strings.Contains(said, text) && !strings.Contains(said, "dropped here") {
			v.t.Errorf("the console does not say %q", text)
		}
	}
}

// part runs a part of a test in a machine that others go on with: what fails is
// that part.
func (v *VM) part(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		outer := v.t
		v.t = t
		defer func() { v.t = outer }()
		f(t)
	})
}

// eventually waits until a command of the guest succeeds.
func (v *VM) eventually(what, command string) {
	v.t.Helper()
	out := ""
	for end := time.Now().Add(Patience); time.Now().Before(end); {
		var exit int
		if out, exit = v.Run("for i in $(seq 20); do if " + command + "; then exit 0; fi; usleep 100000; done >/dev/null; exit 1"); exit == 0 {
			return
		}
	}
	v.Fatalf("waited in vain for %s: %s\n%s", what, command, out)
}

// noted waits until what svc status says of a unit contains text.
func (v *VM) noted(name, text string) unit.Report {
	v.t.Helper()
	return v.untilUnit(name, "said to be "+strconv.Quote(text), func(r unit.Report) bool { return strings.Contains(told(r), text) })
}

// told is all that a report says about why.
func told(r unit.Report) string { return r.Why + " | " + r.Note + " | " + r.Sick }
