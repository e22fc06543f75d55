package seedrng

import (
	"bytes"
	"encoding/hex"
	"testing"

	oracle "golang.org/x/crypto/blake2s"
)

func hashOf(parts ...[]byte) []byte {
	d := newBlake2s()
	for _, p := range parts {
		d.write(p)
	}
	out := make([]byte, hashSize)
	d.sum(out)
	return out
}

// TestBlake2s holds the hash against RFC 7693, appendix B, and against
// golang.org/x/crypto for every length up to five blocks, in two parts.
func TestBlake2s(t *testing.T) {
	if got := hex.EncodeToString(hashOf([]byte("abc"))); got != "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982" {
		t.Errorf("abc: %s", got)
	}
	b := make([]byte, 5*64+1)
	for i := range b {
		b[i] = byte(i*7 + i/64)
	}
	for n := range b {
		want := oracle.Sum256(b[:n])
		for _, cut := range []int{0, n / 3, n - n%64, n} {
			if got := hashOf(b[:cut], b[cut:n]); !bytes.Equal(got, want[:]) {
				t.Fatalf("%d bytes, cut at %d: %x, want %x", n, cut, got, want)
			}
		}
	}
}

func FuzzBlake2s(f *testing.F) {
	f.Add([]byte(nil), []byte("x"))
	f.Add(make([]byte, 64), make([]byte, 64))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		want := oracle.Sum256(append(bytes.Clone(a), b...))
		if got := hashOf(a, b); !bytes.Equal(got, want[:]) {
			t.Errorf("%x %x: %x, want %x", a, b, got, want)
		}
	})
}
