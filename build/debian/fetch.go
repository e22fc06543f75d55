package debian

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// deb is one Debian package in the cache.
type deb struct {
	Name string // as asked for: "openssh-server"
	File string // "openssh-server_1%3a9.2p1-2+deb12u10_amd64.deb"
	Sum  string // SHA-256 of the file, from the archive's signed lists
	path string
}

// archive is the Debian archive as apt sees it, with a cache in front. Nothing
// in it needs root: the host's package lists are read; where they are absent or
// older than the mirror, an own set of lists is fetched into the cache.
type archive struct {
	dir   string            // the cache
	opts  []string          // of apt: where its lists are
	own   bool              // opts lead to our own lists
	known map[string]string // what was resolved before, kept in dir/known.json
}

// openArchive opens the cache in dir.
func openArchive(dir string) (*archive, error) {
	a := &archive{dir: dir, known: map[string]string{}}
	for _, sub := range []string{"debs", "apt/lists/partial", "apt/cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "known.json"))
	if err == nil && json.Unmarshal(b, &a.known) != nil {
		a.known = map[string]string{} // written by a version that is no more
	}
	return a, nil
}

// latest runs a question to apt's lists: with the host's, then with our own
// fresh ones, at last from memory, so that a filled cache serves offline.
func (a *archive) latest(ctx context.Context, key string, ask func() (string, error)) (string, error) {
	answer, err := ask()
	if err != nil && !a.own {
		if a.update(ctx) == nil {
			answer, err = ask()
		}
	}
	if err != nil {
		if answer, ok := a.known[key]; ok {
			return answer, nil
		}
		return "", err
	}
	if a.known[key] != answer {
		a.known[key] = answer
		b, _ := json.MarshalIndent(a.known, "", "\t")
		if err := os.WriteFile(filepath.Join(a.dir, "known.json"), b, 0o644); err != nil {
			return "", err
		}
	}
	return answer, nil
}

// update fetches the lists of the host's sources into the cache.
func (a *archive) update(ctx context.Context) error {
	opts := []string{
		"-o", "Dir::State::Lists=" + filepath.Join(a.dir, "apt/lists"),
		"-o", "Dir::Cache=" + filepath.Join(a.dir, "apt/cache"),
		"-o", "Debug::NoLocking=true", "-o", "Acquire::http::Timeout=20",
	}
	if _, err := run(ctx, "", "apt-get", append(slices.Clone(opts), "-q", "update")...); err != nil {
		return err
	}
	a.opts, a.own = opts, true
	return nil
}

// kernelName returns the package that linux-image-amd64 stands for today.
func (a *archive) kernelName(ctx context.Context) (string, error) {
	return a.latest(ctx, "kernel", func() (string, error) {
		out, err := run(ctx, "", "apt-cache", append(slices.Clone(a.opts), "depends", "--important", "linux-image-amd64")...)
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(out) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); ok && strings.HasPrefix(name, "linux-image-") {
				return name, nil
			}
		}
		return "", errors.New("linux-image-amd64 depends on no kernel")
	})
}

// fetch returns the named packages in the order asked for, downloading those
// that are not in the cache.
func (a *archive) fetch(ctx context.Context, names ...string) ([]deb, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var debs []deb
	try := func() (err error) {
		if debs, err = a.resolve(ctx, names); err != nil {
			return err
		}
		return a.download(ctx, debs)
	}
	err := try()
	if err != nil && !a.own && a.update(ctx) == nil {
		err = try() // the mirror no longer holds what the host's lists name
	}
	if err != nil {
		return nil, fmt.Errorf("debian: %w", err)
	}
	return debs, nil
}

// resolve asks apt which file each name is, in one call.
func (a *archive) resolve(ctx context.Context, names []string) ([]deb, error) {
	sorted := slices.Compact(slices.Sorted(slices.Values(names)))
	out, err := a.latest(ctx, "uris "+strings.Join(sorted, " "), func() (string, error) {
		return run(ctx, "", "apt-get", append(append(slices.Clone(a.opts), "-q", "--print-uris", "download"), sorted...)...)
	})
	if err != nil {
		return nil, err
	}
	byName := map[string]deb{}
	for line := range strings.Lines(out) {
		d, ok := parseURI(line)
		if ok {
			byName[d.Name] = d
		}
	}
	var debs []deb
	for _, name := range names {
		d, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("package %q: apt names no file with a SHA-256", name)
		}
		d.path = filepath.Join(a.dir, "debs", d.File)
		debs = append(debs, d)
	}
	return debs, nil
}

// parseURI reads a line of `apt-get --print-uris download`:
//
//	'http://…/x_1_amd64.deb' x_1_amd64.deb 86684 SHA256:d7dd…
func parseURI(line string) (deb, bool) {
	f := strings.Fields(line)
	if len(f) != 4 || !strings.HasPrefix(f[0], "'") {
		return deb{}, false
	}
	name, _, ok := strings.Cut(f[1], "_")
	sum, isSum := strings.CutPrefix(f[3], "SHA256:")
	if !ok || !isSum || len(sum) != 64 || f[1] != filepath.Base(f[1]) {
		return deb{}, false
	}
	return deb{Name: name, File: f[1], Sum: sum}, true
}

// download fills the cache with what lacks there. A file gets its place only
// after its checksum was seen to be right.
func (a *archive) download(ctx context.Context, debs []deb) error {
	var missing []deb
	for _, d := range debs {
		if sum, err := sumFile(d.path); err != nil || sum != d.Sum {
			missing = append(missing, d)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	dir, err := os.MkdirTemp(a.dir, "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	args := append(slices.Clone(a.opts), "-q", "download")
	for _, d := range missing {
		args = append(args, d.Name)
	}
	if _, err := run(ctx, dir, "apt-get", args...); err != nil {
		return err
	}
	for _, d := range missing {
		sum, err := sumFile(filepath.Join(dir, d.File))
		if err != nil {
			return err
		}
		if sum != d.Sum {
			return fmt.Errorf("%s: sha256 %s, want %s", d.File, sum, d.Sum)
		}
		if err := os.Rename(filepath.Join(dir, d.File), d.path); err != nil {
			return err
		}
	}
	return nil
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// run runs a program and returns what it printed. Its error carries the last
// line of complaint.
func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, lastError(complaint.String()))
	}
	return out.String(), nil
}

// lastError prefers apt's errors ("E:") over its warnings.
func lastError(s string) string {
	last := ""
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" && (strings.HasPrefix(line, "E:") || !strings.HasPrefix(last, "E:")) {
			last = line
		}
	}
	return last
}
