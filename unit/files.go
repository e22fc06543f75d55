package unit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"
)

// Names of the files that make a configuration.
const (
	machineFile     = "init.toml"
	serviceFolder   = "svc/"
	transientFolder = "run/" // units of svc run; never on a disk
)

// Bounds of a configuration.
const (
	fileMax  = 1 << 20 // bytes of one file
	filesMax = 16 << 20
)

// Files are the texts that make a configuration. They do not change: what is
// loaded stays what it was, whatever becomes of the files on the disk, until
// somebody reads them anew.
type Files struct {
	text   map[string]string // by name: "init.toml", "svc/sshd.toml"
	unread map[string]string // why a file could not be read
}

// ReadFiles reads init.toml and svc/*.toml of fsys. A file that cannot be read
// is a mistake of Load.
func ReadFiles(fsys fs.FS) *Files {
	f := &Files{text: map[string]string{}, unread: map[string]string{}}
	f.read(fsys, machineFile)
	entries, err := entriesOf(fsys, path.Clean(serviceFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.unread[path.Clean(serviceFolder)] = reason(err)
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".toml") && name[0] != '.' {
			f.read(fsys, serviceFolder+name)
		}
	}
	return f
}

// entriesOf is fs.ReadDir without its sorting, which names does.
func entriesOf(fsys fs.FS, dir string) ([]fs.DirEntry, error) {
	f, err := fsys.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	folder, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: dir, Err: errors.New("not a directory")}
	}
	return folder.ReadDir(-1)
}

func (f *Files) read(fsys fs.FS, name string) {
	text, err := read(fsys, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		f.unread[name] = reason(err)
	default:
		f.text[name] = text
	}
}

// Len is how many files there are.
func (f *Files) Len() int { return len(f.text) + len(f.unread) }

func (f *Files) names() []string {
	names := make([]string, 0, f.Len())
	for name := range f.text {
		names = append(names, name)
	}
	for name := range f.unread {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// WithMachine is f with another init.toml.
func (f *Files) WithMachine(text string) *Files {
	return f.with(map[string]string{machineFile: text})
}

// WithTransients is f with more units, name to text, as svc run makes them; one with
// an empty text is taken away.
func (f *Files) WithTransients(units map[string]string) *Files {
	files := make(map[string]string, len(units))
	for name, text := range units {
		files[transientFolder+name+".toml"] = text
	}
	return f.with(files)
}

func (f *Files) with(files map[string]string) *Files {
	more := &Files{text: make(map[string]string, len(f.text)+len(files)), unread: f.unread}
	for name, text := range f.text {
		more.text[name] = text
	}
	for name, text := range files {
		if more.text[name] = text; text == "" {
			delete(more.text, name)
		}
	}
	return more
}

// Transients are the units of svc run that f has and that other has not, put
// into other.
func (f *Files) Transients(other *Files) *Files {
	files := map[string]string{}
	for name, text := range f.text {
		if strings.HasPrefix(name, transientFolder) {
			files[name] = text
		}
	}
	return other.with(files)
}

// Append encodes f after b: names and texts, or why there is none, in the order
// of names, each with its length before it.
func (f *Files) Append(b []byte) []byte {
	for _, name := range f.names() {
		text, why := f.text[name], f.unread[name]
		for _, s := range [...]string{name, text, why} {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
	}
	return b
}

// ErrFiles: the bytes are not what Append wrote.
var ErrFiles = errors.New("configuration: not readable")

// ParseFiles reads what Append wrote.
func ParseFiles(b []byte) (*Files, error) {
	f := &Files{text: map[string]string{}, unread: map[string]string{}}
	if len(b) > filesMax {
		return nil, ErrFiles
	}
	for len(b) > 0 {
		var s [3]string
		for i := range s {
			n, k := binary.Uvarint(b)
			if k <= 0 || n > uint64(len(b)-k) {
				return nil, ErrFiles
			}
			s[i], b = string(b[k:k+int(n)]), b[k+int(n):]
		}
		if s[2] != "" {
			f.unread[s[0]] = s[2]
		} else {
			f.text[s[0]] = s[1]
		}
	}
	return f, nil
}

func read(fsys fs.FS, name string) (string, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", errors.New("is no regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, fileMax+1))
	if len(b) > fileMax {
		return "", fmt.Errorf("is larger than %d bytes", fileMax)
	}
	return string(b), err
}

// reason is err without the path, which the Mistake has already.
func reason(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}
