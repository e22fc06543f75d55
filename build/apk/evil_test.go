package apk

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// forge makes a package, well signed, whose data segment holds these headers.
func forge(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	return forgeData(t, forgeTar(t, headers...))
}

// forgeTar makes a segment of these headers, each with as many bytes as it says.
func forgeTar(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	data, err := segment(true, func(w *tar.Writer) error {
		for _, h := range headers {
			if h.Mode == 0 {
				h.Mode = 0o644
			}
			if err := w.WriteHeader(&h); err != nil {
				return err
			}
			if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// forgeData makes a package around a data segment.
func forgeData(t testing.TB, data []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(data)
	info := Info{Name: "evil", Version: "1", Arch: "x86_64", DataHash: hex.EncodeToString(sum[:])}
	control, err := segment(false, func(w *tar.Writer) error {
		return writeFile(w, ".PKGINFO", 0o644, testTime, info.format())
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := writeSigned(&b, testTime, control, testKey(), testKeyName); err != nil {
		t.Fatal(err)
	}
	b.Write(data)
	return b.Bytes()
}

func TestEvilArchives(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 1} }
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	hard := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to}
	}
	for _, tc := range []struct {
		name    string
		headers []tar.Header
		says    string // empty: is fine
	}{
		{"plain", []tar.Header{file("usr/a")}, ""},
		{"absolute name", []tar.Header{file("/etc/passwd")}, "not a plain path"},
		{"climbing name", []tar.Header{file("../etc/passwd")}, "not a plain path"},
		{"climbing in the middle", []tar.Header{file("usr/../../etc/passwd")}, "not a plain path"},
		{"dot", []tar.Header{file("usr/./a")}, "not a plain path"},
		{"empty component", []tar.Header{file("usr//a")}, "not a plain path"},
		{"twice", []tar.Header{file("usr/a"), file("usr/a")}, "there twice"},
		{"link inside", []tar.Header{link("usr/bin/a", "../../bin/b")}, ""},
		{"absolute link", []tar.Header{link("etc/mtab", "/proc/mounts")}, ""},
		{"link out of the tree", []tar.Header{link("usr/a", "../../etc/shadow")}, "leaves the tree"},
		{"link out and in again", []tar.Header{link("a", "../x")}, "leaves the tree"},
		{"link to nothing", []tar.Header{link("a", "")}, "link to"},
		{"hard link", []tar.Header{file("a"), hard("b", "a")}, ""},
		{"hard link out", []tar.Header{hard("b", "../a")}, "not a plain path"},
		{"hard link to absolute", []tar.Header{hard("b", "/etc/shadow")}, "not a plain path"},
		{"hard link to nothing", []tar.Header{hard("b", "a")}, "no file before it"},
		{"hard link to a link", []tar.Header{link("a", "c"), hard("b", "a")}, "no file before it"},
		{"device", []tar.Header{{Typeflag: tar.TypeBlock, Name: "dev/sda", Devmajor: 8}}, "a device node"},
		{"character device", []tar.Header{{Typeflag: tar.TypeChar, Name: "dev/mem", Devmajor: 1, Devminor: 1}}, "a device node"},
		{"fifo", []tar.Header{{Typeflag: tar.TypeFifo, Name: "f"}}, "neither file"},
		{"long name", []tar.Header{file(strings.Repeat("a/", 3000) + "b")}, "not a plain path"},
		{"control name", []tar.Header{file(".dummy")}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ReadArchive(forge(t, tc.headers...), testKeys())
			switch {
			case tc.says == "" && err != nil:
				t.Errorf("%v", err)
			case tc.says != "" && (!errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("%v; want %q", err, tc.says)
			}
		})
	}
}

func TestGzipBomb(t *testing.T) {
	for name, data := range map[string][]byte{
		"one member":  bomb(t),
		"many":        bytes.Repeat(bomb(t), 3),
		"behind more": append(forgeTar(t, tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 1}), bomb(t)...),
	} {
		_, err := ReadArchive(forgeData(t, data), testKeys())
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "unpacks to more than") {
			t.Errorf("%s: %d bytes that unpack to 80 MiB or more: %v", name, len(data), err)
		}
	}
	// and in place of a signature or of the control segment
	for _, data := range [][]byte{bomb(t), append(forgeTar(t, tar.Header{Typeflag: tar.TypeReg, Name: ".SIGN.RSA.x"}), bomb(t)...)} {
		if _, err := ReadArchive(data, testKeys()); !errors.Is(err, ErrFormat) {
			t.Errorf("%d bytes: %v", len(data), err)
		}
	}
}

// bomb is a gzip member that unpacks to more than freeRatio, at about 1:1000.
func bomb(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 80 {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestEvilControl: the control segment and the index are signed, but a key may
// be in wrong hands.
func TestEvilControl(t *testing.T) {
	type entry struct {
		name string
		kind byte
		text string
	}
	info := entry{".PKGINFO", tar.TypeReg, "pkgname = evil\npkgver = 1\n"}
	for _, tc := range []struct {
		name    string
		entries []entry
		says    string // empty: is fine
	}{
		{"plain", []entry{info}, ""},
		{"script", []entry{info, {".post-install", tar.TypeReg, "exit"}}, ""},
		{"nothing", nil, "no .PKGINFO"},
		{"info twice", []entry{info, info}, "there twice"},
		{"script twice", []entry{info, {".trigger", tar.TypeReg, "a"}, {".trigger", tar.TypeReg, "b"}}, "there twice"},
		{"info is a link", []entry{{".PKGINFO", tar.TypeSymlink, ""}}, "not a file"},
		{"script is a device", []entry{info, {".trigger", tar.TypeChar, ""}}, "not a file"},
		{"no name", []entry{{".PKGINFO", tar.TypeReg, "pkgver = 1\n"}}, "pkgname and pkgver"},
		{"size below zero", []entry{{".PKGINFO", tar.TypeReg, "pkgname = a\npkgver = 1\nsize = -1\n"}}, "no size"},
		{"a dependency that is none", []entry{{".PKGINFO", tar.TypeReg, "pkgname = a\npkgver = 1\ndepend = <<\n"}}, "dependency"},
		{"large", []entry{info, {".trigger", tar.TypeReg, strings.Repeat("x", maxControl)}}, "unpacks to more than"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			control, err := segment(false, func(w *tar.Writer) error {
				for _, e := range tc.entries {
					h := &tar.Header{Typeflag: e.kind, Name: e.name, Mode: 0o644, Size: int64(len(e.text)), Linkname: map[bool]string{true: "x"}[e.kind == tar.TypeSymlink]}
					if err := w.WriteHeader(h); err != nil {
						return err
					}
					if _, err := w.Write([]byte(e.text)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := writeSigned(&b, testTime, control, testKey(), testKeyName); err != nil {
				t.Fatal(err)
			}
			_, err = ReadArchive(b.Bytes(), testKeys())
			if tc.says == "" && err != nil || tc.says != "" && (!errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("%v; want %q", err, tc.says)
			}
		})
	}
}

func TestEvilIndex(t *testing.T) {
	entry := "C:Q1mcpyM8ftLHlvmaMjdLoBo6zq/Fo=\nP:a\nV:1\n\n"
	files := func(list ...string) []byte {
		data, err := segment(true, func(w *tar.Writer) error {
			for i := 0; i < len(list); i += 2 {
				if err := writeFile(w, list[i], 0o644, testTime, []byte(list[i+1])); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, tc := range []struct {
		name string
		body []byte
		says string // empty: is fine
	}{
		{"plain", files("DESCRIPTION", "x", "APKINDEX", entry), ""},
		{"without", files("DESCRIPTION", "x"), "no APKINDEX"},
		{"twice", files("APKINDEX", entry, "APKINDEX", entry), "there twice"},
		{"bomb", bomb(t), "more than an index may have"},
		{"bomb behind it", append(files("APKINDEX", entry), bomb(t)...), "more than an index may have"},
		{"something behind it", append(files("APKINDEX", entry), "junk"...), "gzip"},
		{"a line without end", files("APKINDEX", "P:"+strings.Repeat("x", maxIndexLine+1)), "too long"},
		{"a name with a slash", files("APKINDEX", strings.Replace(entry, "P:a", "P:../a", 1)), "slash"},
		{"a package without checksum", files("APKINDEX", "P:a\nV:1\n\n"), "no checksum"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := writeSigned(&b, testTime, tc.body, testKey(), testKeyName); err != nil {
				t.Fatal(err)
			}
			_, _, _, err := readIndex(b.Bytes(), testKeys())
			if tc.says == "" && err != nil || tc.says != "" && (!errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("%v; want %q", err, tc.says)
			}
		})
	}
}

func TestAbsurdSize(t *testing.T) {
	// a header that promises more than there is
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 1 << 40, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	if _, err := zw.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadArchive(forgeData(t, z.Bytes()), testKeys()); !errors.Is(err, ErrFormat) {
		t.Errorf("a terabyte in %d bytes: %v", z.Len(), err)
	}
}

func FuzzArchive(f *testing.F) {
	f.Add(packed(f, small("one")))
	f.Add(forge(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "../b"}))
	f.Add(forge(f, tar.Header{Typeflag: tar.TypeReg, Name: "/a", Size: 1}))
	f.Add([]byte("ADB.schm"))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ReadArchive(data, nil)
		if err != nil {
			return
		}
		for _, e := range a.Entries {
			if e.Path == "" || e.Path[0] == '/' || strings.Contains("/"+e.Path+"/", "/../") {
				t.Errorf("path %q got through", e.Path)
			}
		}
	})
}

// FuzzData goes where FuzzArchive hardly comes: behind the digests.
func FuzzData(f *testing.F) {
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeReg, Name: "usr/a", Size: 3, Mode: 0o4755},
		{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "../b"},
		{Typeflag: tar.TypeLink, Name: "a", Linkname: "b"},
		{Typeflag: tar.TypeDir, Name: "usr/"},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&h); err != nil {
			f.Fatal(err)
		}
		w.Write(make([]byte, h.Size))
		w.Close()
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := tarEntries(text, func(h *tar.Header, content []byte) error {
			e, err := entryOf(h, content)
			if err != nil {
				return err
			}
			if e.Path[0] == '/' || strings.Contains("/"+e.Path+"/", "/../") {
				t.Errorf("path %q got through", e.Path)
			}
			if e.Size != int64(len(content)) {
				t.Errorf("%q: size %d, content %d", e.Path, e.Size, len(content))
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrFormat) {
			t.Errorf("an error of another kind: %v", err)
		}
	})
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte("C:Q1mcpyM8ftLHlvmaMjdLoBo6zq/Fo=\nP:a\nV:1.0-r0\nA:x86_64\nS:1518\nI:4096\nt:1706291505\nD:b c>1\np:cmd:a=1\ni:x y\nk:10\n\n"))
	f.Add([]byte("P:a\nV:1\n\n"))
	f.Add([]byte("C:Q1\nS:-5\n"))
	f.Add([]byte("x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		pkgs, err := parseIndex(bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrFormat) && !strings.Contains(err.Error(), "parsing") {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		var b bytes.Buffer
		for _, p := range pkgs {
			p.format(&b)
		}
		again, err := parseIndex(&b)
		if err != nil || len(again) != len(pkgs) {
			t.Errorf("written back: %d packages of %d, %v", len(again), len(pkgs), err)
		}
	})
}
