package apk

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hoopy/build/tree"
)

// A small repository of our own, for tests that must run anywhere.

func deps(t testing.TB, s string) []Dep {
	t.Helper()
	d, err := ParseDeps(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func fileEntry(name, content string) *Entry {
	return &Entry{User: "root", Group: "root", Entry: tree.Entry{
		Path: name, Mode: 0o644, MTime: 1700000000, Size: int64(len(content)), Open: tree.Bytes([]byte(content)),
	}}
}

func dirEntry(name string) *Entry {
	return &Entry{User: "root", Group: "root", Entry: tree.Entry{Path: name, Mode: fs.ModeDir | 0o755, MTime: 1700000000}}
}

func packed(t testing.TB, a *Archive) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteArchive(&b, a, testKey(), testKeyName); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// small is a package with two files and a script.
func small(name string) *Archive {
	return &Archive{
		Info:    Info{Name: name, Version: "1.0-r0", Arch: "x86_64", Origin: name, Description: "for tests", BuildTime: 1700000000},
		Scripts: map[string][]byte{"post-install": []byte("#!/bin/sh\nexit 0\n")},
		Entries: []*Entry{dirEntry("usr"), fileEntry("usr/"+name, "content of "+name+"\n"), fileEntry("usr/"+name+".2", "more\n")},
	}
}

// makeRepo writes packages and their index and returns the location.
func makeRepo(t testing.TB, list ...*Archive) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "x86_64")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if err := os.WriteFile(filepath.Join(dir, a.Info.Name+"-"+a.Info.Version+".apk"), packed(t, a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := WriteIndex(&b, dir, "x86_64", "test", testKey(), testKeyName); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, IndexName), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

func openRepo(t testing.TB, location string, c *Cache, o FetchOptions) *Repo {
	t.Helper()
	r, err := OpenRepo(t.Context(), location, "x86_64", testKeys(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var testTime = time.Unix(1700000000, 0).UTC()
