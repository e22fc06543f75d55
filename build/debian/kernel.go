package debian

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Kernel is Debian's kernel for amd64, unpacked into the cache. The files are
// shared by all who ask: do not change them.
type Kernel struct {
	// Image is the bzImage.
	Image string
	// Root is a folder that holds lib/modules/RELEASE with the modules that the
	// policy asked for and their dependencies, modules.builtin,
	// modules.builtin.modinfo and modules.order. There is no modules.dep.
	Root string
	// Release is what uname -r says: "6.1.0-56-amd64".
	Release string
	// Version is the package's: "6.1.192-2".
	Version string
}

// LoadKernel returns the kernel with the modules of o.Modules; only that field
// and o.CacheDir count. The first call fetches 70 MB and reads it twice
// (seconds); later ones ask apt for the current name and stat the folder.
func LoadKernel(ctx context.Context, o Options) (Kernel, error) {
	a, err := o.archive()
	if err != nil {
		return Kernel{}, err
	}
	return a.kernel(ctx, o.policy())
}

func (a *archive) kernel(ctx context.Context, policy []string) (Kernel, error) {
	name, err := a.kernelName(ctx)
	if err != nil {
		return Kernel{}, fmt.Errorf("debian: %w", err)
	}
	debs, err := a.fetch(ctx, name)
	if err != nil {
		return Kernel{}, err
	}
	d := debs[0]
	c, err := d.control(ctx)
	if err != nil {
		return Kernel{}, err
	}
	sum := sha256.Sum256([]byte(d.Sum + "\n" + strings.Join(policy, "\n")))
	k := Kernel{
		Root:    filepath.Join(a.dir, "kernel", hex.EncodeToString(sum[:12])),
		Release: strings.TrimPrefix(name, "linux-image-"),
		Version: c.version,
	}
	k.Image = filepath.Join(k.Root, "vmlinuz")
	if _, err := os.Stat(k.Root); err == nil {
		return k, nil
	}
	if err := d.unpackKernel(ctx, k, policy); err != nil {
		return Kernel{}, fmt.Errorf("debian: %w", err)
	}
	return k, nil
}

// unpackKernel reads the package twice: which modules depend on which is known
// only after all of them were seen.
func (d deb) unpackKernel(ctx context.Context, k Kernel, policy []string) error {
	prefix := "lib/modules/" + k.Release + "/"
	all := map[string]module{}
	err := d.walk(ctx, func(h *tar.Header, content io.Reader) error {
		rel, ok := strings.CutPrefix(h.Name, prefix)
		if !ok || !strings.HasSuffix(rel, ".ko") || h.Typeflag != tar.TypeReg {
			return nil
		}
		m, err := readModule(strings.TrimPrefix(rel, "kernel/"), content)
		if err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		all[m.name] = m
		return nil
	})
	if err != nil {
		return err
	}
	keep, err := closure(all, policy)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(k.Root), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(k.Root), "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	err = d.walk(ctx, func(h *tar.Header, content io.Reader) error {
		to := ""
		rel, inModules := strings.CutPrefix(h.Name, prefix)
		switch {
		case h.Typeflag != tar.TypeReg:
		case h.Name == "boot/vmlinuz-"+k.Release:
			to = "vmlinuz"
		case inModules && strings.HasSuffix(rel, ".ko"):
			if keep[moduleName(rel)] {
				to = h.Name
			}
		case inModules && !strings.Contains(rel, "/"):
			to = h.Name // modules.builtin and its kin
		}
		if to == "" {
			return nil
		}
		return writeFile(filepath.Join(tmp, to), content)
	})
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(tmp, "vmlinuz")); err != nil {
		return fmt.Errorf("package %s: holds no boot/vmlinuz-%s", d.Name, k.Release)
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := os.Rename(tmp, k.Root); err != nil && !errors.Is(err, fs.ErrExist) {
		return err // ErrExist: another build was faster with the same content
	}
	return nil
}

func writeFile(path string, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// moduleName is a module's name as the kernel writes it: "virtio_net" for
// drivers/net/virtio-net.ko.
func moduleName(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(path.Base(file), ".ko"), "-", "_")
}
