package debian

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"hoopy/build/apk"
	"hoopy/build/tree"
)

// recipe says how a package with one of Alpine's names is made.
type recipe struct {
	// debs are the Debian packages whose files it holds.
	debs []string
	// kernel marks the one whose Debian name changes with every update.
	kernel bool
	// zfs marks those whose debs tools/zfs left.
	zfs bool
	// depends and provides are Alpine's names.
	depends, provides []string
	// only are the paths that are taken, by path.Match; nil means all that are
	// wanted of a package.
	only []string
	// edit changes a file's content on its way.
	edit func(path string, b []byte) ([]byte, error)
	// install is a post-install script of Alpine's kind.
	install string
	// add lays what no Debian package holds.
	add func(ctx context.Context, m *maker, t *tree.Tree) error
}

// recipes are the names that need more than Debian's package of the same name.
var recipes = map[string]recipe{
	"linux-lts":           {kernel: true, only: []string{}, provides: []string{"linux"}, add: addKernel},
	"linux-firmware-none": {provides: []string{"linux-firmware-any"}},

	"zfs-lts": {zfs: true, debs: []string{"zfs-dkms"}, only: []string{}, depends: []string{"linux-lts"}, add: addZFSModules},
	"zfs": {
		zfs: true, debs: []string{"libnvpair3linux", "libuutil3linux", "libzfs6linux", "zfs-zed", "zfsutils-linux"},
		only: []string{"sbin/zfs", "sbin/zpool", "sbin/*.zfs", "usr/sbin/zed", "usr/lib/zfs-linux/zed.d/*", "etc/zfs/zed.d/*",
			"usr/share/zfs/compatibility.d/*", "lib/x86_64-linux-gnu/*"},
	},

	"alpine-base":            {depends: []string{"alpine-baselayout", "alpine-release", "busybox"}},
	"alpine-baselayout":      {depends: []string{"alpine-baselayout-data"}, add: addLayout},
	"alpine-baselayout-data": {depends: []string{"alpine-release"}, add: addData},
	"alpine-release":         {add: addRelease},

	"busybox":        {debs: []string{"busybox-static"}, only: []string{"bin/busybox"}, edit: hideApplets, install: installBusybox, add: addBusyboxPaths},
	"busybox-binsh":  {depends: []string{"busybox"}, provides: []string{"/bin/sh"}},
	"busybox-suid":   {depends: []string{"busybox"}},
	"openssh":        {depends: []string{"openssh-client-default", "openssh-server", "openssh-sftp-server"}},
	"openssh-keygen": {debs: []string{"openssh-client"}, only: []string{"usr/bin/ssh-keygen"}},
	"openssh-client-default": {
		debs: []string{"openssh-client"}, only: []string{"usr/bin/ssh"},
		depends: []string{"openssh-keygen", "openssh-client-common"}, provides: []string{"openssh-client"},
	},
	"openssh-client-common": {
		debs: []string{"openssh-client"},
		only: []string{"usr/bin/scp", "usr/bin/sftp", "usr/bin/ssh-add", "usr/bin/ssh-agent", "usr/bin/ssh-keyscan", "etc/ssh/ssh_config"},
	},
	"openssh-server": {
		debs: []string{"openssh-server"}, only: []string{"usr/sbin/sshd"}, edit: moveSeparationDir,
		depends: []string{"openssh-keygen", "openssh-server-common"}, add: addSeparationDir,
	},
	"openssh-server-common": {debs: []string{"openssh-server"}, only: []string{"etc/ssh/moduli"}, add: addServerConfig},
	"openssh-sftp-server": {
		debs: []string{"openssh-sftp-server"}, only: []string{"usr/lib/openssh/sftp-server"},
		add: func(_ context.Context, _ *maker, t *tree.Tree) error {
			return link(t, "../openssh/sftp-server", "usr/lib/ssh/sftp-server")
		},
	},
	"ca-certificates-bundle": {
		debs: []string{"ca-certificates"}, only: []string{"usr/share/ca-certificates/mozilla/*.crt"}, add: bundle,
	},
}

// synonyms that packages of Alpine provide and people write.
func init() {
	recipes["openssh-client"] = recipes["openssh-client-default"]
}

func (r recipe) takes(name string) bool {
	if r.only == nil {
		return wanted(name)
	}
	return slices.ContainsFunc(r.only, func(p string) bool {
		ok, _ := path.Match(p, name)
		return ok
	})
}

// cook makes one package.
func (m *maker) cook(ctx context.Context, name string, libs *libraries) (pkg, error) {
	r := m.recipes[name]
	p := pkg{tree: tree.New(), Info: apk.Info{Name: name, Version: "1-r0", Description: "stand-in from Debian"}}
	var err error
	if p.Depends, err = apk.ParseDeps(strings.Join(r.depends, " ")); err != nil {
		return p, err
	}
	if p.Provides, err = apk.ParseDeps(strings.Join(r.provides, " ")); err != nil {
		return p, err
	}
	dynamic := false
	for _, debName := range r.debs {
		d := m.debs[debName]
		c, err := d.control(ctx)
		if err != nil {
			return p, err
		}
		if r.zfs {
			c.depends = slices.DeleteFunc(c.depends, ofZFS)
		}
		p.Version = apkVersion(c.version)
		p.Description = "stand-in from Debian's " + debName + " " + c.version
		if r.kernel {
			continue // its files come from the cache of unpacked kernels
		}
		err = d.walk(ctx, func(h *tar.Header, content io.Reader) error {
			if h.Typeflag == tar.TypeDir || !r.takes(h.Name) {
				return nil
			}
			uses, err := lay(p.tree, h, content, r.edit, func(b []byte) (bool, error) {
				return libs.scan(h.Name, b, c.depends)
			})
			dynamic = dynamic || uses
			libs.own(h.Name)
			return err
		})
		if err != nil {
			return p, err
		}
	}
	if r.add != nil {
		if err := r.add(ctx, m, p.tree); err != nil {
			return p, err
		}
	}
	if r.install != "" {
		p.scripts = map[string][]byte{"post-install": []byte(r.install)}
	}
	if dynamic {
		p.Depends = append(p.Depends, apk.Dep{Name: librariesName})
	}
	for e := range p.tree.Walk() {
		e.Source = p.Name
	}
	return p, nil
}

// lay puts an entry of a Debian package into a tree; scan sees the content of a
// regular file.
func lay(t *tree.Tree, h *tar.Header, content io.Reader, edit func(string, []byte) ([]byte, error), scan func([]byte) (bool, error)) (dynamic bool, err error) {
	// All is root's: Debian's other groups are made by maintainer scripts.
	e := &tree.Entry{Path: h.Name, Mode: h.FileInfo().Mode(), MTime: h.ModTime.Unix()}
	if h.Uid != 0 {
		e.Mode &^= fs.ModeSetuid
	}
	if h.Gid != 0 {
		e.Mode &^= fs.ModeSetgid
	}
	if err := t.MkdirAll(path.Dir(h.Name), 0o755); err != nil {
		return false, err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		b, err := io.ReadAll(content)
		if err != nil {
			return false, err
		}
		if edit != nil {
			if b, err = edit(h.Name, b); err != nil {
				return false, fmt.Errorf("%s: %w", h.Name, err)
			}
		}
		if dynamic, err = scan(b); err != nil {
			return false, fmt.Errorf("%s: %w", h.Name, err)
		}
		e.Size, e.Open = int64(len(b)), tree.Bytes(b)
	case tar.TypeLink:
		e.Hard, e.Mode = h.Linkname, e.Mode&fs.ModePerm
	case tar.TypeSymlink:
		e.Link = h.Linkname
	default:
		return false, fmt.Errorf("%s: type %q is not expected in a package", h.Name, h.Typeflag)
	}
	return dynamic, t.Add(e)
}

// addKernel lays the kernel where Alpine's linux-lts has it. The modules are
// opened when the package is written.
func addKernel(ctx context.Context, m *maker, t *tree.Tree) error {
	k, err := m.kernel(ctx, m.policy)
	if err != nil {
		return err
	}
	return filepath.WalkDir(k.Root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(k.Root, file)
		if err != nil {
			return err
		}
		if rel == "vmlinuz" {
			rel = "boot/vmlinuz-lts"
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if err := t.MkdirAll(path.Dir(rel), 0o755); err != nil {
			return err
		}
		return t.Add(&tree.Entry{Path: rel, Mode: 0o644, Size: info.Size(),
			Open: func() (io.ReadCloser, error) { return os.Open(file) }})
	})
}

// Debian's shell runs an applet of its own before it looks into $PATH, and has
// some that carry the names of our programs: "svc status" over ssh would be
// runit's. Alpine's does not. The names are changed in the table of applets,
// which is sorted and stays so.
var hidden = []struct{ applet, to string }{{"svc", "svd"}, {"modprobe", "modprobf"}}

func hideApplets(_ string, b []byte) ([]byte, error) {
	table := bytes.Index(b, []byte("\x00[\x00[[\x00"))
	if table < 0 {
		return nil, errors.New("no table of applets")
	}
	b = bytes.Clone(b)
	for _, h := range hidden {
		if i := bytes.Index(b[table:], []byte("\x00"+h.applet+"\x00")); i >= 0 {
			copy(b[table+i+1:], h.to)
		}
	}
	return b, nil
}

// installBusybox makes the links, as Alpine's package does.
const installBusybox = `#!/bin/busybox sh
/bin/busybox mkdir -p /bin /sbin /usr/bin /usr/sbin
exec /bin/busybox --install -s
`

// addBusyboxPaths writes the list that Alpine's busybox package carries and
// its links are made from.
func addBusyboxPaths(ctx context.Context, _ *maker, t *tree.Tree) error {
	b, err := t.ReadFile("bin/busybox")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hoopy-busybox-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "busybox")
	if err := os.WriteFile(file, b, 0o755); err != nil {
		return err
	}
	out, err := run(ctx, "", file, "--list-full")
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(out, "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool {
		return slices.ContainsFunc(hidden, func(h struct{ applet, to string }) bool {
			return path.Base(strings.TrimSpace(line)) == h.to
		})
	})
	return text(t, "etc/busybox-paths.d/busybox", strings.Join(lines, ""))
}

// Debian's sshd keeps its privilege separation directory in /run, which only
// systemd's unit fills; Alpine's is part of the tree. The stand-in's is too: the
// path in the program is replaced by one of the same length.
var separationDir, treeSeparationDir = []byte("\x00/run/sshd\x00"), []byte("\x00/var/sshd\x00")

func moveSeparationDir(_ string, b []byte) ([]byte, error) {
	if !bytes.Contains(b, separationDir) {
		return nil, errors.New("the privilege separation directory is not /run/sshd any more")
	}
	return bytes.ReplaceAll(b, separationDir, treeSeparationDir), nil
}

func addSeparationDir(_ context.Context, _ *maker, t *tree.Tree) error {
	return t.MkdirAll("var/sshd", 0o755)
}

func addServerConfig(_ context.Context, _ *maker, t *tree.Tree) error {
	if err := t.MkdirAll("etc/ssh/sshd_config.d", 0o755); err != nil {
		return err
	}
	return text(t, "etc/ssh/sshd_config", `Include /etc/ssh/sshd_config.d/*.conf
AuthorizedKeysFile	.ssh/authorized_keys
Subsystem	sftp	/usr/lib/ssh/sftp-server
`)
}

// bundle joins the certificates as Debian's update-ca-certificates would.
func bundle(_ context.Context, _ *maker, t *tree.Tree) error {
	const from = "usr/share/ca-certificates"
	certs, err := t.ReadDir(from + "/mozilla")
	if err != nil {
		return err
	}
	var all bytes.Buffer
	for _, e := range certs {
		b, err := t.ReadFile(e.Path)
		if err != nil {
			return err
		}
		all.Write(b)
	}
	if err := t.RemoveAll(from); err != nil {
		return err
	}
	return text(t, "etc/ssl/certs/ca-certificates.crt", all.String())
}

func link(t *tree.Tree, target, name string) error {
	if err := t.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return t.Symlink(target, name)
}

func text(t *tree.Tree, name, content string) error {
	if err := t.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	_, err := t.WriteFile(name, []byte(content), 0o644)
	return err
}
