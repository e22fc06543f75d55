package install

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"hoopy/build/apk"
	"hoopy/build/tree"
)

var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

const when = 1700000000

func file(name, text string, mode fs.FileMode, owner ...string) *apk.Entry {
	e := &apk.Entry{User: "root", Group: "root", Entry: tree.Entry{
		Path: name, Mode: mode, MTime: when, Size: int64(len(text)), Open: tree.Bytes([]byte(text))}}
	if mode.IsDir() || mode&fs.ModeSymlink != 0 {
		e.Size, e.Open = 0, nil
	}
	if mode&fs.ModeSymlink != 0 {
		e.Link = text
	}
	if len(owner) == 2 {
		// numbers that must not matter
		e.User, e.Group, e.UID, e.GID = owner[0], owner[1], 7777, 7777
	}
	return e
}

func dir(name string, owner ...string) *apk.Entry { return file(name, "", fs.ModeDir|0o755, owner...) }

func pack(name string, entries ...*apk.Entry) *apk.Archive {
	return &apk.Archive{
		Info:    apk.Info{Name: name, Version: "1-r0", Arch: "x86_64", Origin: name, BuildTime: when},
		Scripts: map[string][]byte{},
		Entries: entries,
	}
}

func with(a *apk.Archive, script, text string) *apk.Archive {
	a.Scripts[script] = []byte("#!/bin/sh\n" + text)
	return a
}

// base is what every small tree here begins with.
func base() *apk.Archive {
	exec := fs.FileMode(0o755)
	return pack("base",
		dir("bin"), dir("sbin"), dir("usr"), dir("usr/bin"), dir("usr/sbin"), dir("etc"), dir("etc/busybox-paths.d"), dir("var"), dir("home"),
		file("bin/busybox", "ELF", exec),
		file("etc/busybox-paths.d/busybox", "bin/ash\nbin/cat\nbin/ln\nbin/mount\nbin/sed\nusr/bin/awk\nusr/sbin/addgroup\nusr/sbin/adduser\nno/such/folder\n", 0o644),
		file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nftp:x:21:21::/:/sbin/nologin\n", 0o644),
		file("etc/group", "root:x:0:root\nusers:x:100:\nshadow:x:42:\nnogroup:x:65533:\n", 0o644),
		file("etc/shadow", "root:*::0:::::\n", 0o640),
	)
}

// repository writes packages and their index and returns the location.
func repository(t testing.TB, list ...*apk.Archive) string {
	t.Helper()
	root := t.TempDir()
	folder := filepath.Join(root, "x86_64")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		var b bytes.Buffer
		if err := apk.WriteArchive(&b, a, key(), "test.rsa.pub"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, a.Info.Name+"-"+a.Info.Version+".apk"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := apk.WriteIndex(&b, folder, "x86_64", "test", key(), "test.rsa.pub"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, apk.IndexName), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

// lay packs, indexes and installs packages in the order given.
func lay(t testing.TB, o Options, list ...*apk.Archive) (*tree.Tree, error) {
	t.Helper()
	root := repository(t, list...)
	keys := apk.NewKeys()
	keys.Add("test.rsa.pub", &key().PublicKey)
	cache, err := apk.NewCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := apk.OpenRepo(t.Context(), root, "x86_64", keys, cache, apk.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*apk.Package{}
	for _, p := range r.Packages {
		byName[p.Name] = p
	}
	var pkgs []*apk.Package
	for _, a := range list {
		pkgs = append(pkgs, byName[a.Info.Name])
	}
	tr := tree.New()
	return tr, Install(t.Context(), tr, pkgs, cache, o)
}

func mustLay(t testing.TB, o Options, list ...*apk.Archive) *tree.Tree {
	t.Helper()
	tr, err := lay(t, o, list...)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func read(t testing.TB, tr *tree.Tree, name string) string {
	t.Helper()
	data, err := tr.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
