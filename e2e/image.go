//go:build e2e

package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"hoopy/build/debian"
	"hoopy/build/image"
)

// cacheDir is shared with the builds that people make in this checkout.
var cacheDir = filepath.Join("..", "out", "cache")

// built is the image under test.
type built struct{ kernel, initramfs, key string }

// build makes it, once for all tests, beside the one in out/.
var build = sync.OnceValues(func() (built, error) {
	b := built{os.Getenv("HOOPY_KERNEL"), os.Getenv("HOOPY_INITRAMFS"), os.Getenv("HOOPY_KEY")}
	switch {
	case b.kernel != "" && b.initramfs != "" && b.key != "":
		return b, nil
	case b != built{}:
		return b, errors.New("HOOPY_KERNEL, HOOPY_INITRAMFS and HOOPY_KEY must be set together")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	r, err := image.Build(ctx, image.Options{
		Dir: "..", Out: filepath.Join("..", "out", "e2e"), Cache: cacheDir, Login: true, StandIn: debian.StandIn,
	})
	if err != nil {
		return b, err
	}
	return built{r.Vmlinuz, r.Initramfs, r.SSHKey}, nil
})

func mustBuild(t testing.TB) built {
	t.Helper()
	b, err := build()
	if err != nil {
		t.Fatalf("the image does not build: %v", err)
	}
	return b
}

// Image returns the kernel and the initramfs under test.
func Image(t testing.TB) (kernel, initramfs string) {
	t.Helper()
	b := mustBuild(t)
	return b.kernel, b.initramfs
}

// Key returns the key that may log in to the image under test.
func Key(t testing.TB) ssh.Signer {
	t.Helper()
	key, err := readKey(mustBuild(t).key)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func readKey(file string) (ssh.Signer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return ssh.ParsePrivateKey(text)
}
