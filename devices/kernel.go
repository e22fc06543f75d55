package devices

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"hoopy/devices/modindex"
)

// kernel is the part of the system that tests replace, to inject errors.
type kernel interface {
	finit(f *os.File, params string, flags int) error
	init(image []byte, params string) error
	remove(name string) error
}

// system is the running kernel: finit_module(2), init_module(2),
// delete_module(2).
type system struct{}

func (system) finit(f *os.File, params string, flags int) error {
	return unix.FinitModule(int(f.Fd()), params, flags)
}
func (system) init(image []byte, params string) error { return unix.InitModule(image, params) }
func (system) remove(name string) error               { return unix.DeleteModule(name, unix.O_NONBLOCK) }

const (
	compressedFile = 4         // MODULE_INIT_COMPRESSED_FILE, linux/module.h
	maxModule      = 256 << 20 // bytes unpacked; amdgpu has 30 MB with debug info
)

// errNoFile tells a missing file from the kernel's own ENOENT.
var errNoFile = errors.New("listed in the index, but not there")

// give hands the module's file to the kernel. Plain files and those that the
// kernel unpacks itself go by descriptor; .gz is unpacked here otherwise.
func (l *Loader) give(s step) error {
	if l.live(s.name) {
		return errLoaded
	}
	f, err := os.Open(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: %w", s.path, errNoFile)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	packed := map[string]string{".gz": "gzip", ".xz": "xz", ".zst": "zstd"}[filepath.Ext(s.path)]
	if packed == "" {
		return l.kernel.finit(f, s.params, 0)
	}
	if packed == l.compression {
		err := l.kernel.finit(f, s.params, compressedFile)
		if !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
	}
	if packed != "gzip" {
		return fmt.Errorf("%s: this kernel does not unpack %s, and neither does hoopy: store it unpacked", s.path, packed)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	image, err := io.ReadAll(io.LimitReader(z, maxModule))
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	return l.kernel.init(image, s.params)
}

// mapIndex maps one index file, read-only.
func mapIndex(path string) (*modindex.Index, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() == 0 {
		return nil, fmt.Errorf("%s: %w", path, modindex.ErrFormat)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%s: mmap: %w", path, err)
	}
	index, err := modindex.Parse(data)
	if err != nil {
		_ = unix.Munmap(data)
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return index, nil
}

// release is uname -r.
func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	name, _, _ := strings.Cut(string(u.Release[:]), "\x00")
	return name
}
