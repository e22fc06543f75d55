package install

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"hoopy/build/tree"
)

// maxWritten bounds what a script may write into one file.
const maxWritten = 64 << 20

func isDevice(name string) bool {
	switch name {
	case "dev/null", "dev/zero", "dev/full", "dev/tty", "dev/stdin", "dev/stdout", "dev/stderr":
		return true
	}
	return false
}

// open opens a file of the tree for the interpreter. What is written becomes
// the file's content when it is closed; the file itself is there at once.
func (s *script) open(ctx context.Context, name string, flag int, perm os.FileMode) (io.ReadWriteCloser, error) {
	name = inTree(ctx, name)
	if name == "dev/null" {
		return null{}, nil
	}
	if isDevice(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("no such device while packages are laid")}
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return s.in.open(name, flag, perm, s.l.BuildTime)
}

func (in *installer) open(name string, flag int, perm os.FileMode, when int64) (io.ReadWriteCloser, error) {
	e, err := in.t.Stat(name)
	exists := err == nil
	if err != nil && !(errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0) {
		return nil, err
	}
	if exists && !e.Mode.IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: tree.ErrNotFile}
	}
	if exists && flag&os.O_EXCL != 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	}
	if flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		r, err := in.t.Content(e)
		if err != nil {
			return nil, err
		}
		return readOnly{r}, nil
	}
	w := &written{in: in, name: name}
	switch {
	case !exists, flag&os.O_TRUNC != 0:
		if e, err = in.t.WriteFile(name, nil, perm.Perm()&^0o022); err != nil {
			return nil, err
		}
		if !exists {
			e.MTime = when
		}
	default:
		if w.data, err = in.t.ReadFile(name); err != nil {
			return nil, err
		}
		if flag&os.O_APPEND == 0 {
			return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("only reading, replacing and appending are supported")}
		}
	}
	return w, nil
}

// null is /dev/null.
type null struct{}

func (null) Read([]byte) (int, error)    { return 0, io.EOF }
func (null) Write(p []byte) (int, error) { return len(p), nil }
func (null) Close() error                { return nil }

// readOnly is a file open for reading.
type readOnly struct{ io.ReadCloser }

func (readOnly) Write([]byte) (int, error) { return 0, fs.ErrPermission }

// written is a file open for writing.
type written struct {
	in   *installer
	name string
	data []byte
}

func (w *written) Read([]byte) (int, error) { return 0, fs.ErrPermission }

func (w *written) Write(p []byte) (int, error) {
	if len(w.data)+len(p) > maxWritten {
		return 0, &fs.PathError{Op: "write", Path: w.name, Err: errors.New("more than 64 MiB")}
	}
	w.data = append(w.data, p...)
	return len(p), nil
}

func (w *written) Close() error {
	w.in.mu.Lock()
	defer w.in.mu.Unlock()
	_, err := w.in.t.WriteFile(w.name, w.data, 0o644)
	return err
}
