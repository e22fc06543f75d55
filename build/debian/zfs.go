package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hoopy/build/tree"
)

// ErrNoZFS says that nobody has built ZFS for a kernel. Its text in an error
// ends with the command that does.
var ErrNoZFS = errors.New("no ZFS for this kernel")

// ZFS returns the folder in which tools/zfs left ZFS for a kernel: spl.ko,
// zfs.ko, and in debs/ the packages of the programs. $HOOPY_ZFS is the folder of
// all kernels; unset, it is hoopy/zfs in the user's cache folder. Without it the
// error is ErrNoZFS.
func ZFS(release string) (dir string, err error) {
	all := os.Getenv("HOOPY_ZFS")
	if all == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		all = filepath.Join(cache, "hoopy", "zfs")
	}
	dir = filepath.Join(all, release)
	if _, err := os.Stat(filepath.Join(dir, "zfs.ko")); err != nil {
		return "", fmt.Errorf("%w; build it, which takes minutes: tools/zfs %s", ErrNoZFS, release)
	}
	return dir, nil
}

// zfsDir is the folder for the kernel of the repository.
func (m *maker) zfsDir(ctx context.Context) (release, dir string, err error) {
	name, err := m.kernelName(ctx)
	if err != nil {
		return "", "", err
	}
	release = strings.TrimPrefix(name, "linux-image-")
	dir, err = ZFS(release)
	return release, dir, err
}

// chooseZFS takes packages from the folder that tools/zfs filled.
func (m *maker) chooseZFS(ctx context.Context, names []string) error {
	_, dir, err := m.zfsDir(ctx)
	if err != nil {
		return fmt.Errorf("debian: %w", err)
	}
	for _, name := range names {
		d := deb{Name: name, File: name + ".deb", path: filepath.Join(dir, "debs", name+".deb")}
		if d.Sum, err = sumFile(d.path); err != nil {
			return fmt.Errorf("debian: %w", err)
		}
		m.debs[name] = d
	}
	return nil
}

// addZFSModules lays the modules where Alpine's zfs-lts has them.
func addZFSModules(ctx context.Context, m *maker, t *tree.Tree) error {
	release, dir, err := m.zfsDir(ctx)
	if err != nil {
		return err
	}
	to := "lib/modules/" + release + "/extra"
	if err := t.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"spl.ko", "zfs.ko"} {
		file := filepath.Join(dir, name)
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		if err := t.Add(&tree.Entry{Path: to + "/" + name, Mode: fs.FileMode(0o644), Size: info.Size(),
			Open: func() (io.ReadCloser, error) { return os.Open(file) }}); err != nil {
			return err
		}
	}
	return nil
}

// ofZFS says whether a Debian package is one of ZFS's own libraries: those that
// are needed lie in the folder, and the archive of the host's sources may have
// none of them.
func ofZFS(name string) bool {
	return strings.HasPrefix(name, "lib") && strings.HasSuffix(name, "linux")
}
