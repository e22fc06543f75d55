//go:build e2e

package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"hoopy/build/apk"
	"hoopy/build/cpio"
	"hoopy/build/debian"
	"hoopy/build/tree"
)

// standIn returns a kernel and an initramfs without any init: Debian's sshd and
// busybox, a few modules and a fresh key. It depends on nothing of hoopy's but
// the stand-in packages, so that the harness and the floor can be tested alone.
func standIn(t testing.TB) (kernel, initramfs string, key ssh.Signer) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repo")
	o := debian.Options{
		Dir: dir, CacheDir: filepath.Join(cacheDir, "debian"),
		Names:   []string{"alpine-baselayout", "busybox", "openssh-server"},
		Modules: []string{"drivers/virtio/", "virtio_net", "virtio_blk", "button", "evdev"},
	}
	k, err := debian.LoadKernel(t.Context(), o)
	if err != nil {
		t.Skip(err)
	}
	if err := debian.Repository(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	root := tree.New()
	if err := unpack(t, dir, root); err != nil {
		t.Fatal(err)
	}
	if err := root.MkdirAll("bin", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, applet := range []string{"sh", "cat", "echo", "uname", "dmesg"} {
		if err := root.Symlink("busybox", "bin/"+applet); err != nil {
			t.Fatal(err)
		}
	}
	base := filepath.Join(t.TempDir(), "base")
	if err := pack(root, base); err != nil {
		t.Fatal(err)
	}
	files, key := login(t)
	err = filepath.WalkDir(filepath.Join(k.Root, "lib"), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(file)
		name, _ := filepath.Rel(k.Root, file)
		files[name] = File{Content: b}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return k.Image, Overlay(t, base, files), key
}

// unpack lays all packages of a local repository into a tree.
func unpack(t testing.TB, dir string, root *tree.Tree) error {
	public, err := os.ReadFile(filepath.Join(dir, debian.KeyName))
	if err != nil {
		return err
	}
	keys := apk.NewKeys()
	if err := keys.AddPEM(debian.KeyName, public); err != nil {
		return err
	}
	cache, err := apk.NewCache(t.TempDir())
	if err != nil {
		return err
	}
	repo, err := apk.OpenRepo(t.Context(), dir, debian.Arch, keys, cache, apk.FetchOptions{})
	if err != nil {
		return err
	}
	for _, p := range repo.Packages {
		archive, err := cache.Fetch(t.Context(), p)
		if err != nil {
			return err
		}
		for _, e := range archive.Entries {
			if err := root.Add(&e.Entry); err != nil {
				return err
			}
		}
	}
	return nil
}

// pack writes a tree as a plain initramfs.
func pack(root *tree.Tree, file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := cpio.NewWriter(f)
	for e := range root.Walk() {
		if e.Path == "." {
			continue
		}
		h := cpio.Header{Name: e.Path, Mode: uint32(e.Mode.Perm()), UID: uint32(e.UID), GID: uint32(e.GID)}
		var content io.Reader = strings.NewReader(e.Link)
		switch {
		case e.Mode.IsDir():
			h.Mode |= cpio.TypeDir
			if e.Mode&fs.ModeSticky != 0 {
				h.Mode |= 0o1000
			}
		case e.Link != "":
			h.Mode |= cpio.TypeSymlink
			h.Size = uint32(len(e.Link))
		default:
			h.Mode |= cpio.TypeRegular
			r, err := root.Content(e)
			if err != nil {
				return err
			}
			defer r.Close()
			h.Size, content = uint32(e.Size), r
			if e.Hard != "" {
				first, err := root.Lstat(e.Hard)
				if err != nil {
					return err
				}
				h.Size = uint32(first.Size)
			}
		}
		if err := w.Add(h, content); err != nil {
			return err
		}
	}
	return w.Close()
}

// login makes the files of an sshd that lets one fresh key in.
func login(t testing.TB) (map[string]File, ssh.Signer) {
	_, host, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, user, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(host, "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(user)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]File{
		"etc/ssh/ssh_host_ed25519_key": {Mode: 0o600, Content: pem.EncodeToMemory(block)},
		"etc/ssh/sshd_config":          {Content: []byte("HostKey /etc/ssh/ssh_host_ed25519_key\nPermitRootLogin prohibit-password\n")},
		"root/.ssh/authorized_keys":    {Mode: 0o600, Content: ssh.MarshalAuthorizedKey(key.PublicKey())},
	}, key
}
