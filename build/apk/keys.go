package apk

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Keys are public keys by file name, which is how a signature names its key.
type Keys struct {
	byName map[string]*rsa.PublicKey
}

// NewKeys returns a set without keys.
func NewKeys() *Keys { return &Keys{byName: map[string]*rsa.PublicKey{}} }

// LoadKeys reads every *.rsa.pub of a folder. A file that holds no RSA key is
// an error, and so is a folder without any.
func LoadKeys(dir string) (*Keys, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.rsa.pub"))
	if err != nil {
		return nil, fmt.Errorf("keys %q: %w", dir, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("keys %q: no *.rsa.pub there", dir)
	}
	k := NewKeys()
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		if err := k.AddPEM(filepath.Base(name), data); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// AddPEM adds a public key in the form of openssl ("PUBLIC KEY") under the file
// name that signatures know it by.
func (k *Keys) AddPEM(name string, data []byte) error {
	block, _ := pem.Decode(data)
	if block == nil {
		return fmt.Errorf("key %q: %w: no PEM block", name, ErrFormat)
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("key %q: %w", name, err)
	}
	key, ok := pub.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("key %q: %w: a %T, not an RSA key", name, ErrFormat, pub)
	}
	k.Add(name, key)
	return nil
}

// Add adds a key under a file name ("me-1234.rsa.pub").
func (k *Keys) Add(name string, key *rsa.PublicKey) { k.byName[name] = key }

// PublicPEM gives a public key in the form that AddPEM reads.
func PublicPEM(key *rsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// signature is what a signature segment holds.
type signature struct {
	hash crypto.Hash
	key  string
	sig  []byte
}

// signatureOf reads the entry of a signature segment: its name says digest and
// key, as in ".SIGN.RSA.alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub".
func signatureOf(name string, sig []byte) (signature, bool) {
	if key, ok := strings.CutPrefix(name, ".SIGN.RSA256."); ok {
		return signature{crypto.SHA256, key, sig}, true
	}
	if key, ok := strings.CutPrefix(name, ".SIGN.RSA."); ok {
		return signature{crypto.SHA1, key, sig}, true
	}
	return signature{}, false
}

// verify checks the signatures of signed; one good one by a known key is
// enough, a wrong one by a known key never passes. It returns the key's name.
func (k *Keys) verify(sigs []signature, signed []byte) (string, error) {
	if len(sigs) == 0 {
		return "", fmt.Errorf("%w: not signed", ErrSignature)
	}
	good := ""
	var unknown []string
	for _, s := range sigs {
		key := k.byName[s.key]
		if key == nil {
			unknown = append(unknown, fmt.Sprintf("%q", s.key))
			continue
		}
		var digest []byte
		if s.hash == crypto.SHA256 {
			d := sha256.Sum256(signed)
			digest = d[:]
		} else {
			d := sha1.Sum(signed)
			digest = d[:]
		}
		if err := rsa.VerifyPKCS1v15(key, s.hash, digest, s.sig); err != nil {
			return "", fmt.Errorf("%w: not made by key %q over these contents", ErrSignature, s.key)
		}
		good = s.key
	}
	if good == "" {
		return "", fmt.Errorf("%w: signed by %s, which is none of our %d keys",
			ErrSignature, strings.Join(unknown, ", "), len(k.byName))
	}
	return good, nil
}
