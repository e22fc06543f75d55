package modindex

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sampleTrie() *trie {
	t := &trie{}
	t.insert("pci:v00001AF4d*sv*sd*bc*sc*i*", "virtio_pci", 3)
	t.insert("pci:v*d*sv*sd*bc02sc00i*", "generic_net", 9)
	t.insert("pci:v00001AF4d0000[0-9]*", "set", 1)
	t.insert("pci:v00001AF5", "other", 4)
	t.insert("fs_ext4", "ext4", 7)
	t.insert("fs_ext", "short", 8)
	t.insert("fs_ext4", "ext4_again", 2)
	t.insert("input:b*v*p*e*_e*1,*", "evdev", 5)
	t.insert("?x", "question", 6)
	return t
}

func names(values []Value) (out []string) {
	for _, v := range values {
		out = append(out, v.Text)
	}
	return out
}

func TestSearch(t *testing.T) {
	x, err := Parse(sampleTrie().bytes())
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string][]string{
		"pci:v00001AF4d00001000sv0sd0bc02sc00i00": {"set", "virtio_pci", "generic_net"},
		"pci:v00001AF5":   {"other"},
		"pci:v00001AF5d1": nil,
		"fs-ext4":         {"ext4_again", "ext4"},
		"fs_ext":          {"short"},
		"fs_e":            nil,
		"input:b0019v0000p0001e0000-e0,1,k74,ramlsfw": {"evdev"},
		"/x": {"question"},
		"":   nil,
	} {
		if d := cmp.Diff(want, names(x.Search(key))); d != "" {
			t.Errorf("Search(%q): %s", key, d)
		}
	}
	if v, ok := x.Get("fs_ext4"); !ok || v != "ext4_again" {
		t.Errorf("Get: %q, %v", v, ok)
	}
	if v, ok := x.Get("fs_ex"); ok {
		t.Errorf("Get of an inner node: %q", v)
	}
	keys := 0
	for range x.All {
		keys++
	}
	if keys != 9 {
		t.Errorf("All gives %d values of 9", keys)
	}
	for range x.All {
		break
	}
}

func TestEmpty(t *testing.T) {
	x, err := Parse((&trie{}).bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []*Index{x, nil} {
		if v := x.Search("a"); v != nil {
			t.Errorf("Search: %v", v)
		}
		if v, ok := x.Get("a"); ok {
			t.Errorf("Get: %q", v)
		}
	}
	if _, err := Parse([]byte("no index at all")); !errors.Is(err, ErrFormat) {
		t.Errorf("Parse: %v", err)
	}
}

// TestCycle looks up in a file whose node is its own child.
func TestCycle(t *testing.T) {
	b := make([]byte, headerSize)
	binary.BigEndian.PutUint32(b, magic)
	binary.BigEndian.PutUint32(b[4:], version)
	root := uint32(headerSize) | flagChilds | flagValues
	binary.BigEndian.PutUint32(b[8:], root)
	b = append(b, '*', '+')
	b = binary.BigEndian.AppendUint32(b, root)
	b = binary.BigEndian.AppendUint32(b, root)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = append(b, 0, 0, 0, 0, 'm', 0)
	x, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	x.Search("**++**++")
	x.Get("*******************")
	for range x.All {
	}
}

func FuzzIndex(f *testing.F) {
	good := sampleTrie().bytes()
	f.Add(good, "pci:v00001AF4d00001000sv0sd0bc02sc00i00")
	f.Add(good[:len(good)/2], "fs-ext4")
	f.Fuzz(func(t *testing.T, data []byte, key string) {
		if len(data) > 4096 || len(key) > 256 {
			t.Skip()
		}
		x, err := Parse(data)
		if err != nil {
			return
		}
		x.Search(key)
		x.Get(key)
		for range x.All {
		}
	})
}

// FuzzTrie holds what was written against what is read.
func FuzzTrie(f *testing.F) {
	f.Add("a", "ab", "abc")
	f.Add("fs_ext4", "fs_ext3", "")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		tr, want := &trie{}, map[string]string{}
		for i, key := range []string{a, b, c} {
			if indexNUL([]byte(key)) >= 0 || len(key) > 512 {
				t.Skip()
			}
			for _, r := range []byte(key) {
				if r >= 0x80 {
					t.Skip()
				}
			}
			tr.insert(key, fmt.Sprint(i), uint32(-i))
			want[key] = fmt.Sprint(i)
		}
		x, err := Parse(tr.bytes())
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := x.Get(a); !ok {
			t.Errorf("%q is missing, got %q", a, got)
		}
		for key := range want {
			if _, ok := x.Get(key); !ok {
				t.Errorf("%q is missing", key)
			}
		}
	})
}

func BenchmarkSearchSynthetic(b *testing.B) {
	t := &trie{}
	for i := range 20_000 {
		t.insert(fmt.Sprintf("pci:v%08Xd%08Xsv*sd*bc*sc*i*", i/200, i), "m", uint32(i))
	}
	x, err := Parse(t.bytes())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if len(x.Search("pci:v00000032d00002710sv00001AF4sd00000001bc02sc00i00")) != 1 {
			b.Fatal("not found")
		}
	}
}
