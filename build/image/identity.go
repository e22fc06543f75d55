package image

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"hoopy/build/sshkeys"
)

// Manifest is the file /.hoopy/manifest, by which a running machine knows what
// it is.
type Manifest struct {
	// Version is the file VERSION.
	Version string `json:"version"`
	// Image is Version and eight hex digits of a hash over all that went in.
	Image string `json:"image"`
	// Date is that of the newest file of a package, in RFC 3339.
	Date string `json:"date"`
	// Distribution says where the packages are from; Local that they are not,
	// or not all, Alpine's own.
	Distribution string `json:"distribution"`
	Local        bool   `json:"local,omitempty"`
	Arch         string `json:"arch"`
	// Kernel is what uname -r says; empty when the image has no modules.
	Kernel   string   `json:"kernel,omitempty"`
	Packages []string `json:"packages"`
}

const manifestFile = ".hoopy/manifest"

// identity lays what the image says of itself, and the sentinel.
func (l *layer) identity(b *builder, base *base) error {
	sum, err := l.sum(base.sum)
	if err != nil {
		return err
	}
	m := Manifest{
		Version: b.version, Image: b.version + "-" + sum[:8], Date: time.Unix(l.epoch, 0).UTC().Format(time.RFC3339),
		Distribution: base.Text, Local: base.Local, Arch: b.config.Arch,
		Kernel: base.Modules.Release, Packages: base.Packages,
	}
	l.id = m.Image
	text, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return err
	}
	if err := l.text(manifestFile, string(text)+"\n", 0o644, "build"); err != nil {
		return err
	}
	// os-release(5): which image this is, beside which distribution.
	release := strings.TrimRight(base.Release, "\n")
	if release == "" {
		release = "ID=hoopy\nNAME=hoopy"
	}
	release += fmt.Sprintf("\nIMAGE_ID=hoopy\nIMAGE_VERSION=%s\n", m.Image)
	if base.Local {
		release += fmt.Sprintf("VARIANT=%q\n", base.Text)
	}
	if err := l.text("etc/os-release", release, 0o644, "build"); err != nil {
		return err
	}
	return l.text(completeFile, m.Image+"\n", 0o644, "build")
}

// sum is a hash over the base and all that was laid so far, contents included.
func (l *layer) sum(base string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, base)
	for _, name := range slices.Sorted(maps.Keys(l.laid)) {
		e, err := l.t.Lstat(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %o %d %d %d %q %d\n", name, e.Mode, e.UID, e.GID, e.MTime, e.Link, e.Size)
		if !e.Mode.IsRegular() {
			continue
		}
		r, err := l.t.Content(e)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, r)
		if cerr := r.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// login lays the keys of a test machine.
func (l *layer) login(dir string) error {
	keys, err := sshkeys.Load(dir)
	if err != nil {
		return err
	}
	const host = "etc/ssh/ssh_host_ed25519_key"
	if err := l.text(host, string(keys.Host.Private), 0o600, "out/ssh"); err != nil {
		return err
	}
	if err := l.text(host+".pub", string(keys.Host.Public), 0o644, "out/ssh"); err != nil {
		return err
	}
	if err := l.dirs(frameRoot, "root/.ssh", 0o700); err != nil {
		return err
	}
	authorized := string(keys.User.Public)
	if old, ok := l.t.Get("root/.ssh/authorized_keys"); ok {
		text, err := l.t.ReadFile(old.Path)
		if err != nil {
			return err
		}
		authorized = strings.TrimSuffix(string(text), "\n") + "\n" + authorized
	}
	return l.text("root/.ssh/authorized_keys", authorized, 0o600, "out/ssh")
}
