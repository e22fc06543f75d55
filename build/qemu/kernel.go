package qemu

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Kernel returns the file to give to -kernel for the kernel at path.
//
// A bzImage with an xz payload (Debian's) is unpacked once to the ELF image
// that lies in it, kept in the user's cache folder under the SHA-256 of the
// bzImage, so a boot under emulation spares the seconds that the guest would
// spend on that. This needs the kernel's PVH entry (CONFIG_PVH); without it,
// and for any other format, the answer is path itself. An xz payload that
// cannot be unpacked is an error: the guest could not boot it either.
//
// Source: Documentation/arch/x86/boot.rst (payload_offset, payload_length).
func Kernel(path string) (string, error) {
	return kernelIn(path, cacheFile("vmlinux"))
}

func kernelIn(path, cache string) (string, error) {
	image, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("kernel: %w", err)
	}
	packed := xzPayload(image)
	if packed == nil || cache == "" {
		return path, nil
	}
	sum := sha256.Sum256(image)
	out := filepath.Join(cache, hex.EncodeToString(sum[:]))
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	vmlinux, err := unxz(packed)
	if err != nil {
		return "", fmt.Errorf("kernel %q: %w", path, err)
	}
	if !hasPVH(vmlinux) {
		return path, nil
	}
	if err := writeBeside(out, vmlinux); err != nil {
		return "", fmt.Errorf("kernel: %w", err)
	}
	return out, nil
}

// xzPayload returns the xz stream in a bzImage, or nil if image is no bzImage
// or is compressed otherwise.
func xzPayload(image []byte) []byte {
	const header = 0x250 // end of payload_length
	if len(image) < header || string(image[0x202:0x206]) != "HdrS" ||
		binary.LittleEndian.Uint16(image[0x206:]) < 0x208 {
		return nil
	}
	sectors := uint64(image[0x1f1])
	if sectors == 0 {
		sectors = 4
	}
	start := (sectors+1)*512 + uint64(binary.LittleEndian.Uint32(image[0x248:]))
	end := start + uint64(binary.LittleEndian.Uint32(image[0x24c:]))
	if end > uint64(len(image)) || !bytes.HasPrefix(image[start:end], []byte(xzMagic)) {
		return nil
	}
	return image[start:end]
}

// hasPVH reports whether an ELF kernel carries the note XEN_ELFNOTE_PHYS32_ENTRY,
// which is how qemu finds its entry point.
func hasPVH(vmlinux []byte) bool {
	const phys32Entry = 18
	f, err := elf.NewFile(bytes.NewReader(vmlinux))
	if err != nil {
		return false
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz > 1<<20 {
			continue
		}
		notes := make([]byte, p.Filesz)
		if _, err := p.ReadAt(notes, 0); err != nil {
			continue
		}
		for len(notes) >= 12 {
			name, desc := f.ByteOrder.Uint32(notes), f.ByteOrder.Uint32(notes[4:])
			kind := f.ByteOrder.Uint32(notes[8:])
			notes = notes[12:]
			size := uint64(name+3)&^3 + uint64(desc+3)&^3
			if size > uint64(len(notes)) || uint64(name) > uint64(len(notes)) {
				break
			}
			if kind == phys32Entry && string(bytes.TrimRight(notes[:name], "\x00")) == "Xen" {
				return true
			}
			notes = notes[size:]
		}
	}
	return false
}

// writeBeside writes a file so that path holds either all of it or nothing.
func writeBeside(path string, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
