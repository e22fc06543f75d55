package apk

import (
	"crypto/rand"
	"crypto/rsa"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// alpine finds the copy of real Alpine data: $HOOPY_ALPINE, or shared/alpine
// beside one of the folders above.
func alpine(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("HOOPY_ALPINE"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if p := filepath.Join(dir, "shared", "alpine"); isDir(p) {
			return p
		}
	}
	t.Skip("no shared/alpine above this folder and HOOPY_ALPINE is not set: real packages are not tested")
	return ""
}

func isDir(p string) bool {
	st, err := os.Stat(p)
	return err == nil && st.IsDir()
}

func alpineKeys(t testing.TB) *Keys {
	t.Helper()
	keys, err := LoadKeys(filepath.Join(alpine(t), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func openCache(t testing.TB) *Cache {
	t.Helper()
	c, err := NewCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// repos opens repositories of the real data ("main", "full/main").
func alpineRepos(t testing.TB, names ...string) []*Repo {
	t.Helper()
	var out []*Repo
	for _, n := range names {
		r, err := OpenRepo(t.Context(), filepath.Join(alpine(t), "v3.19", n), "x86_64", alpineKeys(t), openCache(t), FetchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// testKey is made once: 2048 bits take a while.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

const testKeyName = "test-1.rsa.pub"

func testKeys() *Keys {
	k := NewKeys()
	k.Add(testKeyName, &testKey().PublicKey)
	return k
}
