package image

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"

	"hoopy/build/tree"
)

// The frames of the archive, in order.
const (
	frameInit = iota
	frameEarly
	framePackages
	frameRoot
	frames
)

// completeFile is the archive's last entry.
const completeFile = ".hoopy/complete"

// layer lays our own entries over the packages' tree and remembers which they
// are.
type layer struct {
	t     *tree.Tree
	epoch int64
	laid  map[string]int // path -> frame
	// over lists, by whose it was, the paths that we laid over.
	over map[string][]string
	// holes are the paths of the base that are no longer the base's.
	holes []string
	// id names the image, once identity was laid.
	id string
}

func newLayer(t *tree.Tree, epoch int64) *layer {
	if epoch == 0 {
		for e := range t.Walk() {
			epoch = max(epoch, e.MTime)
		}
	}
	if top, ok := t.Get("."); ok && top.MTime == 0 {
		top.MTime = epoch
	}
	return &layer{t: t, epoch: epoch, laid: map[string]int{}, over: map[string][]string{}}
}

// put lays one entry; its parents are made. A directory that is there keeps
// its owner and mode.
func (l *layer) put(frame int, e *tree.Entry) error {
	if err := l.dirs(frame, path.Dir(e.Path), 0o755); err != nil {
		return err
	}
	old, exists := l.t.Get(e.Path)
	if exists && e.Mode.IsDir() && l.isDir(e.Path) {
		return nil
	}
	if exists {
		if _, ours := l.laid[old.Path]; !ours {
			l.over[old.Source] = append(l.over[old.Source], old.Path)
			l.holes = append(l.holes, old.Path)
		}
	}
	e.MTime = l.epoch
	if err := l.t.Add(e); err != nil {
		if exists {
			whose := old.Source
			if whose == "" {
				whose = "a package"
			}
			return fmt.Errorf("%s of %s: does not fit over what %s lays there: %w", e.Path, e.Source, whose, err)
		}
		return err
	}
	l.laid[e.Path] = frame
	return nil
}

// modes refuses what others than its owner could write to. What packages lay
// is theirs to say.
func (l *layer) modes() error {
	for _, name := range slices.Sorted(maps.Keys(l.laid)) {
		if e, ok := l.t.Get(name); ok && writable(e) {
			return fmt.Errorf("%s of %s: mode %04o lets others write", name, e.Source, e.Mode.Perm())
		}
	}
	return nil
}

func (l *layer) isDir(name string) bool {
	e, err := l.t.Stat(name)
	return err == nil && e.Mode.IsDir()
}

// dirs makes a directory and its parents where they lack.
func (l *layer) dirs(frame int, name string, mode fs.FileMode) error {
	if name == "." || l.isDir(name) {
		return nil
	}
	if err := l.dirs(frame, path.Dir(name), 0o755); err != nil {
		return err
	}
	return l.put(frame, &tree.Entry{Path: name, Mode: fs.ModeDir | mode, Source: "build"})
}

func (l *layer) text(name, content string, mode fs.FileMode, source string) error {
	return l.put(frameRoot, &tree.Entry{
		Path: name, Mode: mode, Size: int64(len(content)), Open: tree.Bytes([]byte(content)), Source: source,
	})
}

func (l *layer) link(target, name string) error {
	return l.put(frameRoot, &tree.Entry{Path: name, Mode: fs.ModeSymlink | 0o777, Link: target, Source: "hoopy"})
}

// devices lays the nodes that must be there before devtmpfs is: a Go program
// aborts before main without /dev/null (runtime, checkfds), and the kernel
// opens /dev/console for PID 1. Then the folders that /init mounts on.
func (l *layer) devices() error {
	for _, d := range []struct {
		name         string
		mode         fs.FileMode
		major, minor uint32
	}{{"dev/console", 0o600, 5, 1}, {"dev/kmsg", 0o644, 1, 11}, {"dev/null", 0o666, 1, 3}} {
		e := &tree.Entry{
			Path: d.name, Mode: fs.ModeDevice | fs.ModeCharDevice | d.mode,
			Major: d.major, Minor: d.minor, Source: "build",
		}
		if err := l.put(frameInit, e); err != nil {
			return err
		}
	}
	for _, name := range []string{"etc", "mnt", "proc", "run", "sys", "var"} {
		if err := l.dirs(frameInit, name, 0o755); err != nil {
			return err
		}
	}
	if err := l.dirs(frameInit, "root", 0o700); err != nil {
		return err
	}
	return l.dirs(frameInit, "tmp", 0o777|fs.ModeSticky)
}

// ours are the names under which our two programs are called. They are links
// to /init, or to svc beside them.
var ours = map[string]string{
	"sbin/init": "/init", "sbin/modprobe": "/init",
	"sbin/reboot": "svc", "sbin/poweroff": "svc", "sbin/halt": "svc", "sbin/shutdown": "svc",
}

// programs lays /init, /sbin/svc and their names, and every other program of
// cmd/ in /usr/local/bin.
func (l *layer) programs(files map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := files[name]
		st, err := os.Stat(file)
		if err != nil {
			return err
		}
		e := &tree.Entry{
			Path: "usr/local/bin/" + name, Mode: 0o755, Size: st.Size(), Source: "cmd/" + name,
			Open: func() (io.ReadCloser, error) { return os.Open(file) },
		}
		frame := frameRoot
		switch name {
		case "init":
			e.Path, frame = "init", frameInit
		case "svc":
			e.Path = "sbin/svc"
		}
		if err := l.put(frame, e); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if err := l.link(ours[name], name); err != nil {
			return err
		}
	}
	return nil
}
