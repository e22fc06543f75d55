package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const good = `# an image
arch = "x86_64"
branch = "v3.22"
mirrors = [
  "https://dl-cdn.alpinelinux.org/alpine", # [
]
repositories = ["main", "community"]
modules = ["virtio_*", "ext4"]
cmdline = "quiet"

[users]
chrony = { uid = 100 }

[users.ann]
uid = 1000
gid = 1001
groups = ["wheel"]
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== ann"]

[groups]
wheel.gid = 10

[[file]]
path = "/etc/token"
source = "secrets/token"
mode = "0600"
owner = "ann"
`

func TestParse(t *testing.T) {
	got, err := Parse("image.toml", good)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Arch: "x86_64", Branch: "v3.22", Mirrors: []string{"https://dl-cdn.alpinelinux.org/alpine"},
		Repositories: []Repository{{Name: "main"}, {Name: "community"}}, Modules: []string{"virtio_*", "ext4"},
		Cmdline: "quiet", Compression: "zstd",
		Users: []User{{Name: "ann", UID: 1000, Groups: []string{"wheel"}, Keys: []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== ann"}},
			{Name: "chrony", UID: 100}},
		Groups: []Group{{Name: "ann", GID: 1001}, {Name: "wheel", GID: 10}},
		Files:  []File{{Path: "/etc/token", Source: "secrets/token", Mode: 0o600, Owner: "ann", Line: 23}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	if got, _ := Parse("image.toml", strings.Replace(good, `["virtio_*", "ext4"]`, `"all"`, 1)); !got.AllModules {
		t.Fatal(`modules = "all" is not all`)
	}
}

func TestMistakes(t *testing.T) {
	for name, tc := range map[string]struct {
		old, new string
		want     []string
	}{
		"unknown":    {"cmdline", "cmdlin", []string{`image.toml:9: unknown key "cmdlin"; did you mean "cmdline"?`}},
		"syntax":     {`"quiet"`, `quiet`, []string{`image.toml:9: `}},
		"arch":       {`"x86_64"`, `"i386"`, []string{`image.toml:2: arch = "i386" is none of`}},
		"missing":    {`branch = "v3.22"`, ``, []string{`image.toml: `}},
		"type":       {`"v3.22"`, `322`, []string{`image.toml:3: branch = 322 is no text`}},
		"list":       {`["main", "community"]`, `"main"`, []string{`image.toml:7: repositories = "main" is no list`}},
		"mirror":     {`https://`, `gopher://`, []string{`image.toml:5: mirrors: "gopher://`}},
		"modules":    {`["virtio_*", "ext4"]`, `"none"`, []string{`image.toml:8: modules = "none"`}},
		"set":        {`virtio_*`, `@ethrnet`, []string{`image.toml:8: modules: "@ethrnet" is no set; there are @base, @disks, @ethernet, @filesystems, @firewall, @pc, @vm; did you mean "ethernet"?`}},
		"pattern":    {`virtio_*`, `/virtio`, []string{`image.toml:8: modules: "/virtio" is neither`}},
		"id":         {`uid = 100 `, `uid = -1 `, []string{`image.toml:12: users.chrony.uid = -1 is out of range`}},
		"old form":   {`{ uid = 100 }`, `"100"`, []string{`image.toml:12: users.chrony = "100" is no table`}},
		"same id":    {`uid = 100 `, `uid = 1000 `, []string{`image.toml:12: users.chrony: uid 1000 is that of ann`}},
		"gid twice":  {`wheel.gid = 10`, `ann.gid = 10`, []string{`image.toml:16: users.ann: gid 1001, but [groups.ann] says otherwise`}},
		"user name":  {`chrony = `, `"a b" = `, []string{`image.toml:12: users: "a b" is no name`}},
		"user key":   {`groups = ["wheel"]`, `group = "users"`, []string{`image.toml:16: users.ann: gid is the number of the user's own group`}},
		"secret key": {`ssh-ed25519 AAAAC3`, `-----BEGIN OPENSSH PRIVATE KEY----- AAAA`, []string{`image.toml:18: users.ann.keys: "-----BEGIN`}},
		"no key":     {`ssh-ed25519 `, ``, []string{`image.toml:18: users.ann.keys: "AAAAC3NzaC1lZDI1NTE5AAAAIA== ann" is no public key`}},
		"root":       {`[users.ann]`, `[users.root]`, []string{`image.toml:15: users.root: uid cannot`, `image.toml:16: users.root: gid cannot`}},
		"locked":     {`uid = 1000`, `locked = true`, []string{`image.toml:15: users.ann: locked, but`}},
		"relative":   {`"/etc/token"`, `"etc/token"`, []string{`image.toml:24: file.path = "etc/token" is no absolute path`}},
		"writable":   {`"0600"`, `"0666"`, []string{`image.toml:26: file.mode = "0666" lets others than its owner write`}},
		"mode":       {`"0600"`, `"rw"`, []string{`image.toml:26: file.mode = "rw" is no mode`}},
		"two kinds":  {`mode = "0600"`, `link = "/x"`, []string{`image.toml:26: file /etc/token: source and link`}},
		"no kind":    {`source = "secrets/token"`, ``, []string{`image.toml:24: file /etc/token: say what it is`}},
		"file twice": {`[[file]]`, "[[file]]\npath = \"/etc/token\"\nfolder = true\n[[file]]", []string{`image.toml:27: file /etc/token: stands here twice, first in line 23`}},
		"pins only":  {`["main", "community"]`, `["@a main"]`, []string{`image.toml:7: repositories: all are pinned`}},
		"repository": {`"community"`, `"@edge"`, []string{`image.toml:7: repositories: "@edge" is no pinned repository`}},
		"hardware":   {`cmdline = "quiet"`, `hardware = "../x"`, []string{`image.toml:9: hardware = "../x" is no file below`}},
		"password":   {`"quiet"`, "\"quiet\"\nroot_hash = \"secret\"", []string{`image.toml:10: root_hash = "secret" is no hash`}},
		"everything": {"arch = \"x86_64\"\nbranch = \"v3.22\"", "arch = 1\nbranch = 2", []string{`image.toml:2: arch =`, `image.toml:3: branch =`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("image.toml", strings.Replace(good, tc.old, tc.new, 1))
			if err == nil {
				t.Fatal("no mistake found")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tc.want) {
				t.Fatalf("mistakes:\n%v\nwant %d", err, len(tc.want))
			}
			for i, want := range tc.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("%s\nwant %s", lines[i], want)
				}
			}
		})
	}
}

func TestPackages(t *testing.T) {
	file := filepath.Join(t.TempDir(), "packages")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("# base\nbusybox\n\nopenssh>9 linux-lts<6.13 # kernel\n!mkinitfs\nzfs@edge a=1.2 b~3\n")
	got, err := Packages(file, []string{"edge"})
	if want := []string{"busybox", "openssh>9", "linux-lts<6.13", "!mkinitfs", "zfs@edge", "a=1.2", "b~3"}; err != nil || !slices.Equal(got, want) {
		t.Fatalf("%q, %v", got, err)
	}
	write("a\nb\na\nhttp://x\nb>1\nc@edge\nd=1-2\ne>\n")
	_, err = Packages(file, []string{})
	want := []string{
		`packages:3: "a" stands here twice`,
		`packages:4: "http://x" is no package; write a name, name=1.2, name<2, name@pin or !name`,
		`packages:5: "b>1": b stands in line 2 already; one line says all about it`,
		`packages:6: "c@edge": no repository of image.toml has the pin @edge`,
		`packages:7: "d=1-2": "1-2" is no version`,
		`packages:8: "e>" is no package; write a name, name=1.2, name<2, name@pin or !name`,
	}
	if d := cmp.Diff(strings.Join(want, "\n"), fmt.Sprint(err)); d != "" {
		t.Fatal(d)
	}
	write("# nothing\n")
	if _, err := Packages(file, nil); err == nil {
		t.Fatal("an empty list was taken")
	}
	if _, err := Packages(file+"x", nil); err == nil {
		t.Fatal("a missing list was taken")
	}
}

func TestRepositories(t *testing.T) {
	for text, want := range map[string]Repository{
		"main":                        {Name: "main"},
		"edge/testing":                {Branch: "edge", Name: "testing"},
		"@edge edge/main":             {Tag: "edge", Branch: "edge", Name: "main"},
		"@mine https://example.org/a": {Tag: "mine", Address: "https://example.org/a"},
		"file:///srv/repo/":           {Address: "file:///srv/repo"},
	} {
		if got, wrong := parseRepository(text); got != want || wrong != "" {
			t.Errorf("%q: %+v, %s", text, got, wrong)
		}
	}
	for _, text := range []string{"", "@", "@edge", "a/b/c", "/main", "main/", "gopher://x", "@a<b main", "https://", "a b"} {
		if got, wrong := parseRepository(text); wrong == "" {
			t.Errorf("%q passed as %+v", text, got)
		}
	}
}

const q1 = "Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA="

func TestLock(t *testing.T) {
	c := &Config{Arch: "x86_64", Branch: "v3.22", Repositories: []Repository{{Name: "main"}}, Provides: []string{"initramfs-generator"}}
	old := &Lock{Users: map[string]int{"gone": 100}, Groups: map[string]int{"gone": 101}}
	l := NewLock(c, []string{"b", "a"}, old)
	l.Packages = []Locked{{"a", "1-r0", q1, "main"}, {"b", "2-r0", q1, "community"}}
	l.Users["chrony"] = 102
	got, err := ParseLock("packages.lock", l.String())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(l, got); d != "" {
		t.Fatal(d)
	}
	if how := got.Differs(c, []string{"a", "b"}); len(how) > 0 {
		t.Fatalf("differs: %q", how)
	}
	other := &Config{Arch: "aarch64", Branch: "edge", Repositories: []Repository{{Tag: "x", Name: "main"}}}
	want := []string{"arch is now aarch64, was x86_64", "branch is now edge, was v3.22", "repositories is now @x main, was main",
		"packages has c in addition", "packages no longer has b", "provides no longer has initramfs-generator"}
	if d := cmp.Diff(want, got.Differs(other, []string{"a", "c"})); d != "" {
		t.Fatal(d)
	}
}

func TestLockMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"pakage a":             "line \"pakage a\" is not understood",
		"user x y z":           "line \"user x y z\" is not understood",
		"user x y":             "user x: \"y\" is no id",
		"package a 1 Q1x main": "package a: \"Q1x\" is no checksum",
		"user x 1\nuser x 2":   "user x: two numbers, 1 and 2",
		"package a 1 " + q1 + " main\n" + "package a 2 " + q1 + " main": "package a stands here twice",
	} {
		_, err := ParseLock("packages.lock", "arch x86_64\nbranch edge\n"+text+"\n")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "packages.lock:") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("modules = 1\nusers = []\n")
	f.Add("[users]\n\"\" = {}\n[groups.a]\ngid = 1\n[[file]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := Parse("image.toml", text); err == nil && (c.Arch == "" || c.Branch == "") {
			t.Fatalf("a config without arch or branch: %+v", c)
		}
	})
}

func FuzzParseLock(f *testing.F) {
	f.Add("arch x86_64\nbranch edge\nwant a b\nrepository @a b\npackage a 1 " + q1 + " main\nuser a 1\ngroup a 2\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLock("packages.lock", text)
		if err != nil {
			return
		}
		again, err := ParseLock("packages.lock", l.String())
		if err != nil || again.String() != l.String() {
			t.Fatalf("%v\n%s\n%s", err, l, again)
		}
	})
}

func FuzzParsePackages(f *testing.F) {
	f.Add("a b>1 # c\n!d\ne@f\n")
	f.Fuzz(func(t *testing.T, text string) {
		words, err := ParsePackages("packages", text, nil)
		if err != nil {
			return
		}
		again, err := ParsePackages("packages", strings.Join(words, "\n"), nil)
		if err != nil || !slices.Equal(words, again) {
			t.Fatalf("%q, then %q, %v", words, again, err)
		}
	})
}
