// Package sshkeys keeps the keys of the machine that `build run` boots: one
// for its sshd, and one that may log in. They are made once, live below the
// output folder, are readable by their owner only and never enter the
// repository.
package sshkeys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
)

// Pair is an ed25519 key in OpenSSH's formats.
type Pair struct {
	// File holds the private key, File.pub the public one.
	File string
	// Private is the PEM text, Public the line of authorized_keys.
	Private, Public []byte
}

// Keys are the two pairs of a test machine.
type Keys struct {
	Host, User Pair
	// KnownHosts is a file that names the host key for 127.0.0.1, any port.
	KnownHosts string
}

// Load reads the keys in dir, and makes what is missing. A private key that
// others can read is refused: who knows where it has been.
func Load(dir string) (*Keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	host, err := pair(filepath.Join(dir, "host_ed25519"), "host of make run")
	if err != nil {
		return nil, err
	}
	user, err := pair(filepath.Join(dir, "id_ed25519"), "user of make run")
	if err != nil {
		return nil, err
	}
	k := &Keys{Host: host, User: user, KnownHosts: filepath.Join(dir, "known_hosts")}
	line := append([]byte("* "), host.Public...)
	if have, err := os.ReadFile(k.KnownHosts); err == nil && bytes.Equal(have, line) {
		return k, nil
	}
	return k, write(k.KnownHosts, line, 0o644)
}

// pair reads or makes the pair at file.
func pair(file, comment string) (Pair, error) {
	private, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return create(file, comment)
	}
	if err != nil {
		return Pair{}, err
	}
	st, err := os.Stat(file)
	if err != nil {
		return Pair{}, err
	}
	if mode := st.Mode().Perm(); mode&0o077 != 0 {
		return Pair{}, fmt.Errorf("key %s: mode %04o lets others read it; delete it and the build makes a new one", file, mode)
	}
	signer, err := ssh.ParsePrivateKey(private)
	if err != nil {
		return Pair{}, fmt.Errorf("key %s: %w", file, err)
	}
	return Pair{file, private, authorized(signer.PublicKey(), comment)}, nil
}

func create(file, comment string) (Pair, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return Pair{}, err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return Pair{}, err
	}
	p := Pair{file, pem.EncodeToMemory(block), authorized(key, comment)}
	if err := write(file+".pub", p.Public, 0o644); err != nil {
		return Pair{}, err
	}
	return p, write(file, p.Private, 0o600)
}

func authorized(key ssh.PublicKey, comment string) []byte {
	line := bytes.TrimSuffix(ssh.MarshalAuthorizedKey(key), []byte("\n"))
	return append(line, " "+comment+"\n"...)
}

// write lays a file whole or not at all; nobody reads it meanwhile.
func write(file string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
