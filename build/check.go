package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"hoopy/build/image"
	"hoopy/unit/schema"
)

// check names every mistake of the folder, one a line.
func check(dir string, stdout io.Writer) error {
	err := image.Check(dir)
	if err == nil {
		fmt.Fprintf(stdout, "%s: no mistake\n", filepath.Clean(dir))
		return nil
	}
	mistakes := schema.Mistakes(err)
	for _, m := range mistakes {
		fmt.Fprintln(stdout, m)
	}
	if len(mistakes) == 1 {
		return errors.New("1 mistake")
	}
	return fmt.Errorf("%d mistakes", len(mistakes))
}
