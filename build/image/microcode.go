package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"hoopy/build/cpio"
	"hoopy/build/tree"
)

// microcodeDir is where the kernel looks before anything is unpacked
// (Documentation/arch/x86/microcode.rst).
const microcodeDir = "kernel/x86/microcode"

var microcodeFiles = []string{"AuthenticAMD.bin", "GenuineIntel.bin"}

// microcode makes the archive that has to come first, not compressed, of what
// packages bring: boot/*-ucode.img, which are such archives, or the files
// themselves. It is nil when there is none.
func microcode(t *tree.Tree) ([]byte, error) {
	found := map[string][]byte{}
	for _, name := range microcodeFiles {
		if e, ok := t.Get(microcodeDir + "/" + name); ok && e.Mode.IsRegular() {
			data, err := t.ReadFile(e.Path)
			if err != nil {
				return nil, err
			}
			found[name] = data
		}
	}
	for e := range t.Walk() {
		if !strings.HasPrefix(e.Path, "boot/") || !strings.HasSuffix(e.Path, "-ucode.img") || !e.Mode.IsRegular() {
			continue
		}
		data, err := t.ReadFile(e.Path)
		if err != nil {
			return nil, err
		}
		if err := readMicrocode(data, found); err != nil {
			return nil, fmt.Errorf("microcode %s (%s): %w", e.Path, e.Source, err)
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	for dir := range strings.SplitSeq("kernel kernel/x86 "+microcodeDir, " ") {
		if err := w.Add(cpio.Header{Name: dir, Mode: cpio.TypeDir | 0o755}, nil); err != nil {
			return nil, err
		}
	}
	for _, name := range microcodeFiles {
		data, ok := found[name]
		if !ok {
			continue
		}
		h := cpio.Header{Name: microcodeDir + "/" + name, Mode: cpio.TypeRegular | 0o644, Size: uint32(len(data)), Align: 16}
		if err := w.Add(h, bytes.NewReader(data)); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// readMicrocode adds the files of one archive.
func readMicrocode(data []byte, found map[string][]byte) error {
	n := 0
	for r := cpio.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name, ok := strings.CutPrefix(h.Name, microcodeDir+"/")
		if !ok || h.Type() != cpio.TypeRegular {
			continue
		}
		if found[name], err = io.ReadAll(r); err != nil {
			return err
		}
		n++
	}
	if n == 0 {
		return errors.New("holds no " + microcodeDir)
	}
	return nil
}
