package sshkeys

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ssh")
	first, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Host.Private, again.Host.Private) || !bytes.Equal(first.User.Public, again.User.Public) {
		t.Error("the second Load made other keys")
	}
	if bytes.Equal(first.Host.Private, first.User.Private) {
		t.Error("host and user share a key")
	}
	for _, p := range []Pair{first.Host, first.User} {
		st, err := os.Stat(p.File)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", p.File, st.Mode(), err)
		}
		signer, err := ssh.ParsePrivateKey(p.Private)
		if err != nil {
			t.Fatal(err)
		}
		public, _, _, _, err := ssh.ParseAuthorizedKey(p.Public)
		if err != nil || !bytes.Equal(public.Marshal(), signer.PublicKey().Marshal()) {
			t.Errorf("%s: the public half does not belong to it: %v", p.File, err)
		}
	}
	known, err := os.ReadFile(first.KnownHosts)
	if err != nil || !strings.HasPrefix(string(known), "* ssh-ed25519 ") {
		t.Errorf("known_hosts %q, %v", known, err)
	}
}

func TestReadableByOthers(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604} {
		if err := os.Chmod(filepath.Join(dir, "id_ed25519"), mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "lets others read it") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "host_ed25519"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "host_ed25519") {
		t.Error(err)
	}
}
