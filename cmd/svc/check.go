package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"hoopy/unit"
	"hoopy/unit/schema"
)

// check finds mistakes in files; it needs no init.
func (a *app) check(o options) error {
	dir := "/etc"
	if len(o.names) == 1 {
		dir = filepath.Clean(o.names[0])
	}
	if !configured(dir) {
		if !configured(filepath.Join(dir, "etc")) {
			return misuse("%q has neither init.toml nor svc", dir)
		}
		dir = filepath.Join(dir, "etc")
	}
	c, loadErr := unit.Load(os.DirFS(dir), filepath.ToSlash(dir))
	_, graphErr := c.Graph()
	mistakes := schema.Mistakes(schema.Join(append(schema.Mistakes(loadErr), schema.Mistakes(graphErr)...)))
	for _, m := range mistakes {
		fmt.Fprintln(a.out, escape(m.Error()))
	}
	if len(mistakes) > 0 {
		fmt.Fprintf(a.out, "%s in %s\n", count(len(mistakes), "mistake"), count(c.Files.Len(), "file"))
		return errUnwell
	}
	fmt.Fprintf(a.out, "no mistake in %s\n", count(c.Files.Len(), "file"))
	return nil
}

func configured(dir string) bool {
	for _, name := range []string{"init.toml", "svc"} {
		if _, err := os.Stat(path.Join(dir, name)); err == nil || !errors.Is(err, os.ErrNotExist) {
			return true
		}
	}
	return false
}
