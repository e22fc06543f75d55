package apk

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hoopy/build/tree"
)

func TestWriteAndRead(t *testing.T) {
	a := small("one")
	a.Info.Depends = deps(t, "musl !bad so:libc.so.1>=2")
	a.Info.Provides = deps(t, "cmd:one=1.0-r0 virtual")
	a.Info.InstallIf = deps(t, "x=1 y")
	a.Info.Replaces = deps(t, "old<2")
	a.Info.ReplacesPriority, a.Info.ProviderPriority = 5, 7
	a.Info.Triggers = []string{"/usr/bin", "/lib/modules/*"}
	odd := fileEntry("usr/odd", "x")
	odd.Mode |= fs.ModeSetuid | fs.ModeSticky | 0o111
	odd.User, odd.Group, odd.UID, odd.GID = "chrony", "shadow", 190, 42
	odd.Xattrs = map[string]string{"security.capability": "\x01\x00\x00\x02\x00 \x00\x00", "user.x": "y"}
	a.Entries = append(a.Entries, odd,
		&Entry{Entry: tree.Entry{Path: "usr/link", Mode: fs.ModeSymlink | 0o777, Link: "/bin/busybox"}},
		&Entry{Entry: tree.Entry{Path: "usr/hard", Mode: 0o644, Hard: "usr/one"}})
	first := packed(t, a)
	if second := packed(t, a); !bytes.Equal(first, second) {
		t.Error("the same package twice gives different bytes")
	}
	back, err := ReadArchive(first, testKeys())
	if err != nil {
		t.Fatal(err)
	}
	info := back.Info
	if info.DataHash == "" || info.InstalledSize != int64(len("content of one\n")+len("more\n")+1) {
		t.Errorf("datahash %q, size %d", info.DataHash, info.InstalledSize)
	}
	info.DataHash, info.InstalledSize = "", 0
	if diff := cmp.Diff(a.Info, info); diff != "" {
		t.Errorf("info (-want +have):\n%s", diff)
	}
	if diff := cmp.Diff(a.Scripts, back.Scripts); diff != "" {
		t.Errorf("scripts (-want +have):\n%s", diff)
	}
	if len(back.Entries) != len(a.Entries) {
		t.Fatalf("%d entries, want %d", len(back.Entries), len(a.Entries))
	}
	for i, want := range a.Entries {
		have := back.Entries[i]
		if have.Path != want.Path || have.Mode != want.Mode || have.User != want.User || have.Group != want.Group ||
			have.UID != want.UID || have.Link != want.Link || have.Hard != want.Hard || have.MTime != want.MTime || have.Size != want.Size {
			t.Errorf("entry %d: %+v, want %+v", i, have, want)
		}
		if diff := cmp.Diff(want.Xattrs, have.Xattrs); diff != "" {
			t.Errorf("%s: attributes (-want +have):\n%s", want.Path, diff)
		}
		if content(t, have) != content(t, want) {
			t.Errorf("%s: content differs", want.Path)
		}
	}
}

func content(t *testing.T, e *Entry) string {
	t.Helper()
	if e.Open == nil {
		return ""
	}
	r, err := e.Open()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestIndex(t *testing.T) {
	root := makeRepo(t, small("one"), small("two"))
	index := filepath.Join(root, "x86_64", IndexName)
	before, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := WriteIndex(&again, filepath.Dir(index), "x86_64", "test", testKey(), testKeyName); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, again.Bytes()) {
		t.Error("the same index twice gives different bytes")
	}
	c := openCache(t)
	r := openRepo(t, "file://"+root, c, FetchOptions{})
	if r.Key != testKeyName || r.Description != "test" || len(r.Packages) != 2 {
		t.Errorf("key %q, description %q, %d packages", r.Key, r.Description, len(r.Packages))
	}
	for _, p := range r.Packages {
		if _, err := c.Fetch(t.Context(), p); err != nil {
			t.Error(err)
		}
	}
	if _, err := OpenRepo(t.Context(), root, "x86_64", NewKeys(), c, FetchOptions{}); !errors.Is(err, ErrSignature) {
		t.Errorf("an unknown key: %v, want %v", err, ErrSignature)
	}
}

func TestADB(t *testing.T) {
	for _, head := range []string{"ADB.schm", "ADBd\x00\x00", "ADBc\x01"} {
		if _, err := ReadArchive([]byte(head), nil); !errors.Is(err, ErrADB) {
			t.Errorf("package %q: %v", head, err)
		}
		if _, _, _, err := readIndex([]byte(head), testKeys()); !errors.Is(err, ErrADB) {
			t.Errorf("index %q: %v", head, err)
		}
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "x86_64"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "x86_64", IndexName), []byte("ADB.schm"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := OpenRepo(t.Context(), root, "x86_64", testKeys(), openCache(t), FetchOptions{})
	if want := "repository " + root + ": index: is in the format of apk v3 (ADB); only v2 is read"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
