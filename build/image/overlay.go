package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"hoopy/build/tree"
)

// notOverlay are files that lie in a folder for other reasons than to boot.
var notOverlay = []string{".gitkeep", ".gitignore", ".DS_Store"}

// root lays the folder file by file: owner root; mode 0755 for directories and
// for files that their owner may execute, else 0644, since git keeps no more
// and a umask must not count. etc/shadow keeps the mode 0640 of Alpine's.
func (l *layer) root(dir string) error {
	n := 0
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		if slices.Contains(notOverlay, d.Name()) {
			return nil
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		n++
		return l.rootEntry(filepath.ToSlash(rel), file, d)
	})
	if err == nil && n == 0 {
		err = errors.New("no file in it; is the checkout whole?")
	}
	if err == nil {
		err = checkPasswordsOf(l)
	}
	if err != nil {
		return fmt.Errorf("root/: %w", err)
	}
	return nil
}

// checkPasswordsOf looks only at what root/ itself lays: the rest was checked
// with the packages, and reading it may mean to install them again.
func checkPasswordsOf(l *layer) error {
	own := tree.New()
	if err := own.MkdirAll("etc", 0o755); err != nil {
		return err
	}
	for _, name := range []string{"etc/passwd", shadowFile} {
		if _, ours := l.laid[name]; !ours {
			continue
		}
		e, _ := l.t.Get(name)
		twin := *e
		if err := own.Add(&twin); err != nil {
			return err
		}
	}
	return checkPasswords(own)
}

func (l *layer) rootEntry(name, file string, d fs.DirEntry) error {
	e := &tree.Entry{Path: name, Source: "root/"}
	info, err := d.Info()
	if err != nil {
		return err
	}
	switch {
	case d.IsDir():
		e.Mode = fs.ModeDir | 0o755
	case d.Type()&fs.ModeSymlink != 0:
		e.Mode = fs.ModeSymlink | 0o777
		if e.Link, err = os.Readlink(file); err != nil {
			return err
		}
		e.Link = filepath.ToSlash(e.Link)
	case d.Type().IsRegular():
		e.Mode, e.Size = 0o644, info.Size()
		if info.Mode()&0o100 != 0 {
			e.Mode = 0o755
		}
		if name == shadowFile {
			e.Mode = 0o640
			if old, ok := l.t.Get(name); ok {
				e.GID = old.GID
			}
		}
		e.Open = func() (io.ReadCloser, error) { return os.Open(file) }
		if err := refuseSecret(name, file); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%s: %s is neither file, folder nor link", name, d.Type())
	}
	return l.put(frameRoot, e)
}

// refuseSecret finds private keys, which root/ would make readable by all.
func refuseSecret(name, file string) error {
	secret, err := holdsPrivateKey(file)
	if err == nil && secret {
		err = fmt.Errorf("%s: a private key; files of root/ are readable by all and lie in git. Keep it on the persistence device, or lay it with [[file]] of image.toml", name)
	}
	return err
}
