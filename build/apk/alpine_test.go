package apk

import (
	"crypto/rand"
	"crypto/rsa"
	"path/filepath"
	"sync"
	"testing"

	"hoopy/build/apk/oracle"
)

func alpineKeys(t testing.TB) *Keys {
	t.Helper()
	keys, err := LoadKeys(filepath.Join(oracle.Data(t), "keys"))
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

// alpineRepos opens repositories of the real data ("main", "full/main").
func alpineRepos(t testing.TB, names ...string) []*Repo {
	t.Helper()
	var out []*Repo
	for _, n := range names {
		r, err := OpenRepo(t.Context(), filepath.Join(oracle.Data(t), "v3.19", n), "x86_64", alpineKeys(t), openCache(t), FetchOptions{})
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
