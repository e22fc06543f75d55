// Package tiny makes small repositories and folders of images for tests.
package tiny

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"hoopy/build/apk"
	"hoopy/build/tree"
)

// KeyName is the file of the public key in a repository's folder.
const KeyName = "tiny.rsa.pub"

// Arch is the architecture of Repository.
const Arch = "x86_64"

var key = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// Repository packs every folder of src, called NAME-VERSION, into a package of
// the repository dir, and writes the signed index and the public key. A file
// ".depends" of such a folder lists dependencies; ".post-install" is its
// script. Modes are 0644 and 0755, of etc/shadow 0640.
func Repository(dir, src string) error { return RepositoryFor(Arch, dir, src) }

// RepositoryFor is Repository for another architecture.
func RepositoryFor(architecture, dir, src string) error {
	private, err := key()
	if err != nil {
		return err
	}
	public, err := apk.PublicPEM(&private.PublicKey)
	if err != nil {
		return err
	}
	arch := filepath.Join(dir, architecture)
	if err := os.MkdirAll(arch, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, KeyName), public, 0o644); err != nil {
		return err
	}
	packages, err := os.ReadDir(src)
	if err != nil {
		return err
	}
	for _, p := range packages {
		a, err := archive(filepath.Join(src, p.Name()), p.Name(), architecture)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name(), err)
		}
		if err := write(filepath.Join(arch, p.Name()+".apk"), func(w io.Writer) error {
			return apk.WriteArchive(w, a, private, KeyName)
		}); err != nil {
			return err
		}
	}
	return write(filepath.Join(arch, "APKINDEX.tar.gz"), func(w io.Writer) error {
		return apk.WriteIndex(w, arch, architecture, "tiny", private, KeyName)
	})
}

func write(file string, fill func(io.Writer) error) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(fill(f), f.Close())
}

func archive(dir, id, architecture string) (*apk.Archive, error) {
	parts := strings.Split(id, "-")
	if len(parts) < 3 {
		return nil, errors.New("want NAME-VERSION-rN")
	}
	n := len(parts) - 2
	a := &apk.Archive{Scripts: map[string][]byte{}, Info: apk.Info{
		Name: strings.Join(parts[:n], "-"), Version: strings.Join(parts[n:], "-"), Arch: architecture, BuildTime: 1e9,
	}}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		e := &apk.Entry{User: "root", Group: "root"}
		e.Path, e.MTime = filepath.ToSlash(strings.TrimPrefix(file, dir+string(filepath.Separator))), 1e9
		switch {
		case d.IsDir():
			e.Mode = fs.ModeDir | 0o755
		case d.Type()&fs.ModeSymlink != 0:
			e.Mode = fs.ModeSymlink | 0o777
			if e.Link, err = os.Readlink(file); err != nil {
				return err
			}
		default:
			return addFile(a, e, file)
		}
		a.Entries = append(a.Entries, e)
		return nil
	})
	return a, err
}

func addFile(a *apk.Archive, e *apk.Entry, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	switch e.Path {
	case ".depends":
		a.Info.Depends, err = apk.ParseDeps(string(data))
		return err
	case ".post-install":
		a.Scripts["post-install"] = data
		return nil
	}
	e.Mode, e.Size = 0o644, int64(len(data))
	if strings.HasPrefix(e.Path, "bin/") || strings.HasPrefix(e.Path, "sbin/") {
		e.Mode = 0o755
	}
	if e.Path == "etc/shadow" {
		e.Mode = 0o640
	}
	if len(data) > 0 {
		e.Open = tree.Bytes(data)
	}
	a.Entries = append(a.Entries, e)
	return nil
}

// folder is the smallest image: a kernel, a shell, accounts, our two programs.
var folder = map[string]string{
	"image.toml": `arch = "x86_64"
branch = "edge"
mirrors = ["http://127.0.0.1:1/alpine"]
repositories = ["main"]
modules = []
`,
	"packages":                            "base linux-lts\n",
	"VERSION":                             "1.2.3\n",
	"go.mod":                              "module tiny\n\ngo 1.24\n",
	"cmd/init/main.go":                    "package main\n\nvar version string\n\nfunc main() { println(version) }\n",
	"cmd/svc/main.go":                     "package main\n\nfunc main() {}\n",
	"root/etc/init.toml":                  "hostname = \"tiny\"\n",
	"root/etc/motd":                       "ours\n",
	"src/base-1-r0/etc/passwd":            "root:x:0:0:root:/root:/bin/sh\n",
	"src/base-1-r0/etc/group":             "root:x:0:\n",
	"src/base-1-r0/etc/shadow":            "root:::0:::::\n",
	"src/base-1-r0/etc/motd":              "theirs\n",
	"src/base-1-r0/bin/busybox":           "#!/bin/false\n",
	"src/linux-lts-6-r0/boot/vmlinuz-lts": "a kernel\n",
}

// Folder writes the smallest image below dir, and the sources of its packages
// in src; files that are there stay.
func Folder(dir string) error {
	for name, text := range folder {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Lstat(file); err == nil {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
