package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"hoopy/build/apk"
	"hoopy/build/config"
	"hoopy/build/install"
	"hoopy/build/modules"
	"hoopy/build/tree"
)

// base is what the packages and image.toml make: the tree before anything of
// ours is laid over it. It is kept in the cache as a list of entries, so that
// a build with the same packages neither unpacks nor installs them.
type base struct {
	facts
	tree   *tree.Tree
	kernel []byte // the file facts.Kernel; nil when it is in the cache
	ucode  []byte // the microcode's archive, as kernel
	dir    string // its folder in the cache
	sum    string // identifies its content
}

// facts are kept with the list.
type facts struct {
	Text     string   // what the packages are of
	Local    bool     // not, or not all, Alpine's own
	Packages []string // IDs
	Modules  modules.Result
	Firmware modules.Firmware
	Notes    []string // what the report tells of the packages
	// Users and Groups are the numbers of the tree's databases.
	Users, Groups map[string]int
	Kernel        string   // the file in the package it was taken from
	KernelSum     string   // its SHA-256
	UcodeSum      string   // of the microcode's archive; empty: there is none
	Early         []string // paths of busybox and what it needs
	Release       string   // text of os-release
	Epoch         int64    // time of the newest file
}

// record is an entry as the cache keeps it.
type record struct {
	P    string `json:"p"`
	M    uint32 `json:"m"`
	U, G int    `json:",omitempty"`
	T    int64  `json:",omitempty"`
	L, H string `json:",omitempty"`
	S    int64  `json:",omitempty"`
	F    string `json:"f,omitempty"`
}

// listing is the file in the cache.
type listing struct {
	Facts   facts
	Entries []record
}

// tree makes the entries again; open gives the content of a regular file.
func (l *listing) tree(open func(name string) (io.ReadCloser, error)) (*tree.Tree, error) {
	t := tree.New()
	for _, links := range []bool{false, true} { // a first name may come after the others
		for _, r := range l.Entries {
			if links != (r.H != "") {
				continue
			}
			e := &tree.Entry{
				Path: r.P, Mode: fs.FileMode(r.M), UID: r.U, GID: r.G, MTime: r.T,
				Link: r.L, Hard: r.H, Size: r.S, Source: r.F,
			}
			if e.Mode.IsRegular() && r.S > 0 && r.H == "" {
				e.Open = func() (io.ReadCloser, error) { return open(r.P) }
			}
			if err := t.Add(e); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

const (
	baseFile   = "base.json"
	kernelFile = "vmlinuz"
	ucodeFile  = "microcode"
)

// base finds the base of this build in the cache or makes it.
func (b *builder) base(ctx context.Context) (*base, error) {
	self, err := stamp()
	if err != nil {
		return nil, err
	}
	if l, how, err := b.committed(); err != nil {
		return nil, err
	} else if l != nil && len(how) == 0 {
		s := &sources{}
		s.describe(b.alpineText())
		if base, err := b.cached(ctx, self, s, l); base != nil || err != nil {
			b.timing.lap("packages cached")
			return base, err
		}
	}
	s, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	pkgs, lock, err := b.resolve(ctx, s)
	if err != nil {
		return nil, err
	}
	if base, err := b.cached(ctx, self, s, lock); base != nil || err != nil {
		b.timing.lap("packages cached")
		return base, err
	}
	b.timing.lap("choose")
	made, ids, err := b.install(ctx, s, pkgs, lock)
	if err != nil {
		return nil, err
	}
	lock.Users, lock.Groups = merge(lock.Users, ids.Users), merge(lock.Groups, ids.Groups)
	if err := b.saveLock(s, lock); err != nil {
		return nil, err
	}
	made.dir = b.baseDir(self, s, lock)
	if err := b.store(made, lock); err != nil {
		return nil, err
	}
	b.timing.lap("tree")
	return made, nil
}

// stamp identifies this program: what another version of it kept is not used.
func stamp() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	return fileSum(exe)
}

// baseDir is where the base made of these inputs is kept.
func (b *builder) baseDir(self string, s *sources, l *config.Lock) string {
	text, _ := json.Marshal([]any{self, s.text, l.String(), b.config.Base(), b.devices, b.script}) // plain data: cannot fail
	sum := sha256.Sum256(text)
	return filepath.Join(b.Cache, "base", hex.EncodeToString(sum[:16]))
}

// cached loads a base; nil when there is none or it is damaged.
func (b *builder) cached(ctx context.Context, self string, s *sources, l *config.Lock) (*base, error) {
	dir := b.baseDir(self, s, l)
	data, err := readSummed(filepath.Join(dir, baseFile))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDamaged) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var kept listing
	if json.Unmarshal(data, &kept) != nil || !kept.Facts.whole(dir) {
		return nil, nil
	}
	remake := sync.OnceValues(func() (*tree.Tree, error) {
		if s.repos == nil {
			var err error
			if s, err = b.open(ctx); err != nil {
				return nil, err
			}
		}
		pkgs, err := b.locked(ctx, l, s)
		if err != nil {
			return nil, err
		}
		made, _, err := b.install(ctx, s, pkgs, l)
		if err != nil {
			return nil, err
		}
		return made.tree, nil
	})
	t, err := kept.tree(func(name string) (io.ReadCloser, error) {
		full, err := remake()
		if err != nil {
			return nil, err
		}
		e, err := full.Lstat(name)
		if err != nil {
			return nil, err
		}
		return full.Content(e)
	})
	if err != nil {
		return nil, nil
	}
	return &base{facts: kept.Facts, tree: t, dir: dir, sum: hexSum(append(data[:len(data):len(data)], l.String()...))}, nil
}

// whole says whether the files beside the list are what it says.
func (f *facts) whole(dir string) bool {
	for name, want := range map[string]string{kernelFile: f.KernelSum, ucodeFile: f.UcodeSum} {
		if want == "" {
			continue
		}
		if sum, err := fileSum(filepath.Join(dir, name)); err != nil || sum != want {
			return false
		}
	}
	return true
}

// store keeps a base that was made, and sets its sum.
func (b *builder) store(made *base, l *config.Lock) error {
	var records []record
	for e := range made.tree.Walk() {
		records = append(records, record{
			P: e.Path, M: uint32(e.Mode), U: e.UID, G: e.GID, T: e.MTime,
			L: e.Link, H: e.Hard, S: e.Size, F: e.Source,
		})
	}
	data, err := json.Marshal(listing{made.facts, records})
	if err != nil {
		return err
	}
	made.sum = hexSum(append(data[:len(data):len(data)], l.String()...))
	if err := os.MkdirAll(made.dir, 0o755); err != nil {
		return err
	}
	for name, content := range map[string][]byte{kernelFile: made.kernel, ucodeFile: made.ucode} {
		if content == nil {
			continue
		}
		if err := writeBeside(filepath.Join(made.dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return writeSummed(filepath.Join(made.dir, baseFile), data)
}

// install lays packages into a new tree and gives it its policy.
func (b *builder) install(ctx context.Context, s *sources, pkgs []*apk.Package, l *config.Lock) (*base, install.IDs, error) {
	made := &base{tree: tree.New(), facts: facts{Text: s.text, Local: s.local}}
	var report install.Report
	skip := map[string]bool{}
	for _, name := range b.config.SkipScripts {
		skip[name] = true
	}
	pins := b.ids(l)
	if err := b.download(ctx, pkgs); err != nil {
		return nil, report.IDs, err
	}
	if err := install.Install(ctx, made.tree, pkgs, b.cache, install.Options{Skip: skip, IDs: pins, Report: &report}); err != nil {
		return nil, report.IDs, err
	}
	made.Notes = report.Notes
	given, err := layAccounts(made.tree, b.config, pins)
	if err != nil {
		return nil, given, fmt.Errorf("image.toml: %w", err)
	}
	more, err := b.setup(ctx, made.tree, pins)
	if err != nil {
		return nil, more, err
	}
	for _, ids := range []install.IDs{given, more} {
		report.IDs.Users, report.IDs.Groups = merge(report.IDs.Users, ids.Users), merge(report.IDs.Groups, ids.Groups)
	}
	for _, p := range pkgs {
		made.Packages = append(made.Packages, p.ID())
	}
	for _, name := range openKeys(made.tree) {
		made.Notes = append(made.Notes, name+" is a private key that everybody on the machine can read")
	}
	if err := made.policy(b.config, b.devices); err != nil {
		return nil, report.IDs, fmt.Errorf("image: %w", err)
	}
	return made, report.IDs, nil
}

// download gets what the cache lacks.
func (b *builder) download(ctx context.Context, pkgs []*apk.Package) error {
	err := b.cache.Download(ctx, pkgs, apk.DownloadOptions{Progress: b.Progress})
	var none *apk.UnreachableError
	if errors.As(err, &none) && none.Answered {
		return fmt.Errorf("%w; where the mirrors have it no more, build update chooses anew", err)
	}
	return err
}

func merge(old, more map[string]int) map[string]int {
	out := map[string]int{}
	for _, m := range []map[string]int{more, old} {
		for n, id := range m {
			out[n] = id
		}
	}
	return out
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// owners are the numbers of the image's users and groups: those of root/'s own
// databases where it lays them.
func (b *base) owners(l *layer) *owners {
	who := &owners{b.Users, b.Groups}
	for file, to := range map[string]*map[string]int{"etc/passwd": &who.users, "etc/group": &who.groups} {
		if _, ours := l.laid[file]; !ours {
			continue
		}
		if d, err := readDatabase(l.t, file); err == nil {
			*to = d.ids()
		}
	}
	return who
}
