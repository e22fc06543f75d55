package main

import (
	"context"
	"fmt"
	"io"

	"hoopy/build/image"
)

// update chooses packages anew.
func update(ctx context.Context, c *call) error {
	lines, err := image.Update(ctx, c.o, c.dry)
	if err != nil {
		return err
	}
	write(c.stdout, lines)
	switch {
	case len(lines) == 0:
		fmt.Fprintln(c.stdout, "packages.lock is as the mirrors are")
	case c.dry:
		fmt.Fprintln(c.stdout, "packages.lock was left as it is (-n)")
	default:
		fmt.Fprintln(c.stdout, "packages.lock was written; look it over and commit it")
	}
	return nil
}

// why names who needs a package.
func why(ctx context.Context, c *call) error {
	lines, err := image.Why(ctx, c.o, c.args[0])
	write(c.stdout, lines)
	return err
}

// inspect tells what is in an image.
func inspect(_ context.Context, c *call) error {
	file := c.o.Out
	if len(c.args) > 0 {
		file = c.args[0]
	}
	contents, err := image.Inspect(file)
	if err != nil {
		return err
	}
	_, err = io.WriteString(c.stdout, contents.Text())
	return err
}

// diff compares two images.
func diff(_ context.Context, c *call) error {
	var both [2]*image.Contents
	for i, file := range c.args {
		var err error
		if both[i], err = image.Inspect(file); err != nil {
			return err
		}
	}
	lines := image.Diff(both[0], both[1])
	if len(lines) == 0 {
		lines = []string{"the two unpack to the same"}
	}
	write(c.stdout, lines)
	return nil
}

// sbom writes the bill of materials.
func sbom(ctx context.Context, c *call) error {
	text, err := image.SBOM(ctx, c.o)
	if err != nil {
		return err
	}
	_, err = c.stdout.Write(text)
	return err
}

func write(w io.Writer, lines []string) {
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
}
