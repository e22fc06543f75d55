package image

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hoopy/build/config"
	"hoopy/build/tiny"
)

// smallest makes the folder of the smallest image and gives options for it,
// and collects the notes of its builds.
func smallest(t *testing.T) (Options, *[]string) {
	t.Helper()
	dir := t.TempDir()
	if err := tiny.Folder(dir); err != nil {
		t.Fatal(err)
	}
	notes := new([]string)
	return Options{
		Dir: dir, Out: filepath.Join(dir, "out"), Cache: filepath.Join(dir, "cache"),
		Note: func(line string) { *notes = append(*notes, line) },
	}, notes
}

func repository(t *testing.T, o Options) string {
	t.Helper()
	dir := filepath.Join(o.Dir, "alpine/edge/main")
	if err := tiny.Repository(dir, filepath.Join(o.Dir, "src")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// alpine serves a repository as a mirror would, and makes image.toml name it.
func alpine(t *testing.T, o Options) *httptest.Server {
	t.Helper()
	dir := repository(t, o)
	server := httptest.NewServer(http.FileServer(http.Dir(o.Dir)))
	t.Cleanup(server.Close)
	trust(t, o, dir)
	mirror(t, o, server.URL+"/alpine")
	return server
}

func trust(t *testing.T, o Options, repo string) {
	t.Helper()
	public, err := os.ReadFile(filepath.Join(repo, tiny.KeyName))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(o.Dir, "keys", tiny.KeyName), string(public))
}

func mirror(t *testing.T, o Options, address string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(o.Dir, "image.toml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(o.Dir, "image.toml"), strings.Replace(string(text), "http://127.0.0.1:1/alpine", address, 1))
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := writeBeside(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func build(t *testing.T, o Options) *Result {
	t.Helper()
	r, err := Build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func TestNoMirrorMeansStandIn(t *testing.T) {
	o, notes := smallest(t)
	var asked []string
	o.StandIn = func(_ context.Context, dir string, names []string) (string, error) {
		asked = names
		return filepath.Join(dir, tiny.KeyName), tiny.Repository(dir, filepath.Join(o.Dir, "src"))
	}
	write(t, filepath.Join(o.Dir, "keys", "x.rsa.pub"), publicKey(t))
	r := build(t, o)
	if strings.Join(asked, " ") != "base linux-lts" {
		t.Errorf("stand-in was asked for %q", asked)
	}
	if len(*notes) != 1 || !strings.Contains((*notes)[0], "instead of Alpine") {
		t.Errorf("notes %q", *notes)
	}
	if !strings.Contains(r.Report, "packages   2 from Debian stand-in, signed by a throw-away key\n") {
		t.Error(r.Report)
	}
	if exists(filepath.Join(o.Dir, lockName)) || !exists(filepath.Join(o.Out, lockName)) {
		t.Error("the lock of a stand-in belongs in the output folder")
	}
}

func publicKey(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := tiny.Repository(dir, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, tiny.KeyName))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestNoMirrorAndNoStandIn(t *testing.T) {
	o, _ := smallest(t)
	write(t, filepath.Join(o.Dir, "keys", "x.rsa.pub"), publicKey(t))
	if _, err := Build(t.Context(), o); err == nil || !strings.Contains(err.Error(), "none of http://127.0.0.1:1/alpine answered") {
		t.Fatal(err)
	}
}

func TestForbiddenIsNoAnswer(t *testing.T) {
	o, _ := smallest(t)
	write(t, filepath.Join(o.Dir, "keys", "x.rsa.pub"), publicKey(t))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	mirror(t, o, server.URL)
	called := errors.New("called")
	o.StandIn = func(context.Context, string, []string) (string, error) { return "", called }
	if _, err := Build(t.Context(), o); !errors.Is(err, called) {
		t.Fatal(err)
	}
}

func TestOnlyComesBeforeTheOthers(t *testing.T) {
	o, _ := smallest(t)
	src := filepath.Join(o.Dir, "src")
	base := filepath.Join(o.Dir, "alpine-src")
	kernel := filepath.Join(o.Dir, "kernel-src")
	for _, dir := range []string{base, kernel} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Rename(src+"/base-1-r0", base+"/base-1-r0"), os.Rename(src+"/linux-lts-6-r0", kernel+"/linux-lts-6-r0")); err != nil {
		t.Fatal(err)
	}
	repo := filepath.Join(o.Dir, "repo")
	if err := tiny.Repository(repo, base); err != nil {
		t.Fatal(err)
	}
	o.Repos, o.Keys, o.Only = []string{repo}, []string{filepath.Join(repo, tiny.KeyName)}, []string{"linux-lts"}
	o.StandIn = func(_ context.Context, dir string, names []string) (string, error) {
		if len(names) != 1 || names[0] != "linux-lts" {
			t.Errorf("asked for %q", names)
		}
		return filepath.Join(dir, tiny.KeyName), tiny.Repository(dir, kernel)
	}
	r := build(t, o)
	if !strings.Contains(r.Report, `2 from Debian stand-in, signed by a throw-away key; repository "tiny"`) {
		t.Error(r.Report)
	}
}

func TestOfflineFromTheCache(t *testing.T) {
	o, notes := smallest(t)
	server := alpine(t, o)
	first := build(t, o)
	*notes = nil
	server.Close()
	if err := os.RemoveAll(filepath.Join(o.Cache, "base")); err != nil {
		t.Fatal(err)
	}
	o.StandIn = func(context.Context, string, []string) (string, error) {
		t.Error("the stand-in was asked for, though everything is in the cache")
		return "", errors.New("no")
	}
	again := build(t, o)
	if first.ID != again.ID || !strings.Contains(again.Report, "from Alpine edge (main)") {
		t.Errorf("%s, then %s", first.ID, again.Report)
	}
	if len(*notes) != 0 {
		t.Errorf("notes %q", *notes)
	}
}

// It does not matter which mirror the cached index came from.
func TestOfflineFromTheSecondMirror(t *testing.T) {
	o, _ := smallest(t)
	server := alpine(t, o)
	file := filepath.Join(o.Dir, "image.toml")
	write(t, file, strings.Replace(read(t, file), `mirrors = ["`, `mirrors = ["http://127.0.0.1:1/dead", "`, 1))
	first := build(t, o)
	server.Close()
	if err := os.RemoveAll(filepath.Join(o.Cache, "base")); err != nil {
		t.Fatal(err)
	}
	if again := build(t, o); first.ID != again.ID {
		t.Errorf("%s, then %s", first.ID, again.ID)
	}
}

func TestLoginKeysStayInOut(t *testing.T) {
	o, _ := smallest(t)
	alpine(t, o)
	o.Login = true
	r := build(t, o)
	text, err := os.ReadFile(r.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\netc/ssh/ssh_host_ed25519_key\t100600\t0:0\t", "\nroot/.ssh\t040700\t0:0\t", "\nroot/.ssh/authorized_keys\t100600\t0:0\t",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("manifest has no %q", want)
		}
	}
	for _, file := range []string{r.SSHKey, r.KnownHosts} {
		if !strings.HasPrefix(file, o.Out) || !exists(file) {
			t.Errorf("%q", file)
		}
	}
	if err := os.Chmod(r.SSHKey, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), o); err == nil || !strings.Contains(err.Error(), "lets others read it") {
		t.Error(err)
	}
}

func TestFewBasesAreKept(t *testing.T) {
	o, _ := smallest(t)
	alpine(t, o)
	for _, hash := range []string{"a", "b", "c", "d", "e", "f"} {
		write(t, filepath.Join(o.Dir, "image.toml"), strings.Replace(read(t, filepath.Join(o.Dir, "image.toml")), "modules = []", `modules = ["`+hash+`"]`, 1))
		build(t, o)
		write(t, filepath.Join(o.Dir, "image.toml"), strings.Replace(read(t, filepath.Join(o.Dir, "image.toml")), `modules = ["`+hash+`"]`, "modules = []", 1))
	}
	dirs, err := os.ReadDir(filepath.Join(o.Cache, "base"))
	if err != nil || len(dirs) != keepBases {
		t.Errorf("%d bases in the cache, %v", len(dirs), err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCancelled(t *testing.T) {
	o, _ := smallest(t)
	alpine(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, o); err == nil {
		t.Fatal("a build that was called off succeeded")
	}
	if exists(filepath.Join(o.Out, "initramfs")) {
		t.Error("it left an image")
	}
}

// Whatever byte of a cached part is another one, the image is the same or the
// part is made anew.
func TestTamperedCacheIsMadeAnew(t *testing.T) {
	o, _ := smallest(t)
	alpine(t, o)
	first := build(t, o)
	good := read(t, first.Initramfs) + read(t, first.Vmlinuz) + read(t, first.Manifest)
	files, err := filepath.Glob(filepath.Join(o.Cache, "base/*/*"))
	if err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		content := read(t, file)
		for _, at := range []int{0, 3, 70, len(content) / 2, len(content) - 1} {
			if at >= len(content) {
				continue
			}
			bad := []byte(content)
			bad[at] ^= 1
			write(t, file, string(bad))
			r := build(t, o)
			if read(t, r.Initramfs)+read(t, r.Vmlinuz)+read(t, r.Manifest) != good {
				t.Errorf("%s, byte %d: got into the image", filepath.Base(file), at)
			}
		}
		write(t, file, "")
		if build(t, o); read(t, first.Initramfs)+read(t, first.Vmlinuz)+read(t, first.Manifest) != good {
			t.Errorf("%s: an empty one got into the image", filepath.Base(file))
		}
	}
}

// An image with a secret is not for others on this host either.
func TestSecretImageIsNotReadable(t *testing.T) {
	o, _ := smallest(t)
	alpine(t, o)
	for text, want := range map[string]os.FileMode{
		"":                                   0o644,
		"\nroot_hash = \"$6$a$b\"\n":         0o600,
		"\n[users.ann]\nhash = \"$6$a$b\"\n": 0o600,
		"\n[[file]]\npath = \"/a\"\ncontent = \"x\"\nmode = \"0640\"\n": 0o600,
		"\n[[file]]\npath = \"/a\"\ncontent = \"x\"\n":                  0o644,
	} {
		plain := read(t, filepath.Join(o.Dir, "image.toml"))
		write(t, filepath.Join(o.Dir, "image.toml"), plain+text)
		r := build(t, o)
		if st, err := os.Stat(r.Initramfs); err != nil || st.Mode() != want {
			t.Errorf("%q: mode %v, want %v", text, st.Mode(), want)
		}
		write(t, filepath.Join(o.Dir, "image.toml"), plain)
	}
}

func TestKeysOfPackagesAreTold(t *testing.T) {
	o, _ := smallest(t)
	write(t, filepath.Join(o.Dir, "src/base-1-r0/etc/test.key"), "-----BEGIN RSA PRIVATE KEY-----\n")
	alpine(t, o)
	for range 2 { // made, then from the cache
		if r := build(t, o); !strings.Contains(r.Report, "\nnote       /etc/test.key of base-1-r0 is a private key") {
			t.Error(r.Report)
		}
	}
}

// What installing had to leave out is told by every build, not by the first alone.
func TestNotesOfInstallingAreTold(t *testing.T) {
	o, _ := smallest(t)
	write(t, filepath.Join(o.Dir, "src/base-1-r0/.post-install"), "unknown\n")
	alpine(t, o)
	file := filepath.Join(o.Dir, "image.toml")
	write(t, file, read(t, file)+"skip_scripts = [\"base\"]\n")
	for range 2 {
		if r := build(t, o); !strings.Contains(r.Report, "\nnote       package base-1-r0: post-install was skipped\n") {
			t.Error(r.Report)
		}
	}
}

func TestPinsComeFirst(t *testing.T) {
	b := &builder{config: &config.Config{Users: []config.User{{Name: "a", UID: 1}, {Name: "x", UID: -1}}, Groups: []config.Group{{Name: "g", GID: 2}}}}
	got := b.ids(&config.Lock{Users: map[string]int{"a": 100, "b": 101}, Groups: map[string]int{"g": 100}})
	if got.Users["a"] != 1 || got.Users["b"] != 101 || got.Groups["g"] != 2 || len(got.Groups) != 1 || len(got.Users) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestStaleRemainsAreSwept(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".new-old", ".new-young", "kept"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-48 * time.Hour)
	for _, name := range []string{".new-old", "kept"} {
		if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	if err := sweepStale(dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	if exists(filepath.Join(dir, ".new-old")) || !exists(filepath.Join(dir, ".new-young")) || !exists(filepath.Join(dir, "kept")) {
		t.Error("swept the wrong ones")
	}
}
