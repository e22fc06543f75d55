package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"hoopy/build/tree"
)

// chroot lays the tree on the disk, runs the script there as root, and takes
// back what it made of it. Nothing but null, zero, full and urandom lies in the
// tree's dev, nothing is mounted, and the network is the host's.
func chroot(ctx context.Context, t *tree.Tree, script, goarch string) error {
	if os.Geteuid() != 0 || runtime.GOARCH != goarch {
		return fmt.Errorf(`setup = "chroot" needs root and a %s machine; this is uid %d on %s`, goarch, os.Geteuid(), runtime.GOARCH)
	}
	dir, err := os.MkdirTemp("", "hoopy-chroot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if err := stage(t, dir); err != nil {
		return err
	}
	const name = ".hoopy-setup.sh"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
		return err
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, "/bin/sh", "/"+name)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C", "TZ=UTC"}
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir, Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		said := output.Bytes()
		return fmt.Errorf("%w\n%s", err, bytes.TrimSpace(said[max(0, len(said)-4096):]))
	}
	if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return unstage(t, dir)
}

// stage writes the tree below dir, with owners, modes and times.
func stage(t *tree.Tree, dir string) error {
	entries := slices.Collect(t.Walk())
	for _, links := range []bool{false, true} { // a first name may come after the others
		for _, e := range entries {
			if links != (e.Hard != "") || e.Path == "." || strings.HasPrefix(e.Path, "dev/") {
				continue
			}
			if err := stageEntry(t, e, dir); err != nil {
				return err
			}
		}
	}
	if err := stageDevices(dir); err != nil {
		return err
	}
	for _, e := range slices.Backward(entries) { // folders after what is in them
		if e.Mode&fs.ModeSymlink == 0 && !strings.HasPrefix(e.Path, "dev/") {
			at := time.Unix(e.MTime, 0)
			if err := os.Chtimes(filepath.Join(dir, e.Path), at, at); err != nil {
				return err
			}
		}
	}
	return nil
}

func stageEntry(t *tree.Tree, e *tree.Entry, dir string) error {
	file := filepath.Join(dir, e.Path)
	switch {
	case e.Hard != "":
		return os.Link(filepath.Join(dir, e.Hard), file)
	case e.Mode&fs.ModeSymlink != 0:
		if err := os.Symlink(e.Link, file); err != nil {
			return err
		}
		return os.Lchown(file, e.UID, e.GID)
	case e.Mode.IsDir():
		if err := os.Mkdir(file, 0o755); err != nil {
			return err
		}
	case e.Mode.IsRegular():
		r, err := t.Content(e)
		if err != nil {
			return err
		}
		err = writeTo(file, func(w io.Writer) error {
			_, err := io.Copy(w, r)
			return err
		})
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%s: type %v does not belong in an image", e.Path, e.Mode.Type())
	}
	if err := os.Lchown(file, e.UID, e.GID); err != nil {
		return err
	}
	return os.Chmod(file, e.Mode) // after chown, which takes setuid away
}

func stageDevices(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "dev"), 0o755); err != nil {
		return err
	}
	for name, minor := range map[string]int{"null": 3, "zero": 5, "full": 7, "urandom": 9} {
		file := filepath.Join(dir, "dev", name)
		if err := syscall.Mknod(file, syscall.S_IFCHR|0o666, 1<<8|minor); err != nil {
			return &fs.PathError{Op: "mknod", Path: file, Err: err}
		}
		if err := os.Chmod(file, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// unstage makes the tree what lies below dir. An entry that was not changed
// keeps its content where it is.
func unstage(t *tree.Tree, dir string) error {
	found := map[string]*tree.Entry{}
	var order []string
	first := map[uint64]string{} // by inode, of files with several names
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(file, dir+"/"))
		if name == "dev" {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e, err := entryOf(t, name, file, info, first)
		if err != nil {
			return err
		}
		found[name], order = e, append(order, name)
		return nil
	})
	if err != nil {
		return err
	}
	var gone []string
	for e := range t.Walk() {
		now, left := found[e.Path]
		if e.Path != "." && e.Path != "dev" && !strings.HasPrefix(e.Path, "dev/") && (!left || now.Mode.Type() != e.Mode.Type()) {
			gone = append(gone, e.Path)
		}
	}
	for _, name := range slices.Backward(gone) {
		if err := t.RemoveAll(name); err != nil {
			return err
		}
	}
	for _, links := range []bool{false, true} {
		for _, name := range order {
			if e := found[name]; links == (e.Hard != "") {
				if err := t.Add(e); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func entryOf(t *tree.Tree, name, file string, info fs.FileInfo, first map[uint64]string) (*tree.Entry, error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("%s: no owner", file)
	}
	e := &tree.Entry{Path: name, Mode: info.Mode(), UID: int(st.Uid), GID: int(st.Gid), MTime: info.ModTime().Unix(), Source: setupFile}
	old, was := t.Get(name)
	if was {
		e.MTime, e.Source = old.MTime, old.Source // the time of a change is that of a build
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		link, err := os.Readlink(file)
		e.Link = link
		return e, err
	case info.IsDir():
		return e, nil
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: type %v does not belong in an image", name, info.Mode().Type())
	}
	if st.Nlink > 1 {
		if head, ok := first[st.Ino]; ok {
			e.Hard = head
			return e, nil
		}
		first[st.Ino] = name
	}
	e.Size = info.Size()
	if was && old.Mode.IsRegular() && old.MTime == info.ModTime().Unix() && sizeOf(t, old) == e.Size {
		holder := *old
		if old.Hard != "" {
			h, err := t.Lstat(old.Hard)
			if err != nil {
				return nil, err
			}
			holder = *h
		}
		e.Open = holder.Open
		return e, nil
	}
	data, err := os.ReadFile(file)
	if len(data) > 0 {
		e.Open = tree.Bytes(data)
	}
	e.Size = int64(len(data))
	return e, err
}

func sizeOf(t *tree.Tree, e *tree.Entry) int64 {
	if e.Hard != "" {
		if h, err := t.Lstat(e.Hard); err == nil {
			return h.Size
		}
	}
	return e.Size
}
