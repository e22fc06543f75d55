package image

import (
	"errors"
	"os"
	"path/filepath"

	"hoopy/build/tree"
	"hoopy/unit"
)

// Check reads everything that describes the image in dir, without building,
// and joins all mistakes: image.toml, packages, VERSION, root/ and its units.
func Check(dir string) error {
	b := &builder{Options: Options{Dir: dir}}
	l := newLayer(tree.New(), 1)
	return errors.Join(b.read(), l.root(filepath.Join(dir, "root")))
}

// checkUnits reads root/etc as the machine will: what is wrong there would be
// found out after the boot, by whoever cannot log in.
func checkUnits(root string) error {
	etc := filepath.Join(root, "etc")
	c, err := unit.Load(os.DirFS(etc), "root/etc")
	if err != nil {
		return err
	}
	_, err = c.Graph()
	return err
}
