package qemu

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// testdata/branches.xz is made by
//
//	xz --check=crc32 --x86 --lzma2=preset=6
//
// from 48 KiB of the code of gofmt, which is full of calls; the sum is that of the code.
const branchesSum = "db79054f1d3369da57420cdc1f1c1316e1fef7b370783f295155bbaf5a11e40f"

func branches(t testing.TB) []byte {
	b, err := os.ReadFile("testdata/branches.xz")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUnxzUndoesTheBranchFilter(t *testing.T) {
	out, err := unxz(branches(t))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(out)
	if got := hex.EncodeToString(sum[:]); got != branchesSum {
		t.Errorf("sha256 of the content is %s, want %s", got, branchesSum)
	}
}

func TestUnxzRefusesDamage(t *testing.T) {
	good := branches(t)
	cases := map[string]func([]byte) []byte{
		"empty":        func(b []byte) []byte { return nil },
		"other magic":  func(b []byte) []byte { b[0] = 0; return b },
		"other check":  func(b []byte) []byte { b[7] = 4; return b },
		"block header": func(b []byte) []byte { b[14] ^= 1; return b },
		"content":      func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"cut":          func(b []byte) []byte { return b[:len(b)/2] },
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := unxz(damage(bytes.Clone(good))); err == nil {
				t.Error("no error")
			}
		})
	}
}

// bzImage wraps a payload as a Linux build does.
func bzImage(payload []byte) []byte {
	image := make([]byte, 1024, 1024+len(payload))
	image[0x1f1] = 1
	copy(image[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(image[0x206:], 0x20f)
	binary.LittleEndian.PutUint32(image[0x24c:], uint32(len(payload)))
	return append(image, payload...)
}

func TestKernel(t *testing.T) {
	damaged := bytes.Clone(branches(t))
	damaged[len(damaged)/2] ^= 1
	for _, tc := range []struct {
		name  string
		image []byte
		err   bool
	}{
		{"not a kernel", []byte("hello"), false},
		{"gzip payload", bzImage([]byte("\x1f\x8b and so on")), false},
		{"no PVH entry", bzImage(branches(t)), false},
		{"damaged payload", bzImage(damaged), true},
		{"payload beyond the end", bzImage(branches(t))[:2000], false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "vmlinuz")
			if err := os.WriteFile(path, tc.image, 0o644); err != nil {
				t.Fatal(err)
			}
			cache := t.TempDir()
			got, err := kernelIn(path, cache)
			if (err != nil) != tc.err {
				t.Fatalf("error %v, want one: %v", err, tc.err)
			}
			if err == nil && got != path {
				t.Errorf("got %q, want the file itself", got)
			}
			if left, _ := os.ReadDir(cache); len(left) != 0 {
				t.Errorf("left %v in the cache", left)
			}
		})
	}
	if _, err := kernelIn("/nonexistent", t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func FuzzUnxz(f *testing.F) {
	f.Add(branches(f))
	f.Add([]byte(xzMagic + "\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		if size := len(b); size > 13 {
			// A header may ask for a 4 GiB dictionary; that is not what is tested.
			if dict, _, err := blockFilters(b[13:]); err == nil && dict > 1<<24 {
				return
			}
		}
		unxz(b)
	})
}
