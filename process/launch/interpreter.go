package launch

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
)

// interpreter is what execve(2) would start to run file: the word after #!, or
// the program interpreter of an ELF file (elf(5), PT_INTERP). Empty: none.
func interpreter(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, 4096)
	n, _ := f.Read(b)
	return parseInterpreter(b[:n])
}

func parseInterpreter(b []byte) string {
	if line, ok := bytes.CutPrefix(b, []byte("#!")); ok {
		line, _, _ = bytes.Cut(line, []byte("\n"))
		if words := strings.Fields(string(line)); len(words) > 0 {
			return words[0]
		}
		return ""
	}
	// 64 bit, little endian; program headers follow the header.
	if len(b) < 64 || !bytes.HasPrefix(b, []byte("\x7fELF\x02\x01")) {
		return ""
	}
	le := binary.LittleEndian
	off, size, count := le.Uint64(b[32:]), uint64(le.Uint16(b[54:])), uint64(le.Uint16(b[56:]))
	const interp = 3
	for i := range count {
		at := off + i*size
		if size < 56 || at > uint64(len(b)) || at+56 > uint64(len(b)) {
			return ""
		}
		h := b[at:]
		if le.Uint32(h) != interp {
			continue
		}
		from, n := le.Uint64(h[8:]), le.Uint64(h[32:])
		if n == 0 || from > uint64(len(b)) || n > uint64(len(b))-from {
			return ""
		}
		return string(bytes.TrimRight(b[from:from+n], "\x00"))
	}
	return ""
}
