package modindex

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// Modinfo is what a module says of itself in its .modinfo section, in file
// order. Absent fields are empty.
type Modinfo struct {
	Name     string   // as the kernel calls it; empty before Linux 4.13
	Alias    []string // not normalised
	Depends  []string // direct dependencies by name, from modpost
	Softdep  []string // "pre: a b post: c"
	Firmware []string // paths below /lib/firmware
	Exports  []string // not in .modinfo: symbols offered to other modules
	Imports  []string // not in .modinfo: undefined symbols
}

// ErrModule is returned by Info for a file that is no 64-bit little-endian ELF
// object with a .modinfo section. Compressed modules belong to these.
var ErrModule = errors.New("not a 64-bit little-endian kernel module")

// maxSection bounds what is read of a section, in bytes. The largest symbol
// table of Debian's 6.1 modules has 0.6 MB.
const maxSection = 64 << 20

// Info reads the ELF object r. Errors are ErrModule, or what r gives.
func Info(r io.ReaderAt) (*Modinfo, error) {
	sections, err := elfSections(r)
	if err != nil {
		return nil, err
	}
	info, ok := sections[".modinfo"]
	if !ok {
		return nil, ErrModule
	}
	text, err := info.read(r)
	if err != nil {
		return nil, err
	}
	m := &Modinfo{}
	for field := range strings.SplitSeq(string(text), "\x00") {
		m.add(field)
	}
	if err := m.symbols(r, sections); err != nil {
		return nil, err
	}
	return m, nil
}

// add takes one "key=value" of the section.
func (m *Modinfo) add(field string) {
	key, value, ok := strings.Cut(field, "=")
	if !ok {
		return
	}
	switch key {
	case "name":
		m.Name = value
	case "alias":
		m.Alias = append(m.Alias, value)
	case "softdep":
		m.Softdep = append(m.Softdep, value)
	case "firmware":
		m.Firmware = append(m.Firmware, value)
	case "depends":
		for d := range strings.SplitSeq(value, ",") {
			if d != "" {
				m.Depends = append(m.Depends, ModuleName(d))
			}
		}
	}
}

// Builtin reads modules.builtin.modinfo, NUL-separated "module.key=value", and
// returns what each module of the kernel itself says, in file order: its
// firmware belongs into an image, too.
func Builtin(modinfo []byte) []*Modinfo {
	var out []*Modinfo
	byName := map[string]*Modinfo{}
	for field := range strings.SplitSeq(string(modinfo), "\x00") {
		name, rest, ok := strings.Cut(field, ".")
		if !ok || strings.Contains(name, "=") {
			continue
		}
		name = ModuleName(name)
		m := byName[name]
		if m == nil {
			m = &Modinfo{Name: name}
			byName[name] = m
			out = append(out, m)
		}
		m.add(rest)
	}
	return out
}

// symbols fills Imports from the symbol table and Exports from the strings of
// the kernel's own export table.
func (m *Modinfo) symbols(r io.ReaderAt, sections map[string]section) error {
	if s, ok := sections["__ksymtab_strings"]; ok {
		text, err := s.read(r)
		if err != nil {
			return err
		}
		for name := range strings.SplitSeq(string(text), "\x00") {
			if name != "" {
				m.Exports = append(m.Exports, name)
			}
		}
	}
	table, ok := sections[".symtab"]
	names, ok2 := sections[".strtab"]
	if !ok || !ok2 {
		return nil
	}
	sym, err := table.read(r)
	if err != nil {
		return err
	}
	str, err := names.read(r)
	if err != nil {
		return err
	}
	const size, undefined = 24, 0
	for ; len(sym) >= size; sym = sym[size:] {
		name := stringAt(str, binary.LittleEndian.Uint32(sym))
		if name != "" && binary.LittleEndian.Uint16(sym[6:]) == undefined {
			m.Imports = append(m.Imports, name)
		}
	}
	return nil
}

// section is the place of an ELF section in its file.
type section struct{ off, size uint64 }

func (s section) read(r io.ReaderAt) ([]byte, error) {
	if s.size > maxSection || s.off > 1<<62 {
		return nil, ErrModule
	}
	b := make([]byte, s.size)
	return b, readFull(r, b, int64(s.off))
}

// elfSections reads the section table; of equal names the first counts.
func elfSections(r io.ReaderAt) (map[string]section, error) {
	var h [64]byte
	if err := readFull(r, h[:], 0); err != nil {
		return nil, err
	}
	if string(h[:6]) != "\x7fELF\x02\x01" {
		return nil, ErrModule
	}
	le := binary.LittleEndian
	off, size, count, names := le.Uint64(h[40:]), le.Uint16(h[58:]), le.Uint16(h[60:]), le.Uint16(h[62:])
	if size != 64 || names >= count || off > 1<<62 {
		return nil, ErrModule
	}
	table := make([]byte, 64*int(count))
	if err := readFull(r, table, int64(off)); err != nil {
		return nil, err
	}
	at := func(i int) section {
		return section{le.Uint64(table[64*i+24:]), le.Uint64(table[64*i+32:])}
	}
	strs, err := at(int(names)).read(r)
	if err != nil {
		return nil, err
	}
	out := make(map[string]section, count)
	for i := range int(count) {
		name := stringAt(strs, le.Uint32(table[64*i:]))
		if _, dup := out[name]; !dup {
			out[name] = at(i)
		}
	}
	return out, nil
}

// readFull reads all of b at off; a file that ends before is no module.
func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		return ErrModule
	}
	return err
}

func stringAt(table []byte, off uint32) string {
	if uint64(off) >= uint64(len(table)) {
		return ""
	}
	b := table[off:]
	if end := indexNUL(b); end >= 0 {
		b = b[:end]
	}
	return string(b)
}

// ModuleName turns a file name or a name as people write it into the kernel's
// name of the module: folder and .ko, .ko.gz, .ko.xz, .ko.zst are cut off, '-'
// becomes '_'.
func ModuleName(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	if i := strings.Index(name, ".ko"); i > 0 {
		if rest := name[i+3:]; rest == "" || rest[0] == '.' {
			name = name[:i]
		}
	}
	return strings.ReplaceAll(name, "-", "_")
}
