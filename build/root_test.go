package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hoopy/build/apk"
	"hoopy/build/image"
	"hoopy/unit"
)

const overlay = "../root"

// The tests of this file guard the folder that ships: what is wrong in it
// would be on every machine.

func TestFolderHasNoMistake(t *testing.T) {
	if err := image.Check(".."); err != nil {
		t.Fatal(err)
	}
}

func TestOverlayModes(t *testing.T) {
	n := 0
	err := filepath.WalkDir(overlay, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		n++
		if d.Type()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o002 != 0 {
			t.Errorf("%s: mode %v, the world may write", file, info.Mode())
		}
		if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 && !d.IsDir() {
			t.Errorf("%s: mode %v, git does not keep that", file, info.Mode())
		}
		if d.Type().IsRegular() && info.Mode()&0o111 != 0 && strings.HasPrefix(file, overlay+"/etc/") {
			t.Errorf("%s: is configuration, and executable", file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 5 {
		t.Fatalf("only %d files found", n)
	}
}

func TestOverlayUnits(t *testing.T) {
	c, err := unit.Load(os.DirFS(overlay+"/etc"), "root/etc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Graph(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(overlay + "/etc/svc/*")
	if err != nil {
		t.Fatal(err)
	}
	templates, err := filepath.Glob(overlay + "/etc/svc/*@.toml")
	if err != nil {
		t.Fatal(err)
	}
	if want := len(files) - len(templates) + len(c.Machine.Instances); len(files) < 3 || want != len(c.Units) {
		t.Errorf("%d files, %d templates, %d instances, %d units", len(files), len(templates), len(c.Machine.Instances), len(c.Units))
	}
	found := false
	for _, u := range c.Units {
		if u.Name == "sshd" {
			found = true
			if !u.Essential || !u.StopMain || u.ReadyBy != unit.ByTCP || u.ReadyPort != 22 {
				t.Errorf("sshd: %+v", u)
			}
		}
	}
	if !found || len(c.Machine.Links) == 0 {
		t.Error("no way in: sshd or the link is missing")
	}
}

func TestSSHDTakesKeysOnly(t *testing.T) {
	text, err := os.ReadFile(overlay + "/etc/ssh/sshd_config")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"passwordauthentication": "no", "kbdinteractiveauthentication": "no", "permitemptypasswords": "no",
		"permitrootlogin": "prohibit-password", "pubkeyauthentication": "yes",
	}
	have := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0][0] == '#' {
			continue
		}
		word := strings.ToLower(f[0])
		if v, ok := want[word]; ok && (len(f) != 2 || f[1] != v) {
			t.Errorf("%q, want %s", strings.TrimSpace(line), v)
		}
		if word == "match" || word == "include" {
			t.Errorf("%q: what it brings is not looked at here", strings.TrimSpace(line))
		}
		have[word] = true
	}
	for word := range want {
		if !have[word] {
			t.Errorf("%s is not said", word)
		}
	}
}

func TestKeysArePublic(t *testing.T) {
	if _, err := apk.LoadKeys("../keys"); err != nil { // all that are called so
		t.Fatal(err)
	}
	entries, err := os.ReadDir("../keys")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".rsa.pub") {
			t.Errorf("%s is no key", e.Name())
		}
	}
}
