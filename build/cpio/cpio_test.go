package cpio

import (
	"bytes"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type item struct {
	Header
	Body string
}

func pack(t testing.TB, items []item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, it := range items {
		if err := w.Add(it.Header, strings.NewReader(it.Body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.n != int64(b.Len()) || b.Len()%4 != 0 {
		t.Fatalf("it counts %d, %d bytes written", w.n, b.Len())
	}
	return b.Bytes()
}

func unpack(r io.Reader) ([]item, error) {
	var items []item
	rd := NewReader(r)
	for {
		h, err := rd.Next()
		if err == io.EOF {
			return items, nil
		}
		if err != nil {
			return items, err
		}
		body, err := io.ReadAll(rd)
		if err != nil {
			return items, err
		}
		items = append(items, item{h, string(body)})
	}
}

func sample() []item {
	return []item{
		{Header{Name: ".", Mode: TypeDir | 0o755, Nlink: 2, Ino: 1}, ""},
		{Header{Name: "a", Mode: TypeRegular | 0o4755, UID: 7, GID: 42, MTime: 1e9, Size: 5, Nlink: 1, Ino: 2}, "hello"},
		{Header{Name: "dev", Mode: TypeDir | 0o1777, Nlink: 2, Ino: 3}, ""},
		{Header{Name: "dev/null", Mode: TypeChar | 0o666, Major: 1, Minor: 3, Nlink: 1, Ino: 4}, ""},
		{Header{Name: "h1", Mode: TypeRegular | 0o644, Nlink: 2, Ino: 5}, ""},
		{Header{Name: "h2", Mode: TypeRegular | 0o644, Nlink: 2, Ino: 5, Size: 3}, "abc"},
		{Header{Name: "l", Mode: TypeSymlink | 0o777, Size: 1, Nlink: 1, Ino: 6}, "a"},
	}
}

func TestRoundTrip(t *testing.T) {
	want := sample()
	got, err := unpack(bytes.NewReader(pack(t, want)))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

func TestChosenNumbers(t *testing.T) {
	items := sample()
	for i := range items {
		if items[i].Name[0] != 'h' {
			items[i].Ino, items[i].Nlink = 0, 0
		}
	}
	got, err := unpack(bytes.NewReader(pack(t, items)))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample(), got); d != "" {
		t.Fatal(d)
	}
}

func TestRefused(t *testing.T) {
	reg := uint32(TypeRegular | 0o644)
	for name, tc := range map[string]struct {
		items []item
		want  string
	}{
		"absolute":  {[]item{{Header{Name: "/a", Mode: reg}, ""}}, "not relative"},
		"dotdot":    {[]item{{Header{Name: "../a", Mode: reg}, ""}}, "not relative"},
		"unclean":   {[]item{{Header{Name: "a//b", Mode: reg}, ""}}, "not relative"},
		"empty":     {[]item{{Header{Mode: reg}, ""}}, "not a name"},
		"trailer":   {[]item{{Header{Name: trailer, Mode: reg}, ""}}, "not a name"},
		"nul":       {[]item{{Header{Name: "a\x00b", Mode: reg}, ""}}, "NUL"},
		"long":      {[]item{{Header{Name: strings.Repeat("a", 4096), Mode: reg}, ""}}, "4096 bytes"},
		"no type":   {[]item{{Header{Name: "a", Mode: 0o644}, ""}}, "no type"},
		"orphan":    {[]item{{Header{Name: "a/b", Mode: reg}, ""}}, `directory "a" was not`},
		"in file":   {[]item{{Header{Name: "a", Mode: reg}, ""}, {Header{Name: "a/b", Mode: reg}, ""}}, `directory "a" was not`},
		"twice":     {[]item{{Header{Name: "a", Mode: reg}, ""}, {Header{Name: "a", Mode: reg}, ""}}, "twice"},
		"short":     {[]item{{Header{Name: "a", Mode: reg, Size: 3}, "ab"}}, "ends after 2 of 3"},
		"long body": {[]item{{Header{Name: "a", Mode: reg, Size: 3}, "abcd"}}, "goes on after 3"},
		"dir body":  {[]item{{Header{Name: "a", Mode: TypeDir, Size: 3}, "abc"}}, "no content"},
	} {
		t.Run(name, func(t *testing.T) {
			w := NewWriter(io.Discard)
			var err error
			for _, it := range tc.items {
				err = w.Add(it.Header, strings.NewReader(it.Body))
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			if w.Close() == nil {
				t.Fatal("Close after an error succeeded")
			}
		})
	}
}

func TestAlign(t *testing.T) {
	for pad := range 20 {
		first := item{Header{Name: "a", Mode: TypeRegular, Size: uint32(pad)}, strings.Repeat("x", pad)}
		second := item{Header{Name: "b", Mode: TypeRegular, Size: 5, Align: 16}, "hello"}
		data := pack(t, []item{first, second})
		if at := bytes.Index(data, []byte("hello")); at%16 != 0 {
			t.Errorf("content at %d", at)
		}
		if got, err := unpack(bytes.NewReader(data)); err != nil || len(got) != 2 || got[1].Name != "b" || got[1].Body != "hello" {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if err := NewWriter(io.Discard).Add(Header{Name: "a", Mode: TypeRegular, Align: 24}, nil); err == nil {
		t.Error("alignment 24 passed")
	}
}

// A cut at any byte must be told, never taken for a whole archive.
func TestCutOff(t *testing.T) {
	whole := pack(t, sample())
	end := len(whole) - len(pack(t, nil)) + headerSize + len(trailer) + 1
	for n := range end {
		if _, err := unpack(bytes.NewReader(whole[:n])); err == nil {
			t.Fatalf("%d of %d bytes were taken for an archive", n, len(whole))
		}
	}
}

func TestAgainstCpio(t *testing.T) {
	tool, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("no cpio(1) here to compare with")
	}
	items := sample()
	if os.Geteuid() != 0 {
		items = append(items[:2:2], items[4:]...) // device nodes need root
	}
	dir := t.TempDir()
	cmd := exec.Command(tool, "-id", "--quiet", "--no-preserve-owner")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(pack(t, items))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var first, second syscall.Stat_t
	for name, st := range map[string]*syscall.Stat_t{"h1": &first, "h2": &second} {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(body) != "abc" {
			t.Fatalf("%s: %q, %v", name, body, err)
		}
		if err := syscall.Stat(filepath.Join(dir, name), st); err != nil {
			t.Fatal(err)
		}
	}
	if first.Ino != second.Ino {
		t.Fatal("h1 and h2 are two files")
	}
	if target, err := os.Readlink(filepath.Join(dir, "l")); err != nil || target != "a" {
		t.Fatalf("l: %q, %v", target, err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(pack(f, sample()))
	f.Add(pack(f, nil))
	f.Add([]byte(magic + strings.Repeat("f", 104)))
	f.Fuzz(func(t *testing.T, data []byte) {
		items, err := unpack(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, it := range items {
			if len(it.Body) != int(it.Size) || it.Size == math.MaxUint32 {
				t.Fatalf("%q: %d bytes, size %d", it.Name, len(it.Body), it.Size)
			}
		}
	})
}
