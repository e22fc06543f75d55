package devices

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// laySys lays a tree of testdata/hardware below sys: "-> PATH" is a link,
// "hex: …" bytes, "ata: MODEL/SERIAL/FIRMWARE/WWN" a page 89h (the last may lack).
func laySys(t testing.TB, sys string, files []txtar.File) {
	t.Helper()
	for _, f := range files {
		path := filepath.Join(sys, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		text := strings.TrimSuffix(string(f.Data), "\n")
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(filepath.Join(sys, to), path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if digits, ok := strings.CutPrefix(text, "hex: "); ok {
			b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		if names, ok := strings.CutPrefix(text, "ata: "); ok {
			n := strings.Split(names, "/")
			page := ataPage(n[0], n[1], n[2])
			if len(n) > 3 {
				wwn, err := hex.DecodeString(n[3])
				if err != nil {
					t.Fatal(err)
				}
				for i := range wwn { // words 108 to 111
					page[60+2*108+i^1] = wwn[i]
				}
			}
			text = string(page)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// ataPage makes a page 89h as libata does.
func ataPage(model, serial, firmware string) []byte {
	page := make([]byte, 572)
	page[1], page[2], page[3] = 0x89, 2, 0x38
	put := func(word, words int, text string) {
		text = pad(text, 2*words)
		for i := range words {
			page[60+2*(word+i)], page[60+2*(word+i)+1] = text[2*i+1], text[2*i]
		}
	}
	put(10, 10, serial)
	put(23, 4, firmware)
	put(27, 20, model)
	return page
}

// TestHardware holds the names of disks of each kind against those that Debian's
// udev gives to the same.
func TestHardware(t *testing.T) {
	archives, err := filepath.Glob("testdata/hardware/*.txtar")
	if err != nil || len(archives) < 13 {
		t.Fatal(archives, err)
	}
	for _, name := range archives {
		t.Run(filepath.Base(name), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sys := t.TempDir()
			laySys(t, sys, a.Files[2:])
			node, path, _ := strings.Cut(strings.TrimSpace(string(a.Files[1].Data)), " ")
			up := chain(sys, "/"+path)
			props, got := hardware(sys, Uevent{DevName: node, DevPath: "/" + path}, up)
			id, compat := pathID(up)
			for _, p := range []string{id, compat} {
				if p != "" {
					got = append(got, p)
				}
			}
			var want []string
			for line := range strings.SplitSeq(strings.TrimSpace(string(a.Files[0].Data)), "\n") {
				if key, value, ok := strings.Cut(line, "="); !ok {
					want = append(want, line)
				} else if props[key] != value {
					t.Errorf("%s=%q, want %q", key, props[key], value)
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "  ": "", " WDC  WD40 ": "WDC_WD40", "a/b\"c": "a_b_c", "é x": "é_x", "\xffx": "_x", "a:b=c@d": "a:b=c@d", `dark\x20side`: `dark\x20side`, `a\b\x`: `a_b\x`,
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzIdentify(f *testing.F) {
	f.Add(ataPage("QEMU HARDDISK", "QM00001", "2.5+"), []byte{0, 0x83, 0, 12, 1, 3, 0, 8, 0x50, 0, 0xc5, 0, 1, 2, 3, 4})
	f.Add([]byte{0, 0x80, 0, 1, 'x'}, []byte{0, 0x83, 0xff, 0xff, 2, 0, 0, 0xff, 1})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		id, _ := identifyATA(a)
		s := identifySCSI("QEMU", "HARDDISK", a, b)
		for _, name := range []string{id.model, id.serial, s.id, s.short, s.serial, s.wwnLong} {
			if strings.ContainsAny(name, "/ \n\x00") {
				t.Errorf("%q is no name", name)
			}
		}
	})
}
