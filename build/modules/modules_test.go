package modules

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"hoopy/build/tree"
	"hoopy/devices/modindex"
)

// ko makes the smallest file that is a kernel module with these facts.
func ko(facts ...string) []byte {
	le := binary.LittleEndian
	names := "\x00.modinfo\x00.shstrtab\x00"
	info := strings.Join(facts, "\x00") + "\x00"
	file := make([]byte, 64)
	table := make([]byte, 3*64)
	section := func(i, name int, content string) {
		le.PutUint32(table[64*i:], uint32(name))
		le.PutUint32(table[64*i+4:], 1)
		le.PutUint64(table[64*i+24:], uint64(len(file)))
		le.PutUint64(table[64*i+32:], uint64(len(content)))
		file = append(file, content...)
	}
	section(1, 1, info)
	section(2, 10, names)
	copy(file, "\x7fELF\x02\x01\x01")
	le.PutUint64(file[40:], uint64(len(file)))
	le.PutUint16(file[58:], 64)
	le.PutUint16(file[60:], 3)
	le.PutUint16(file[62:], 2)
	return append(file, table...)
}

func gz(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func zst(data []byte) []byte {
	var b bytes.Buffer
	w, _ := zstd.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func xzed(data []byte) []byte {
	var b bytes.Buffer
	w, _ := xz.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

const base = "lib/modules/6.1.0/"

func kernel(t *testing.T, extra map[string][]byte) *tree.Tree {
	t.Helper()
	files := map[string][]byte{
		"kernel/fs/ext4/ext4.ko.gz":      gz(ko("name=ext4", "depends=jbd2,crc16", "softdep=pre: crc32c-x", "alias=fs-ext4")),
		"kernel/fs/jbd2/jbd2.ko.xz":      xzed(ko("name=jbd2", "depends=")),
		"kernel/lib/crc16.ko":            ko("name=crc16", "depends="),
		"kernel/arch/crc32c-x.ko.zst":    zst(ko("name=crc32c_x", "depends=")),
		"kernel/drivers/net/e1000.ko.gz": gz(ko("name=e1000", "depends=")),
		"kernel/drivers/net/igb/igb.ko":  ko("name=igb", "depends="),
		"modules.order":                  []byte("kernel/lib/crc16.ko\n"),
		"modules.builtin":                []byte("kernel/fs/proc.ko\n"),
		"modules.alias":                  []byte("stale"),
		"modules.symbols.bin":            []byte("stale"),
	}
	for name, data := range extra {
		files[name] = data
	}
	tr := tree.New()
	for name, data := range files {
		if err := tr.MkdirAll(base+name[:strings.LastIndexByte("/"+name, '/')], 0o755); err != nil {
			t.Fatal(err)
		}
		if err := tr.Add(&tree.Entry{Path: tree.Clean(base + name), Mode: 0o644, Size: int64(len(data)), Open: tree.Bytes(data), Source: "linux"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Symlink("/usr/src/linux", base+"build"); err != nil {
		t.Fatal(err)
	}
	return tr
}

func names(tr *tree.Tree) (out []string) {
	for e := range tr.Walk() {
		if rel, ok := strings.CutPrefix(e.Path, base); ok && e.Mode.IsRegular() && strings.HasPrefix(rel, "kernel/") {
			out = append(out, strings.TrimPrefix(rel, "kernel/"))
		}
	}
	return out
}

func TestApply(t *testing.T) {
	ext4 := []string{"arch/crc32c-x.ko", "fs/ext4/ext4.ko", "fs/jbd2/jbd2.ko", "lib/crc16.ko"}
	for name, tc := range map[string]struct {
		policy    Policy
		want      []string
		unmatched []string
	}{
		"closure": {Policy{Patterns: []string{"ext4"}}, ext4, nil},
		"dash":    {Policy{Patterns: []string{"crc32c_x"}}, []string{"arch/crc32c-x.ko"}, nil},
		"glob":    {Policy{Patterns: []string{"e*0"}}, []string{"drivers/net/e1000.ko"}, nil},
		"folder":  {Policy{Patterns: []string{"drivers/net/", "nosuch", "proc"}}, []string{"drivers/net/e1000.ko", "drivers/net/igb/igb.ko"}, []string{"nosuch"}},
		"all":     {Policy{All: true}, []string{"arch/crc32c-x.ko", "drivers/net/e1000.ko", "drivers/net/igb/igb.ko", "fs/ext4/ext4.ko", "fs/jbd2/jbd2.ko", "lib/crc16.ko"}, nil},
		"nothing": {Policy{}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tr := kernel(t, nil)
			r, err := Apply(tr, tc.policy)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, names(tr)); d != "" {
				t.Error(d)
			}
			if r.Release != "6.1.0" || r.Total != 6 || r.Kept != len(tc.want) || !slices.Equal(r.Unmatched, tc.unmatched) {
				t.Errorf("%+v", r)
			}
			for _, gone := range []string{"build", "modules.symbols.bin", "modules.order"} {
				if _, ok := tr.Get(base + gone); ok {
					t.Errorf("%s is still there", gone)
				}
			}
			if _, ok := tr.Get(base + "kernel"); ok != (len(tc.want) > 0) {
				t.Errorf("folder kernel: %v", ok)
			}
		})
	}
}

func TestContentAndIndex(t *testing.T) {
	tr := kernel(t, nil)
	r, err := Apply(tr, Policy{Patterns: []string{"ext4"}})
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for e := range tr.Walk() {
		if !strings.HasSuffix(e.Path, ".ko") {
			continue
		}
		c, err := tr.Content(e)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(c)
		if err != nil || int64(len(data)) != e.Size || !bytes.HasPrefix(data, []byte("\x7fELF")) || e.Source != "linux" {
			t.Errorf("%s: %d bytes of %d, from %q, %v", e.Path, len(data), e.Size, e.Source, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		size += e.Size
	}
	if r.Size != size {
		t.Errorf("size %d, want %d", r.Size, size)
	}
	data, err := tr.ReadFile(base + "modules.alias.bin")
	if err != nil {
		t.Fatal(err)
	}
	x, err := modindex.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if hits := x.Search("fs-ext4"); len(hits) != 1 || hits[0].Text != "ext4" {
		t.Errorf("fs-ext4 is %v", hits)
	}
}

func TestNoModules(t *testing.T) {
	if r, err := Apply(tree.New(), Policy{All: true}); err != nil || r.Release != "" {
		t.Fatal(r, err)
	}
}

func TestMistakes(t *testing.T) {
	for name, tc := range map[string]struct {
		path string
		data []byte
		want string
	}{
		"twice":       {"extra/ext4.ko", ko("name=ext4"), "module ext4: laid twice"},
		"no elf":      {"kernel/a.ko", []byte("hello"), "module kernel/a.ko (linux): not a 64-bit"},
		"no gzip":     {"kernel/a.ko.gz", []byte("hello, hello"), "module kernel/a.ko (linux): gzip"},
		"cut gzip":    {"kernel/a.ko.gz", gz(ko("name=a"))[:40], "module kernel/a.ko (linux): unexpected EOF"},
		"two kernels": {"../6.2.0/kernel/a.ko", ko("name=a"), "of two kernels, 6.1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Apply(kernel(t, map[string][]byte{tc.path: tc.data}), Policy{All: true})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("%v, want %q", err, tc.want)
			}
		})
	}
}
