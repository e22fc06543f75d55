package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// module is the first line of the go.mod of hoopy's checkout.
const module = "module hoopy"

// self is the folder of hoopy's checkout that this program is called in, the
// nearest one upwards; empty when it is called elsewhere.
func self() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if first, _, _ := bytes.Cut(text, []byte("\n")); err == nil && string(bytes.TrimSpace(first)) == module {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// pattern is what a new image is begun with.
var pattern = []string{"image.toml", "packages", "VERSION", "keys", "root"}

// begin copies the pattern into a folder that has nothing in it.
func begin(_ context.Context, c *call) error {
	dir := c.args[0]
	if have, err := os.ReadDir(dir); err == nil && len(have) > 0 {
		return fmt.Errorf("new: %s is not empty; name a folder that is, or that is not there", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range pattern {
		from := filepath.Join(c.o.Dir, name)
		st, err := os.Stat(from)
		if err != nil {
			return fmt.Errorf("new: the pattern %s: %w", c.o.Dir, err)
		}
		if st.IsDir() {
			err = os.CopyFS(filepath.Join(dir, name), os.DirFS(from))
		} else {
			err = copyFile(from, filepath.Join(dir, name))
		}
		if err != nil {
			return fmt.Errorf("new: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("/out/\n"), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s was begun; look at image.toml, packages and root/etc/init.toml in it, then\n  go run ./build run -C %s\n", dir, dir)
	return nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}
