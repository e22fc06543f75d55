package image

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hoopy/build/apk"
	"hoopy/build/install"
	"hoopy/build/tree"
)

// setupFile is the folder's own script, which runs once when the packages are
// laid.
const setupFile = "setup.sh"

// setupLimit bounds setup.sh.
const setupLimit = 10 * time.Minute

// readSetup is the text of setup.sh, empty when there is none.
func readSetup(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, setupFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}

// setup runs setup.sh on the tree. What it makes gets the time of the newest
// file; what others than the owner could write to afterwards, and could not
// before, is a mistake.
func (b *builder) setup(ctx context.Context, t *tree.Tree, ids install.IDs) (install.IDs, error) {
	given := install.IDs{Users: map[string]int{}, Groups: map[string]int{}}
	if b.script == "" {
		return given, nil
	}
	users, groups, err := numbersOf(t)
	if err != nil {
		return given, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, setupLimit, fmt.Errorf("still running after %v", setupLimit))
	defer cancel()
	epoch := newest(t)
	before := map[string]fs.FileMode{}
	for e := range t.Walk() {
		before[e.Path] = e.Mode
	}
	if b.config.SetupChroot {
		err = chroot(ctx, t, b.script, b.config.GoArch())
	} else {
		err = b.interpret(ctx, t, ids, epoch)
	}
	if err != nil {
		return given, fmt.Errorf("%s: %w", setupFile, err)
	}
	nowUsers, nowGroups, err := numbersOf(t)
	if err != nil {
		return given, fmt.Errorf("%s: %w", setupFile, err)
	}
	if err := errors.Join(
		newNumbers("user", users, nowUsers, ids.Users, given.Users),
		newNumbers("group", groups, nowGroups, ids.Groups, given.Groups)); err != nil {
		return given, fmt.Errorf("%s: %w", setupFile, err)
	}
	for e := range t.Walk() {
		old, was := before[e.Path]
		if !was {
			e.MTime = epoch
			if e.Source == "" {
				e.Source = setupFile
			}
		}
		if writable(e) && (!was || old.Perm()&0o022 != e.Mode.Perm()&0o022) {
			return given, fmt.Errorf("%s: leaves %s with mode %04o; nothing in the image needs to be writable by others", setupFile, e.Path, e.Mode.Perm())
		}
	}
	return given, nil
}

// numbersOf are those of the users and groups of a tree.
func numbersOf(t *tree.Tree) (users, groups map[string]int, err error) {
	passwd, err := readDatabase(t, "etc/passwd")
	if err != nil {
		return nil, nil, err
	}
	group, err := readDatabase(t, "etc/group")
	if err != nil {
		return nil, nil, err
	}
	return passwd.ids(), group.ids(), nil
}

// newNumbers notes in given what was not there before, and holds it against
// pins: what was given once stays.
func newNumbers(kind string, before, now, pins, given map[string]int) error {
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if _, was := before[name]; was {
			continue
		}
		if pin, pinned := pins[name]; pinned && pin != now[name] {
			return fmt.Errorf("gives the %s %s number %d, but packages.lock or image.toml say %d; write that number there", kind, name, now[name], pin)
		}
		given[name] = now[name]
	}
	return nil
}

// writable says whether others than its owner may write to an entry.
func writable(e *tree.Entry) bool {
	return e.Mode.Perm()&0o022 != 0 && e.Mode&(fs.ModeSymlink|fs.ModeDevice|fs.ModeSticky) == 0
}

// interpret runs the script as one of a package: in the interpreter that knows
// only the tree. The package is made for it and signed by a key of the moment.
func (b *builder) interpret(ctx context.Context, t *tree.Tree, ids install.IDs, epoch int64) error {
	dir, err := os.MkdirTemp("", "hoopy-setup-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	repo, err := b.setupRepo(ctx, dir, epoch)
	if err != nil {
		return err
	}
	err = install.Install(ctx, t, repo.Packages, b.cache, install.Options{IDs: ids, ScriptTime: setupLimit})
	var se *install.ScriptError
	switch {
	case errors.As(err, &se) && errors.Is(err, install.ErrUnknownCommand):
		err = fmt.Errorf("command %q: not one that the interpreter knows; do without, or write setup = \"chroot\" in image.toml and build as root", se.Command)
	case errors.As(err, &se):
		err = se.Err
		if se.Command != "" {
			err = fmt.Errorf("command %q: %w", se.Command, err)
		}
		if se.Output != "" {
			err = fmt.Errorf("%w (it said %q)", err, se.Output)
		}
	}
	return err
}

// setupRepo makes a repository of the one package whose script is setup.sh.
func (b *builder) setupRepo(ctx context.Context, dir string, epoch int64) (*apk.Repo, error) {
	const keyName = "setup.rsa.pub"
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	keys := apk.NewKeys()
	keys.Add(keyName, &key.PublicKey)
	arch := filepath.Join(dir, b.config.Arch)
	if err := os.Mkdir(arch, 0o755); err != nil {
		return nil, err
	}
	a := &apk.Archive{
		Info:    apk.Info{Name: "setup", Version: "0-r0", Arch: b.config.Arch, BuildTime: epoch},
		Scripts: map[string][]byte{"post-install": []byte(b.script)},
	}
	if err := writeTo(filepath.Join(arch, "setup-0-r0.apk"), func(w io.Writer) error { return apk.WriteArchive(w, a, key, keyName) }); err != nil {
		return nil, err
	}
	if err := writeTo(filepath.Join(arch, apk.IndexName), func(w io.Writer) error {
		return apk.WriteIndex(w, arch, b.config.Arch, "setup", key, keyName)
	}); err != nil {
		return nil, err
	}
	return apk.OpenRepo(ctx, dir, b.config.Arch, keys, b.cache, apk.FetchOptions{Offline: true})
}

func writeTo(file string, fill func(io.Writer) error) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(fill(f), f.Close())
}
