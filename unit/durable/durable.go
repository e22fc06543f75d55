// Package durable writes small files so that a power cut leaves the old one or the
// new one, on vfat too.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Write lays dir/name down with text, and makes dir if its parent is there. After
// nil it is on the disk. The error is that of the first step that went wrong;
// dir/name is the old file then, or already the new one.
func Write(dir, name, text string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	fresh := filepath.Join(dir, "."+name+".new")
	f, err := os.Create(fresh)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(fresh, filepath.Join(dir, name))
	}
	if err == nil {
		err = f.Sync() // on vfat the new name has no content until the file is written again
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return sync(dir)
}

// Remove takes dir/name away. After nil it does not come back.
func Remove(dir, name string) error {
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		return err
	}
	return sync(dir)
}

// sync has the names in dir written to the disk.
func sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	_ = d.Close() // it was only read
	if errors.Is(err, unix.EINVAL) {
		return nil // this file system has no such thing
	}
	return err
}
