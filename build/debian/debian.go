// Package debian makes a repository in Alpine's format from Debian packages, so
// that an image can be built and booted where no Alpine mirror answers.
//
// # What it is, and is not
//
// A stand-in: the same names as Alpine's ("linux-lts", "openssh"), the same
// paths where the image depends on them (boot/vmlinuz-lts, usr/sbin/sshd,
// etc/busybox-paths.d/busybox), other programs behind them. They are linked
// against glibc, whose libraries form one package more, debian-glibc. No
// maintainer script of Debian's is run or carried along. /etc/os-release says that the
// image is a stand-in.
//
// # How it is made
//
// Packages come by `apt-get download`, which needs no root, are checked against
// the SHA-256 of the archive's signed lists and kept in a cache; a filled cache
// serves offline. They are read as streams (`dpkg-deb --fsys-tarfile`). The
// repository is signed with a key that is made for it and thrown away: it
// proves that what is installed is what was made here, not more.
//
// Debian for amd64 only.
package debian

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"hoopy/build/apk"
	"hoopy/build/tree"
)

// Arch is the folder of the repository below Options.Dir.
const Arch = "x86_64"

// KeyName is the name under which the repository is signed, and the name of the
// public key's file beside Arch.
const KeyName = "hoopy-stand-in.rsa.pub"

// format is part of the repository's stamp: raise it when the packages made
// from the same inputs change.
const format = "3"

// ErrHost says that this host cannot make the stand-in.
var ErrHost = errors.New("needs Debian or a derivative for amd64, with apt-get and dpkg-deb")

// Options says what to make.
type Options struct {
	// Dir is the repository: packages and index lie in Dir/x86_64, the public
	// key in Dir/KeyName. It is replaced as a whole.
	Dir string
	// Names are Alpine's names, as in an image's `packages` file: of those
	// known here, else of a Debian package that is called the same. What they
	// depend on is added.
	Names []string
	// CacheDir keeps the Debian packages; empty means hoopy/debian in the
	// user's cache folder.
	CacheDir string
	// Modules is the policy of kernel modules; nil means DefaultModules. "/"
	// alone means all: 4,000, 400 MB.
	Modules []string
}

func (o Options) policy() []string {
	if o.Modules == nil {
		return DefaultModules
	}
	return o.Modules
}

func (o Options) archive() (*archive, error) {
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil || runtime.GOARCH != "amd64" {
			return nil, fmt.Errorf("debian: %w", ErrHost)
		}
	}
	dir := o.CacheDir
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("debian: %w", err)
		}
		dir = filepath.Join(cache, "hoopy", "debian")
	}
	dir, err := filepath.Abs(dir) // apt runs elsewhere
	if err != nil {
		return nil, fmt.Errorf("debian: %w", err)
	}
	a, err := openArchive(dir)
	if err != nil {
		return nil, fmt.Errorf("debian: %w", err)
	}
	return a, nil
}

// fresh is how long a repository is taken as it stands, without a question to
// apt whether Debian has newer packages.
const fresh = 24 * time.Hour

// Repository makes the repository, or leaves the one in o.Dir if the same was
// asked for less than a day ago or would be made from the same packages.
// Afterwards o.Dir holds all of it; on error it is as it was.
func Repository(ctx context.Context, o Options) error {
	stampFile := filepath.Join(o.Dir, "stamp")
	asked := sum(format, o.Names, o.policy())
	have, err := os.ReadFile(stampFile)
	known := err == nil && strings.HasPrefix(string(have), asked)
	if info, err := os.Stat(stampFile); err == nil && known && time.Since(info.ModTime()) < fresh {
		return nil
	}
	a, err := o.archive()
	if err != nil {
		return err
	}
	m := maker{archive: a, policy: o.policy()}
	if err := m.choose(ctx, o.Names); err != nil {
		return err
	}
	stamp := asked + m.inputs()
	if known && string(have) == stamp {
		now := time.Now()
		return os.Chtimes(stampFile, now, now)
	}
	if err := m.make(ctx); err != nil {
		return err
	}
	return m.write(o.Dir, stamp)
}

// StandIn makes the repository of the named packages in dir, keeps Debian's
// packages in the folder debian beside it, and returns the file of the public
// key. It is what an image build calls where no mirror answers.
func StandIn(ctx context.Context, dir string, names []string) (key string, err error) {
	err = Repository(ctx, Options{Dir: dir, Names: names, CacheDir: filepath.Join(filepath.Dir(dir), "debian")})
	return filepath.Join(dir, KeyName), err
}

// maker holds what becomes a repository.
type maker struct {
	*archive
	policy   []string
	names    []string          // chosen, sorted
	recipes  map[string]recipe // by name
	debs     map[string]deb    // by Debian name
	packages []pkg
}

// pkg is one package of the repository, before it is written.
type pkg struct {
	apk.Info
	tree    *tree.Tree
	scripts map[string][]byte
}

// choose finds the recipes of names and of what they depend on, and fetches
// their packages.
func (m *maker) choose(ctx context.Context, names []string) error {
	m.recipes, m.debs = map[string]recipe{}, map[string]deb{}
	todo := slices.Clone(names)
	var want []string
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if _, twice := m.recipes[name]; twice {
			continue
		}
		r, ok := recipes[name]
		if !ok {
			r = recipe{debs: []string{name}}
		}
		if r.kernel {
			kernel, err := m.kernelName(ctx)
			if err != nil {
				return fmt.Errorf("debian: %w", err)
			}
			r.debs = []string{kernel}
		}
		m.recipes[name] = r
		m.names = append(m.names, name)
		todo = append(todo, r.depends...)
		if r.zfs {
			if err := m.chooseZFS(ctx, r.debs); err != nil {
				return err
			}
			continue
		}
		want = append(want, r.debs...)
	}
	slices.Sort(m.names)
	slices.Sort(want)
	debs, err := m.fetch(ctx, slices.Compact(want)...)
	for _, d := range debs {
		m.debs[d.Name] = d
	}
	return err
}

// inputs identifies the Debian packages that were chosen.
func (m *maker) inputs() string {
	var sums []string
	for _, name := range m.names {
		for _, d := range m.recipes[name].debs {
			sums = append(sums, m.debs[d].Sum)
		}
	}
	return sum(m.names, sums)
}

func sum(what ...any) string {
	h := sha256.Sum256(fmt.Appendln(nil, what...))
	return hex.EncodeToString(h[:]) + "\n"
}

// make fills the packages.
func (m *maker) make(ctx context.Context) error {
	libs := libraries{archive: m.archive, have: map[string]bool{}, tree: tree.New()}
	for _, name := range m.names {
		p, err := m.cook(ctx, name, &libs)
		if err != nil {
			return fmt.Errorf("debian: package %s: %w", name, err)
		}
		m.packages = append(m.packages, p)
	}
	if err := libs.close(ctx); err != nil {
		return fmt.Errorf("debian: %w", err)
	}
	if libs.tree.Len() > 0 {
		m.packages = append(m.packages, pkg{tree: libs.tree, Info: apk.Info{
			Name: librariesName, Version: apkVersion(libs.version), Description: "Debian's glibc and the libraries that the stand-ins need",
		}})
	}
	return nil
}

// write lays the repository beside dir and swaps the two.
func (m *maker) write(dir, stamp string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("debian: %w", err)
		}
	}()
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := apk.PublicPEM(&key.PublicKey)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, KeyName), public, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, "stamp"), []byte(stamp), 0o644); err != nil {
		return err
	}
	arch := filepath.Join(tmp, Arch)
	if err := os.Mkdir(arch, 0o755); err != nil {
		return err
	}
	for _, p := range m.packages {
		p.Arch = Arch
		p.Origin = p.Name
		a := &apk.Archive{Info: p.Info, Scripts: p.scripts}
		for e := range p.tree.Walk() {
			if e.Path != "." {
				a.Entries = append(a.Entries, &apk.Entry{Entry: *e, User: "root", Group: groups[e.GID]})
			}
		}
		file := filepath.Join(arch, p.Name+"-"+p.Version+".apk")
		if err := writeTo(file, func(w io.Writer) error {
			return apk.WriteArchive(w, a, key, KeyName)
		}); err != nil {
			return fmt.Errorf("package %s: %w", p.Name, err)
		}
	}
	if err := writeTo(filepath.Join(arch, "APKINDEX.tar.gz"), func(w io.Writer) error {
		return apk.WriteIndex(w, arch, Arch, "Debian stand-in", key, KeyName)
	}); err != nil {
		return err
	}
	return swap(tmp, dir)
}

// swap puts the new folder in the place of the old one, which need not exist.
func swap(fresh, dir string) error {
	old := fresh + ".old"
	defer os.RemoveAll(old)
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Rename(fresh, dir)
}

func writeTo(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// groups are the owners of files, by Alpine's numbers.
var groups = map[int]string{0: "root", 42: "shadow"}

// unwanted are parts of Debian packages that no image needs: documents, and
// what belongs to other inits.
var unwanted = []string{
	"usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/lintian/", "usr/share/locale/",
	"usr/share/bug/", "usr/share/apport/", "usr/share/bash-completion/", "usr/share/runit/", "usr/share/initramfs-tools/",
	"etc/init.d/", "etc/default/", "etc/sv/", "etc/runit/", "etc/ufw/", "etc/pam.d/", "etc/cron.d/", "etc/logrotate.d/",
	"lib/systemd/", "usr/lib/systemd/", "lib/udev/", "usr/lib/tmpfiles.d/", "usr/lib/sysusers.d/", "var/log/runit/",
}

func wanted(path string) bool {
	return !slices.ContainsFunc(unwanted, func(p string) bool { return strings.HasPrefix(path+"/", p) })
}
