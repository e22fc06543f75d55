package install

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hoopy/build/apk"
	"hoopy/build/tree"
)

func replacing(a *apk.Archive, deps string, priority int) *apk.Archive {
	d, err := apk.ParseDeps(deps)
	if err != nil {
		panic(err)
	}
	a.Info.Replaces, a.Info.ReplacesPriority = d, priority
	return a
}

func origin(a *apk.Archive, o string) *apk.Archive {
	a.Info.Origin = o
	return a
}

// conflicts are pairs of packages that bring one file; TestConflictsAsApk asks
// the real apk about the same.
func conflicts() []conflict {
	a := func() *apk.Archive { return pack("a", dir("d"), file("d/f", "from a", 0o644)) }
	b := func() *apk.Archive { return pack("b", dir("d"), file("d/f", "from b", 0o644)) }
	return []conflict{
		{"neither replaces", a(), b(), ""},
		{"same origin", origin(a(), "x"), origin(b(), "x"), "from b"},
		{"the second replaces", a(), replacing(b(), "a", 0), "from b"},
		{"the second replaces that version", a(), replacing(b(), "a<2", 0), "from b"},
		{"the second replaces another version", a(), replacing(b(), "a>2", 0), ""},
		{"the second replaces a third", a(), replacing(b(), "c", 9), ""},
		{"the first replaces", replacing(a(), "b", 0), b(), "from a"},
		{"the first replaces another version", replacing(a(), "b>2", 7), b(), ""},
		{"both, the first more", replacing(a(), "b", 5), replacing(b(), "a", 2), "from a"},
		{"both, the second more", replacing(a(), "b", 2), replacing(b(), "a", 5), "from b"},
		{"both alike", replacing(a(), "b", 2), replacing(b(), "a", 2), "from b"},
		{"same origin, the first replaces", replacing(origin(a(), "x"), "b", 5), origin(b(), "x"), "from b"},
		{"several, one of them", a(), replacing(b(), "c d<3 a=1-r0", 0), "from b"},
	}
}

type conflict struct {
	name   string
	a, b   *apk.Archive
	winner string // empty: a conflict
}

func TestConflicts(t *testing.T) {
	for _, tc := range conflicts() {
		t.Run(tc.name, func(t *testing.T) {
			tr, err := lay(t, Options{}, tc.a, tc.b)
			var conflict *ConflictError
			if tc.winner == "" {
				if !errors.As(err, &conflict) || conflict.Path != "d/f" || conflict.Have != "a-1-r0" || conflict.With != "b-1-r0" {
					t.Errorf("%v, want a conflict about d/f", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if have := read(t, tr, "d/f"); have != tc.winner {
				t.Errorf("%q, want %q", have, tc.winner)
			}
		})
	}
}

func TestOwnersByName(t *testing.T) {
	p := pack("p",
		dir("srv", "daemon", "daemon"),
		file("srv/shadow", "x", 0o640, "root", "shadow"),
		file("srv/suid", "x", 0o755|fs.ModeSetuid, "daemon", "users"),
		file("srv/unknown", "x", 0o644, "nobody-here", "nobody-here"))
	with(p, "pre-install", "addgroup -S daemon\nadduser -S -D -H -G daemon daemon\n")
	tr := mustLay(t, Options{}, base(), p)
	for _, tc := range []struct {
		path     string
		uid, gid int
		mode     fs.FileMode
	}{
		{"srv", 100, 101, fs.ModeDir | 0o755},
		{"srv/shadow", 0, 42, 0o640},
		{"srv/suid", 100, 100, 0o755 | fs.ModeSetuid},
		{"srv/unknown", 7777, 7777, 0o644},
	} {
		e, err := tr.Lstat(tc.path)
		if err != nil {
			t.Fatal(err)
		}
		if e.UID != tc.uid || e.GID != tc.gid || e.Mode != tc.mode || e.Source != "p-1-r0" || e.MTime != when {
			t.Errorf("%+v, want %d:%d %v", e, tc.uid, tc.gid, tc.mode)
		}
	}
}

func TestDirectories(t *testing.T) {
	sticky := file("shared", "", fs.ModeDir|fs.ModeSticky|0o777)
	tight := file("shared", "", fs.ModeDir|fs.ModeSticky|0o755)
	private := file("var/p", "", fs.ModeDir|0o700, "ftp", "root")
	ours := file("var/p", "", fs.ModeDir|0o755)
	made := file("var/made", "", fs.ModeDir|0o700)
	tr := mustLay(t, Options{}, base(), pack("a", sticky, dir("var"), private), pack("b", tight, dir("var"), ours),
		with(pack("c", dir("var"), made), "pre-install", "/bin/busybox mkdir -m 2750 /var/made\n"))
	for path, want := range map[string]fs.FileMode{
		"shared":   fs.ModeDir | fs.ModeSticky | 0o755, // the bits that all agree on
		"var/p":    fs.ModeDir | 0o755,                 // the lowest owner's
		"var/made": fs.ModeDir | fs.ModeSetgid | 0o750, // a script's decision stands
	} {
		if e, err := tr.Lstat(path); err != nil || e.Mode != want || e.UID != 0 {
			t.Errorf("%s: %+v, %v; want %v of root", path, e, err, want)
		}
	}
}

func TestThroughLinks(t *testing.T) {
	tr := mustLay(t, Options{}, pack("a", dir("usr"), dir("usr/lib"), file("lib", "usr/lib", fs.ModeSymlink)),
		pack("b", dir("lib"), file("lib/x.so", "x", 0o644)))
	if e, err := tr.Lstat("usr/lib/x.so"); err != nil || e.Source != "b-1-r0" {
		t.Errorf("%+v, %v", e, err)
	}
	// the same file by two names is a conflict all the same
	_, err := lay(t, Options{}, pack("a", dir("usr"), dir("usr/lib"), file("lib", "usr/lib", fs.ModeSymlink), file("usr/lib/x.so", "x", 0o644)),
		pack("b", dir("lib"), file("lib/x.so", "x", 0o644)))
	var conflict *ConflictError
	if !errors.As(err, &conflict) {
		t.Errorf("%v, want a conflict", err)
	}
}

func TestHardLinks(t *testing.T) {
	tr := mustLay(t, Options{}, pack("a", dir("d"), file("d/one", "x", 0o644),
		&apk.Entry{Entry: tree.Entry{Path: "d/two", Mode: 0o644, Hard: "d/one"}}))
	if e, err := tr.Lstat("d/two"); err != nil || e.Hard != "d/one" || read(t, tr, "d/two") != "x" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestEtcIsKept(t *testing.T) {
	tr := mustLay(t, Options{}, base(), with(pack("a", dir("etc"), file("etc/a.conf", "packaged", 0o644)), "pre-install", "> /etc/a.conf\n"))
	if read(t, tr, "etc/a.conf") != "" || read(t, tr, "etc/a.conf.apk-new") != "packaged" {
		t.Error("what a script put into etc was overwritten")
	}
}

func TestHardLinkOfMoved(t *testing.T) {
	link := &apk.Entry{Entry: tree.Entry{Path: "etc/b.conf", Mode: 0o644, Hard: "etc/a.conf"}}
	tr := mustLay(t, Options{}, base(), with(pack("a", dir("etc"), file("etc/a.conf", "packaged", 0o644), link), "pre-install", "> /etc/a.conf\n"))
	if read(t, tr, "etc/b.conf") != "packaged" {
		t.Errorf("the second name holds %q", read(t, tr, "etc/b.conf"))
	}
	_, err := lay(t, Options{}, replacing(pack("first", dir("d"), file("d/f", "x", 0o644)), "a", 1),
		pack("a", dir("d"), file("d/f", "y", 0o644), &apk.Entry{Entry: tree.Entry{Path: "d/g", Mode: 0o644, Hard: "d/f"}}))
	if err == nil || !strings.Contains(err.Error(), `hard link to "d/f"`) {
		t.Errorf("a hard link to a file that gave way: %v", err)
	}
}

func TestFileOverDirectory(t *testing.T) {
	for _, list := range [][]*apk.Archive{
		{pack("a", dir("d")), pack("b", file("d", "x", 0o644))},
		{pack("a", file("d", "x", 0o644)), pack("b", dir("d"))},
	} {
		if _, err := lay(t, Options{}, list...); err == nil || !strings.Contains(err.Error(), "a-1-r0") || !strings.Contains(err.Error(), "b-1-r0") {
			t.Errorf("%v, want an error that names both packages", err)
		}
	}
}

func TestFetchFails(t *testing.T) {
	cache, err := apk.NewCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := &apk.Package{Name: "gone", Version: "1", Repo: &apk.Repo{Location: t.TempDir(), Arch: "x86_64"}}
	err = Install(t.Context(), tree.New(), []*apk.Package{p, p, p}, cache, Options{})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "gone-1") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Install(ctx, tree.New(), []*apk.Package{p}, cache, Options{}); err == nil {
		t.Error("cancelled, and no error")
	}
}

func TestXattrs(t *testing.T) {
	ping := file("usr/bin/ping", "ELF", 0o755)
	// cap_net_raw=ep, as setcap(8) stores it
	ping.Xattrs = map[string]string{"security.capability": "\x01\x00\x00\x02\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "user.note": "x"}
	var r Report
	mustLay(t, Options{Report: &r}, base(), pack("iputils", dir("usr"), dir("usr/bin"), ping))
	want := []string{
		`package iputils-1-r0: "usr/bin/ping": file capabilities are lost, so what they allowed takes root (an initramfs has no extended attributes)`,
		`package iputils-1-r0: "usr/bin/ping": extended attribute "user.note" is lost (an initramfs has no extended attributes)`,
	}
	if diff := cmp.Diff(want, r.Notes); diff != "" {
		t.Errorf("notes (-want +have):\n%s", diff)
	}
}
