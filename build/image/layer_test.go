package image

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"hoopy/build/cpio"
	"hoopy/build/tree"
)

// lay adds a file, a folder ("name/") or a link ("name -> target").
func lay(t *testing.T, tr *tree.Tree, name, content string) {
	t.Helper()
	e := &tree.Entry{Path: name, Mode: 0o644, MTime: 100, Source: "pkg-1-r0"}
	if dir, ok := strings.CutSuffix(name, "/"); ok {
		e.Path, e.Mode = dir, fs.ModeDir|0o755
	} else if from, to, ok := strings.Cut(name, " -> "); ok {
		e.Path, e.Mode, e.Link = from, fs.ModeSymlink|0o777, to
	} else if from, to, ok := strings.Cut(name, " = "); ok {
		e.Path, e.Hard = from, to
	} else {
		e.Size, e.Open = int64(len(content)), tree.Bytes([]byte(content))
	}
	if err := tr.MkdirAll(filepath.Dir(e.Path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := tr.Add(e); err != nil {
		t.Fatal(err)
	}
}

func treeOf(t *testing.T, names ...string) *tree.Tree {
	t.Helper()
	tr := tree.New()
	for _, n := range names {
		lay(t, tr, n, "content of "+n)
	}
	return tr
}

// folder writes files on the disk; a name that ends in * is executable.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name, exec := strings.CutSuffix(name, "*")
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := fs.FileMode(0o666)
		if exec {
			mode = 0o777
		}
		if err := os.WriteFile(file, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRootOverlay(t *testing.T) {
	tr := treeOf(t, "etc/", "etc/motd", "bin -> usr/bin", "usr/bin/", "root/")
	secret, _ := tr.Get("root")
	secret.Mode = fs.ModeDir | 0o700
	dir := folder(t, map[string]string{"etc/motd": "hello", "bin/tool*": "#!", "root/.profile": "", "srv/.gitkeep": ""})
	if err := os.Symlink("/persist/x", filepath.Join(dir, "etc/x")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "etc"), 0o700); err != nil {
		t.Fatal(err)
	}
	l := newLayer(tr, 0)
	if err := l.root(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		mode   fs.FileMode
		source string
	}{
		"etc":           {fs.ModeDir | 0o755, "pkg-1-r0"},
		"etc/motd":      {0o644, "root/"},
		"etc/x":         {fs.ModeSymlink | 0o777, "root/"},
		"usr/bin/tool":  {0o755, "root/"},
		"root":          {fs.ModeDir | 0o700, "pkg-1-r0"},
		"root/.profile": {0o644, "root/"},
		"srv":           {fs.ModeDir | 0o755, "root/"},
	} {
		e, ok := tr.Get(name)
		if !ok || e.Mode != want.mode || e.Source != want.source || e.UID != 0 {
			t.Errorf("%s: %+v", name, e)
		} else if want.source == "root/" && e.MTime != 100 {
			t.Errorf("%s: time %d, want that of the newest file of a package", name, e.MTime)
		}
	}
	if _, ok := tr.Get("srv/.gitkeep"); ok {
		t.Error(".gitkeep was laid")
	}
	if !slices.Equal(l.holes, []string{"etc/motd"}) {
		t.Errorf("holes %q", l.holes)
	}
	if d := cmp.Diff(map[string][]string{"pkg-1-r0": {"etc/motd"}}, l.over); d != "" {
		t.Error(d)
	}
}

func TestRootRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"private key":    {map[string]string{"etc/ssh/k": "x\n-----BEGIN OPENSSH PRIVATE KEY-----\n"}, "root/: etc/ssh/k: a private key"},
		"file on folder": {map[string]string{"usr": "x"}, "root/: usr of root/: does not fit over what a package lays there"},
		"folder on file": {map[string]string{"etc/motd/x": "x"}, "root/: etc/motd of root/: does not fit over what pkg-1-r0 lays there"},
		"empty":          {nil, "root/: no file"},
		"empty password": {map[string]string{"etc/shadow": "root::0:::::\n"}, `root/: etc/shadow: user "root" has an empty password`},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLayer(treeOf(t, "etc/motd", "usr/bin/x"), 1)
			err := l.root(folder(t, tc.files))
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Fatalf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestPasswords(t *testing.T) {
	for name, tc := range map[string]struct{ shadow, hash, want string }{
		"alpine":  {"root:::0:::::\nbin:!::0:::::\n", "", "root:*::0:::::\nbin:!::0:::::\n"},
		"hash":    {"root:::0:::::\n", "$6$a$b", "root:$6$a$b::0:::::\n"},
		"no root": {"bin:!::0:::::\n", "", "root:*:0:::::::\nbin:!::0:::::\n"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := tree.New()
			lay(t, tr, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
			lay(t, tr, "etc/shadow", tc.shadow)
			e, _ := tr.Get("etc/shadow")
			e.Mode, e.GID = 0o640, 42
			if err := rootPassword(tr, tc.hash); err != nil {
				t.Fatal(err)
			}
			if err := checkPasswords(tr); err != nil {
				t.Fatal(err)
			}
			text, err := tr.ReadFile("etc/shadow")
			if err != nil || string(text) != tc.want {
				t.Errorf("%q, %v", text, err)
			}
			if e, _ := tr.Get("etc/shadow"); e.Mode != 0o640 || e.GID != 42 {
				t.Errorf("mode %v, group %d", e.Mode, e.GID)
			}
		})
	}
	tr := tree.New()
	lay(t, tr, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
	if err := rootPassword(tr, ""); err != nil {
		t.Fatal(err)
	}
	if e, ok := tr.Get("etc/shadow"); !ok || e.Mode != 0o640 {
		t.Error("no etc/shadow was made")
	}
	for _, text := range []string{"root:x:0:0:::\nguest::1:1:::\n", "root\n"} {
		tr := tree.New()
		lay(t, tr, "etc/passwd", text)
		if err := checkPasswords(tr); err == nil {
			t.Errorf("%q passed", text)
		}
	}
	tr = tree.New()
	lay(t, tr, "etc/shadow", "root:*:::::::\n") // 0644
	if err := checkPasswords(tr); err == nil || !strings.Contains(err.Error(), "lets others read") {
		t.Error(err)
	}
}

func TestOurPathsBeforeBusybox(t *testing.T) {
	tr := treeOf(t, "bin/busybox", "sbin/", "sbin/init -> /bin/busybox", "sbin/reboot -> /bin/busybox", "sbin/mdev -> /bin/busybox")
	l := newLayer(tr, 1)
	dir := folder(t, map[string]string{"init*": "INIT", "svc*": "SVC", "more*": "MORE"})
	err := l.programs(map[string]string{"init": dir + "/init", "svc": dir + "/svc", "more": dir + "/more"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"sbin/init": "/init", "sbin/modprobe": "/init", "sbin/reboot": "svc", "sbin/poweroff": "svc",
		"sbin/halt": "svc", "sbin/shutdown": "svc", "sbin/mdev": "/bin/busybox",
	} {
		if e, ok := tr.Get(name); !ok || e.Link != want {
			t.Errorf("%s: %+v", name, e)
		}
	}
	for name, frame := range map[string]int{"init": frameInit, "sbin/svc": frameRoot, "usr/local/bin/more": frameRoot} {
		e, ok := tr.Get(name)
		if !ok || e.Mode != 0o755 || e.UID != 0 || l.laid[name] != frame {
			t.Errorf("%s: %+v in frame %d", name, e, l.laid[name])
		}
	}
	if got, want := overrides(l.over), "/sbin/{init,reboot} of pkg-1-r0"; got != want {
		t.Errorf("overrides %q, want %q", got, want)
	}
}

// unpack reads one frame.
func unpack(t *testing.T, frame []byte) (heads []cpio.Header, bodies map[string]string) {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(frame), zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	bodies = map[string]string{}
	r := cpio.NewReader(z)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return heads, bodies
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, h)
		bodies[h.Name] = string(body)
	}
}

func TestFrames(t *testing.T) {
	tr := treeOf(t, "bin/busybox", "bin/sh -> busybox", "etc/motd", "lib/ld.so", "usr/a", "usr/b = usr/a", "usr/c = usr/a", "usr/empty/")
	l := newLayer(tr, 7)
	if err := l.devices(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etc/motd", "usr/a", completeFile, "zzz"} {
		if err := l.text(name, "ours", 0o644, "root/"); err != nil {
			t.Fatal(err)
		}
	}
	entries := l.split([]string{"bin/busybox", "bin/sh", "lib/ld.so"})
	var got [frames][]string
	sums := map[string]string{}
	seen := map[string]int{}
	for i, es := range entries {
		var b bytes.Buffer
		if err := (&packing{kind: "zstd"}).writeFrame(&b, tr, es, sums); err != nil {
			t.Fatal(err)
		}
		if b.Len()%4 != 0 {
			t.Errorf("frame %d has %d bytes", i, b.Len())
		}
		heads, bodies := unpack(t, b.Bytes())
		if heads[0].Name != "." || heads[0].Mode != cpio.TypeDir|0o755 {
			t.Errorf("frame %d begins with %+v", i, heads[0])
		}
		for _, h := range heads {
			got[i] = append(got[i], h.Name)
			if h.Type() != cpio.TypeDir {
				seen[h.Name]++
			}
			if h.Name == "usr/b" && (h.Nlink != 2 || h.Size != 0) || h.Name == "usr/c" && (h.Nlink != 2 || bodies["usr/c"] != "content of usr/a") {
				t.Errorf("hard link %+v: %q", h, bodies[h.Name])
			}
			if h.Name == "dev/null" && (h.Mode != cpio.TypeChar|0o666 || h.Major != 1 || h.Minor != 3) {
				t.Errorf("dev/null: %+v", h)
			}
		}
	}
	want := [frames][]string{
		{".", "dev", "dev/console", "dev/kmsg", "dev/null", "mnt", "proc", "root", "run", "sys", "tmp", "var"},
		{".", "bin", "bin/busybox", "bin/sh", "lib", "lib/ld.so"},
		{".", "bin", "etc", "lib", "usr", "usr/b", "usr/c", "usr/empty"},
		{".", ".hoopy", "etc", "etc/motd", "usr", "usr/a", "zzz", ".hoopy/complete"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s stands in %d frames", name, n)
		}
	}
	for _, name := range []string{"bin/busybox", "usr/a", "usr/b", "zzz"} {
		if len(sums[name]) != 64 {
			t.Errorf("no sum of %s", name)
		}
	}
}

func TestEarlyFollowsLinks(t *testing.T) {
	tr := treeOf(t, "bin -> usr/bin", "usr/bin/busybox", "usr/bin/sh -> /bin/busybox", "usr/bin/other")
	got, err := early(tr, "bin/busybox")
	if want := []string{"bin", "usr/bin/busybox", "usr/bin/sh"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := early(tree.New(), "bin/busybox"); got != nil || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := early(treeOf(t, "bin/busybox -> busybox"), "bin/busybox"); err == nil {
		t.Error("a loop of links passed")
	}
}

func TestLeastRAM(t *testing.T) {
	for _, tc := range []struct {
		unpacked, archive int64
		want              int
	}{{0, 0, 80}, {16 << 20, 8 << 20, 112}, {77 << 20, 23 << 20, 256}, {400 << 20, 100 << 20, 1008}} {
		if got := leastRAM(tc.unpacked, tc.archive); got != tc.want {
			t.Errorf("leastRAM(%d, %d) = %d, want %d", tc.unpacked, tc.archive, got, tc.want)
		}
	}
}

func TestFileTooLargeForTheFormat(t *testing.T) {
	tr := tree.New()
	if err := tr.Add(&tree.Entry{Path: "big", Mode: 0o644, Size: 1 << 32, Source: "root/"}); err != nil {
		t.Fatal(err)
	}
	e, _ := tr.Get("big")
	err := (&packing{kind: "none"}).writeFrame(io.Discard, tr, []*tree.Entry{e}, map[string]string{})
	if err == nil || !strings.Contains(err.Error(), "big (root/): 4294967296 bytes") {
		t.Error(err)
	}
}

func TestCompressionsArePaddedAndRepeatable(t *testing.T) {
	tr := treeOf(t, "a", "b/c")
	l := newLayer(tr, 1)
	entries := l.split(nil)[framePackages]
	for _, p := range []*packing{{kind: "zstd"}, {kind: "zstd", hardest: true}, {kind: "lz4"}, {kind: "lz4", hardest: true}, {kind: "gzip"}, {kind: "none"}} {
		var one, two bytes.Buffer
		for _, b := range []*bytes.Buffer{&one, &two} {
			if err := p.writeFrame(b, tr, entries, map[string]string{}); err != nil {
				t.Fatal(err)
			}
		}
		if one.Len()%4 != 0 || !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Errorf("%s: %d bytes, again %d", p.kind, one.Len(), two.Len())
		}
	}
	if _, err := (&packing{kind: "rar"}).compressor(io.Discard); err == nil {
		t.Error("an unknown compression passed")
	}
}
