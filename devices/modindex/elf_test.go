package modindex

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// elfModule makes the smallest ELF object that Info takes: .modinfo, the export
// strings and a symbol table of undefined names.
func elfModule(modinfo, exports, imports []string) []byte {
	le := binary.LittleEndian
	join := func(list []string) []byte {
		if len(list) == 0 {
			return nil
		}
		return []byte(strings.Join(list, "\x00") + "\x00")
	}
	strtab, symtab := []byte{0}, make([]byte, 24)
	for _, name := range imports {
		var sym [24]byte
		le.PutUint32(sym[:], uint32(len(strtab)))
		strtab = append(append(strtab, name...), 0)
		symtab = append(symtab, sym[:]...)
	}
	names := []string{"", ".modinfo", "__ksymtab_strings", ".symtab", ".strtab", ".shstrtab"}
	content := [][]byte{nil, join(modinfo), join(exports), symtab, strtab, join(names)}
	file := make([]byte, 64)
	table := make([]byte, 64*len(names))
	nameAt := 0
	for i, c := range content {
		h := table[64*i:]
		le.PutUint32(h, uint32(nameAt))
		le.PutUint64(h[24:], uint64(len(file)))
		le.PutUint64(h[32:], uint64(len(c)))
		nameAt += len(names[i]) + 1
		file = append(file, c...)
	}
	copy(file, "\x7fELF\x02\x01\x01")
	le.PutUint64(file[40:], uint64(len(file)))
	le.PutUint16(file[58:], 64)
	le.PutUint16(file[60:], uint16(len(names)))
	le.PutUint16(file[62:], uint16(len(names)-1))
	return append(file, table...)
}

func TestInfo(t *testing.T) {
	data := elfModule([]string{
		"name=e1000e", "alias=pci:v00008086d0000105E*", "alias=x", "depends=ptp,pps-core", "depends=",
		"softdep=pre: a post: b", "firmware=e1000e/fw.bin", "license=GPL", "noequals",
	}, []string{"e1000e_up"}, []string{"ptp_clock_register", "printk"})
	got, err := Info(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	want := &Modinfo{
		Name: "e1000e", Alias: []string{"pci:v00008086d0000105E*", "x"}, Depends: []string{"ptp", "pps_core"},
		Softdep: []string{"pre: a post: b"}, Firmware: []string{"e1000e/fw.bin"},
		Exports: []string{"e1000e_up"}, Imports: []string{"ptp_clock_register", "printk"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestBuiltin(t *testing.T) {
	got := Builtin([]byte("b-c.alias=x\x00a.firmware=fw.bin\x00b-c.license=GPL v2.0\x00odd\x00x=y.z\x00b-c.alias=y\x00"))
	want := []*Modinfo{{Name: "b_c", Alias: []string{"x", "y"}}, {Name: "a", Firmware: []string{"fw.bin"}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestInfoRefuses(t *testing.T) {
	good := elfModule([]string{"name=x"}, nil, nil)
	elf32 := bytes.Clone(good)
	elf32[4] = 1
	for name, data := range map[string][]byte{
		"empty": nil, "gzip": {0x1f, 0x8b, 8, 0}, "32 bit": elf32, "truncated": good[:len(good)-1],
		"header only": good[:64],
	} {
		if _, err := Info(bytes.NewReader(data)); !errors.Is(err, ErrModule) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzInfo(f *testing.F) {
	f.Add(elfModule([]string{"name=x", "alias=y"}, []string{"a"}, []string{"b"}))
	f.Add([]byte("\x7fELF\x02\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := Info(bytes.NewReader(data)); (m == nil) == (err == nil) {
			t.Errorf("%v, %v", m, err)
		}
	})
}
