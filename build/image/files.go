package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"hoopy/build/config"
	"hoopy/build/tree"
	"hoopy/unit/schema"
)

// owners are the numbers of the image's users and groups.
type owners struct{ users, groups map[string]int }

func lookUp(ids map[string]int, name string) (int, bool) {
	if name == "" {
		return 0, true
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), true
	}
	n, ok := ids[name]
	return n, ok
}

// files lays what [[file]] says. All mistakes are reported at once; who nil
// means that the image's users are not known yet.
func (l *layer) files(files []config.File, dir string, who *owners) error {
	var mistakes []*schema.Mistake
	for _, f := range files {
		if err := l.file(f, dir, who); err != nil {
			mistakes = append(mistakes, &schema.Mistake{File: "image.toml", Line: f.Line, Text: fmt.Sprintf("file %s: %v", f.Path, err)})
		}
	}
	return schema.Join(mistakes)
}

func (l *layer) file(f config.File, dir string, who *owners) error {
	e := &tree.Entry{Path: tree.Clean(f.Path), Mode: modeOf(f.Mode), Source: "image.toml"}
	if reserved(e.Path) {
		return errors.New("the build lays this itself")
	}
	if who != nil {
		var ok bool
		if e.UID, ok = lookUp(who.users, f.Owner); !ok {
			return fmt.Errorf("owner %q is no user of the image", f.Owner)
		}
		if e.GID, ok = lookUp(who.groups, f.Group); !ok {
			return fmt.Errorf("group %q is no group of the image", f.Group)
		}
	}
	switch {
	case f.Dir:
		return l.folder(e)
	case f.Link != "":
		e.Mode, e.Link = fs.ModeSymlink|0o777, f.Link
	case f.Source != "":
		if !filepath.IsAbs(f.Source) {
			f.Source = filepath.Join(dir, filepath.FromSlash(f.Source))
		}
		st, err := os.Stat(f.Source)
		if err != nil {
			return err
		}
		if !st.Mode().IsRegular() {
			return fmt.Errorf("source %s: is no file", f.Source)
		}
		if err := checkSecret(f.Source, st, e.Mode); err != nil {
			return err
		}
		e.Size, e.Open = st.Size(), func() (io.ReadCloser, error) { return os.Open(f.Source) }
	default:
		text := []byte(f.Content)
		if privateKey(text) {
			return errors.New("a private key; image.toml lies in git. Name a file with source")
		}
		e.Size, e.Open = int64(len(text)), tree.Bytes(text)
	}
	return l.put(frameRoot, e)
}

// folder lays a directory of [[file]], which wins over one that is there.
func (l *layer) folder(e *tree.Entry) error {
	e.Mode |= fs.ModeDir
	if old, ok := l.t.Get(e.Path); ok && old.Mode.IsDir() {
		old.Mode, old.UID, old.GID, old.Source = e.Mode, e.UID, e.GID, e.Source
		l.laid[old.Path] = frameRoot
		return nil
	}
	return l.put(frameRoot, e)
}

// reserved are the paths by which an image boots and is known.
func reserved(name string) bool {
	_, link := ours[name]
	return link || name == "init" || name == "sbin/svc" || name == manifestFile || name == completeFile
}

// checkSecret refuses a private key that others can read, here or there.
func checkSecret(file string, st fs.FileInfo, mode fs.FileMode) error {
	secret, err := holdsPrivateKey(file)
	switch {
	case err != nil || !secret:
		return err
	case st.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("source %s: a private key with mode %04o; others can read it here (chmod 600)", file, st.Mode().Perm())
	case mode.Perm()&0o077 != 0:
		return fmt.Errorf("a private key; mode %04o lets others read it in the image; write mode = \"0600\"", mode.Perm())
	}
	return nil
}

func holdsPrivateKey(file string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 64<<10))
	return privateKey(head), err
}

// privateKey says whether text has the head of a private key in PEM.
func privateKey(text []byte) bool {
	for {
		i := bytes.Index(text, []byte("-----BEGIN "))
		if i < 0 {
			return false
		}
		text = text[i+1:]
		line, _, _ := bytes.Cut(text, []byte("\n"))
		if bytes.Contains(line, []byte("PRIVATE KEY")) {
			return true
		}
	}
}

// openKeys lists the private keys of packages that others can read. What a
// package says so is not ours to refuse, but to tell.
func openKeys(t *tree.Tree) (names []string) {
	const most = 32 << 10
	for e := range t.Walk() {
		if !e.Mode.IsRegular() || e.Hard != "" || e.Mode.Perm()&0o004 == 0 || e.Size == 0 || e.Size > most {
			continue
		}
		r, err := t.Content(e)
		if err != nil {
			continue // whoever needs it will say so
		}
		head, _ := io.ReadAll(io.LimitReader(r, 64))
		_ = r.Close()
		if bytes.HasPrefix(head, []byte("-----BEGIN ")) && privateKey(head) {
			names = append(names, "/"+e.Path+" of "+e.Source)
		}
	}
	return names
}

// modeOf brings the number of chmod(2) to Go's bits.
func modeOf(n uint32) fs.FileMode {
	m := fs.FileMode(n & 0o777)
	for bit, mode := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			m |= mode
		}
	}
	return m
}
