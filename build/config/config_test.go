package config

import (
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
chrony = "100"
`

func TestParse(t *testing.T) {
	got, err := Parse("image.toml", good)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Arch: "x86_64", Branch: "v3.22", Mirrors: []string{"https://dl-cdn.alpinelinux.org/alpine"},
		Repositories: []string{"main", "community"}, Modules: []string{"virtio_*", "ext4"},
		Cmdline: "quiet", Compression: "zstd", Users: map[string]int{"chrony": 100}, Groups: map[string]int{},
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
		"pattern":    {`virtio_*`, `/virtio`, []string{`image.toml:8: modules: "/virtio" is neither`}},
		"id":         {`"100"`, `"-1"`, []string{`image.toml:11: users: chrony = "-1" is no id`}},
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
	write("# base\nbusybox\n\nopenssh>9 linux-lts # kernel\n!mkinitfs\n")
	got, err := Packages(file)
	if want := []string{"busybox", "openssh>9", "linux-lts", "!mkinitfs"}; err != nil || !slices.Equal(got, want) {
		t.Fatalf("%q, %v", got, err)
	}
	write("a\nb\na\nhttp://x\n")
	if _, err := Packages(file); err == nil || err.Error() != "packages:3: \"a\" stands here twice\npackages:4: \"http://x\" is no package name" {
		t.Fatal(err)
	}
	write("# nothing\n")
	if _, err := Packages(file); err == nil {
		t.Fatal("an empty list was taken")
	}
	if _, err := Packages(file + "x"); err == nil {
		t.Fatal("a missing list was taken")
	}
}

func TestLock(t *testing.T) {
	c := &Config{Arch: "x86_64", Branch: "v3.22", Provides: []string{"initramfs-generator"}}
	old := &Lock{Users: map[string]int{"gone": 100}, Groups: map[string]int{"gone": 101}}
	l := NewLock(c, []string{"b", "a"}, old)
	l.Packages = []Locked{{"a", "1-r0", "Q1aaa=", "main"}, {"b", "2-r0", "Q1bbb=", "community"}}
	l.Users["chrony"] = 102
	got, err := ParseLock("packages.lock", l.String())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(l, got); d != "" {
		t.Fatal(d)
	}
	if !got.Matches(c, []string{"a", "b"}) || got.Matches(c, []string{"a"}) || (*Lock)(nil).Matches(c, nil) {
		t.Fatal("Matches is wrong")
	}
	if _, err := ParseLock("packages.lock", "arch x86_64\npakage a\nuser x y z\n"); err == nil ||
		!strings.Contains(err.Error(), "packages.lock:2:") || !strings.Contains(err.Error(), "packages.lock:3:") {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("modules = 1\nusers = []\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := Parse("image.toml", text); err == nil && (c.Arch == "" || c.Branch == "") {
			t.Fatalf("a config without arch or branch: %+v", c)
		}
	})
}

func FuzzParseLock(f *testing.F) {
	f.Add("arch x86_64\nbranch edge\nwant a b\npackage a 1 Q1 main\nuser a 1\ngroup a 2\n")
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
