package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"hoopy/build/modules"
	"hoopy/build/tree"
	"hoopy/unit"
	"hoopy/unit/schema"
)

// Check reads everything that describes the image in dir, without building,
// and joins all mistakes: image.toml, packages, VERSION, root/ and its units.
func Check(dir string) error {
	b := &builder{Options: Options{Dir: dir}}
	l := newLayer(tree.New(), 1)
	errs := []error{b.read(), l.root(filepath.Join(dir, "root"))}
	if b.config != nil {
		errs = append(errs, l.files(b.config.Files, dir, nil))
		lock, how, err := b.committed()
		if lock != nil && len(how) > 0 {
			err = staleLock(how)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// hardware reads the list of modaliases; no name is no list.
func hardware(dir, name string) ([]string, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	aliases, wrong := modules.ParseHardware(string(text))
	var mistakes []*schema.Mistake
	for line, what := range wrong {
		mistakes = append(mistakes, &schema.Mistake{File: name, Line: line, Text: what})
	}
	if len(aliases)+len(wrong) == 0 {
		mistakes = append(mistakes, &schema.Mistake{File: name, Text: "names no device"})
	}
	return aliases, schema.Join(mistakes)
}

// units reads root/etc as the machine will, with machine as its init.toml if that
// is not nil: what is wrong there would be found out after the boot, by whoever
// cannot log in.
func units(dir string, machine []byte) ([]*unit.Unit, error) {
	files := unit.ReadFiles(os.DirFS(filepath.Join(dir, "root", "etc")))
	if machine != nil {
		files = files.WithMachine(string(machine))
	}
	c, err := files.Load("root/etc")
	if err != nil {
		return nil, err
	}
	if _, err := c.Graph(); err != nil {
		return nil, err
	}
	return c.Units, nil
}

// programsOf tells which units name a program that the image does not hold. It
// may lie on a disk of the machine, so that is a note, no mistake; and none of a
// unit that asks for the program itself, by a condition.
func (l *layer) programsOf(units []*unit.Unit) (notes []string) {
	for _, u := range units {
		if len(u.Command) == 0 || slices.Contains(u.Conditions, unit.Condition{Op: unit.PathExists, Text: u.Command[0]}) {
			continue
		}
		if _, err := l.t.Stat(u.Command[0]); err != nil {
			notes = append(notes, fmt.Sprintf("unit       %s: %s is not in the image; no package of the list brings it", u.Name, u.Command[0]))
		}
	}
	return notes
}
