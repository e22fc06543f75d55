package apk

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// regions gives, for each class of bytes in a package, one offset to spoil.
func regions(t *testing.T, data []byte) map[string]int {
	t.Helper()
	sigs, control, err := (&scratch{}).readSignatures(data, maxControl)
	if err != nil || len(sigs) == 0 {
		t.Fatalf("signature segment: %v", err)
	}
	_, n, err := (&scratch{}).inflate(data[control:], false, maxControl)
	if err != nil {
		t.Fatal(err)
	}
	payload := control + n
	return map[string]int{
		"signature":           control / 2,
		"signature, checksum": control - 6,
		"control":             control + n/2,
		"control, checksum":   payload - 6,
		"control, header":     control + 5,
		"data":                payload + (len(data)-payload)/2,
		"data, padding":       len(data) - 12, // the zero blocks that end it
		"data, checksum":      len(data) - 6,
		"data, header":        payload + 5,
	}
}

func spoil(data []byte, at int) []byte {
	out := bytes.Clone(data)
	out[at] ^= 0x10
	return out
}

// refused says that an error is one of those that name a broken trust.
func refused(err error) bool {
	return errors.Is(err, ErrMismatch) || errors.Is(err, ErrSignature) || errors.Is(err, ErrFormat)
}

func TestTamperedPackage(t *testing.T) {
	root := makeRepo(t, small("one"))
	file := filepath.Join(root, "x86_64", "one-1.0-r0.apk")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.FileServer(http.Dir(root)))
	defer web.Close()
	cases := map[string][]byte{
		"cut short":  good[:len(good)-100],
		"longer":     append(bytes.Clone(good), 0),
		"empty":      {},
		"other file": packed(t, small("two")),
	}
	for name, at := range regions(t, good) {
		cases[name] = spoil(good, at)
	}
	// a package by the right key, of the right name, with other contents
	other := small("one")
	other.Entries = append(other.Entries, fileEntry("usr/evil", "evil"))
	cases["other contents, signed"] = packed(t, other)
	// without its signature
	_, at, err := (&scratch{}).readSignatures(good, maxControl)
	if err != nil {
		t.Fatal(err)
	}
	cases["signature cut off"] = good[at:]

	for name, bad := range cases {
		t.Run(name, func(t *testing.T) {
			defer os.WriteFile(file, good, 0o644)
			cache := openCache(t)
			local := openRepo(t, root, cache, FetchOptions{}).Packages[0]
			r := openRepo(t, web.URL, cache, FetchOptions{Attempts: 1})
			p := r.Packages[0]

			if err := os.WriteFile(file, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := cache.Fetch(t.Context(), local); !refused(err) {
				t.Errorf("from a folder: %v", err)
			}
			if _, err := cache.Fetch(t.Context(), p); !refused(err) {
				t.Errorf("from the network: %v", err)
			}
			noLeftovers(t, cache)
			if cache.Cached(p) {
				t.Error("a refused package is in the cache")
			}
			// the cache itself is spoiled
			if err := os.WriteFile(file, good, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := cache.Fetch(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(cache.packageFile(p.Checksum), bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := cache.Fetch(t.Context(), p); !refused(err) {
				t.Errorf("from the cache: %v", err)
			}
			if cache.Cached(p) {
				t.Error("the spoiled file is still in the cache")
			}
			if n := len(files(t, cache, "rejected")); n != 1 {
				t.Errorf("%d files in rejected/, want 1", n)
			}
			if _, err := cache.Fetch(t.Context(), p); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestTamperedIndex(t *testing.T) {
	root := makeRepo(t, small("one"), small("two"))
	file := filepath.Join(root, "x86_64", IndexName)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, at, err := (&scratch{}).readSignatures(good, maxControl)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.FileServer(http.Dir(root)))
	defer web.Close()
	for name, bad := range map[string][]byte{
		"signature":           spoil(good, at/2),
		"signature, checksum": spoil(good, at-6),
		"signature cut off":   good[at:],
		"index":               spoil(good, at+(len(good)-at)/2),
		"index, header":       spoil(good, at+5),
		"padding":             spoil(good, len(good)-12),
		"index, checksum":     spoil(good, len(good)-6),
		"cut short":           good[:len(good)-20],
		"longer":              append(bytes.Clone(good), 0),
		"empty":               {},
	} {
		t.Run(name, func(t *testing.T) {
			defer os.WriteFile(file, good, 0o644)
			cache := openCache(t)
			if err := os.WriteFile(file, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			open := func(location string, o FetchOptions) error {
				_, err := OpenRepo(t.Context(), location, "x86_64", testKeys(), cache, o)
				return err
			}
			if err := open(root, FetchOptions{}); !refused(err) {
				t.Errorf("from a folder: %v", err)
			}
			if err := open(web.URL, FetchOptions{Attempts: 1}); !refused(err) {
				t.Errorf("from the network: %v", err)
			}
			noLeftovers(t, cache)
			if n := len(files(t, cache, "index")); n != 0 {
				t.Errorf("%d files in index/, want none", n)
			}
			// a good one in the cache does not make up for a bad answer
			if err := os.WriteFile(file, good, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := open(web.URL, FetchOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := open(web.URL, FetchOptions{Attempts: 1}); !refused(err) {
				t.Errorf("with a good one in the cache: %v", err)
			}
			if err := open(web.URL, FetchOptions{Offline: true}); err != nil {
				t.Errorf("the good one in the cache: %v", err)
			}
			name, err := cache.current(cache.indexDir(web.URL, "x86_64"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := open(web.URL, FetchOptions{Offline: true}); !refused(err) {
				t.Errorf("from the cache: %v", err)
			}
			if n := len(files(t, cache, "rejected")); n != 1 {
				t.Errorf("%d files in rejected/, want 1", n)
			}
			if err := open(web.URL, FetchOptions{Offline: true}); !errors.Is(err, ErrOffline) {
				t.Errorf("afterwards, offline: %v", err)
			}
		})
	}
}

func files(t *testing.T, c *Cache, sub string) []string {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(c.dir, sub))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func noLeftovers(t *testing.T, c *Cache) {
	t.Helper()
	for _, pattern := range []string{"package/.*", "index/*/.*"} {
		left, err := filepath.Glob(filepath.Join(c.dir, pattern))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %q, %v", left, err)
		}
	}
}

// TestEveryByte changes each byte of a package and of an index, one at a time,
// and cuts them at each length.
func TestEveryByte(t *testing.T) {
	root := makeRepo(t, small("one"))
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(root, "x86_64", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	p := openRepo(t, root, openCache(t), FetchOptions{}).Packages[0]
	keys := testKeys()
	// what was read, in full
	for name, check := range map[string]func([]byte) (string, error){
		p.File(): func(data []byte) (string, error) {
			var s scratch
			a, err := s.read(p, data, keys)
			if err != nil {
				return "", err
			}
			out := fmt.Sprint(a.Info, a.Checksum, a.Scripts)
			for _, e := range a.Entries {
				out += fmt.Sprintln(e.Path, e.Mode, e.User, e.Group, e.MTime, e.Link, e.Hard, content(t, e))
			}
			return out, nil
		},
		IndexName: func(data []byte) (string, error) {
			pkgs, description, key, err := readIndex(data, keys)
			out := fmt.Sprintln(description, key)
			for _, p := range pkgs {
				out += fmt.Sprintln(*p)
			}
			return out, err
		},
	} {
		good := read(name)
		want, err := check(good)
		if err != nil {
			t.Fatal(err)
		}
		_, signed, err := (&scratch{}).readSignatures(good, maxIndexText)
		if err != nil {
			t.Fatal(err)
		}
		passed := 0
		for i := range good {
			for _, flip := range []byte{0x01, 0x80, 0xff} {
				bad := bytes.Clone(good)
				bad[i] ^= flip
				have, err := check(bad)
				switch {
				case err != nil && !refused(err):
					t.Errorf("%s: byte %d xor %#x: %v", name, i, flip, err)
				case err == nil && i >= signed:
					t.Errorf("%s: byte %d of %d xor %#x was taken", name, i, len(good), flip)
				case err == nil && have != want:
					t.Errorf("%s: byte %d xor %#x changed what was read", name, i, flip)
				case err == nil:
					passed++
				}
			}
			if _, err := check(good[:i]); !refused(err) {
				t.Errorf("%s: cut to %d of %d bytes: %v", name, i, len(good), err)
			}
		}
		// the wrapping of a signature has some bits without a meaning
		if passed > 30 {
			t.Errorf("%s: %d changes were taken", name, passed)
		}
	}
}
