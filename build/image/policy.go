package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"hoopy/build/config"
	"hoopy/build/modules"
	"hoopy/build/tree"
)

// pruned are folders that no running appliance reads.
var pruned = []string{"boot", "kernel", "lib/apk", "usr/lib/apk", "var/cache/apk", "usr/share/man", "usr/share/doc"}

// policy turns the tree of the packages into the base of an image: the kernel
// is taken out, modules are chosen, root's password is set, what is never read
// is removed.
func (m *base) policy(c *config.Config, devices []string) error {
	kernel, err := kernelOf(m.tree)
	if err != nil {
		return err
	}
	m.Kernel = kernel.Path
	if m.kernel, err = m.tree.ReadFile(kernel.Path); err != nil {
		return err
	}
	m.KernelSum = hexSum(m.kernel)
	if m.ucode, err = microcode(m.tree); err != nil {
		return err
	}
	if m.ucode != nil {
		m.UcodeSum = hexSum(m.ucode)
	}
	m.Modules, err = modules.Apply(m.tree, modules.Policy{All: c.AllModules, Patterns: c.Modules, Hardware: devices})
	if err != nil {
		return err
	}
	m.Firmware, err = modules.ApplyFirmware(m.tree, m.Modules.Firmware, c.FirmwareRequired, c.AllFirmware)
	if err != nil {
		return err
	}
	if err := rootPassword(m.tree, c.RootHash); err != nil {
		return err
	}
	if err := checkPasswords(m.tree); err != nil {
		return err
	}
	for _, dir := range pruned {
		if err := m.tree.RemoveAll(dir); err != nil {
			return err
		}
	}
	text, err := m.tree.ReadFile("etc/os-release")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m.Release = string(text)
	if m.Early, err = early(m.tree, "bin/busybox"); err != nil {
		return err
	}
	m.Epoch = newest(m.tree)
	m.Users, m.Groups, err = numbersOf(m.tree)
	return err
}

// kernelOf is the one kernel in boot/.
func kernelOf(t *tree.Tree) (*tree.Entry, error) {
	files, err := t.ReadDir("boot")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	files = slices.DeleteFunc(files, func(e *tree.Entry) bool {
		return !e.Mode.IsRegular() || !strings.HasPrefix(path.Base(e.Path), "vmlinuz")
	})
	switch len(files) {
	case 0:
		return nil, errors.New("no package brings a kernel (boot/vmlinuz-…); add linux-lts to packages")
	case 1:
		return files[0], nil
	}
	return nil, fmt.Errorf("two kernels, %s (%s) and %s (%s); an image boots one",
		files[0].Path, files[0].Source, files[1].Path, files[1].Source)
}

// early lists the program and all that it takes to start it: links on the way,
// the dynamic loader, libraries. A tree without it gives nothing.
func early(t *tree.Tree, program string) ([]string, error) {
	if _, err := t.Stat(program); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	set := map[string]bool{}
	todo := []string{program, "bin/sh"}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		e, links, err := way(t, name)
		for _, l := range links {
			set[l] = true
		}
		if err != nil || e == nil || set[e.Path] || !e.Mode.IsRegular() {
			if err != nil {
				return nil, err
			}
			continue
		}
		set[e.Path] = true
		needs, err := libraries(t, e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		todo = append(todo, needs...)
	}
	var names []string
	for n := range set {
		names = append(names, n)
	}
	slices.Sort(names)
	return names, nil
}

// way is the entry that name leads to and the links it leads through; nil when
// there is none.
func way(t *tree.Tree, name string) (e *tree.Entry, links []string, err error) {
	for range 40 {
		at, rest := "", strings.Split(tree.Clean(name), "/")
		for i, part := range rest {
			e, err = t.Lstat(path.Join(at, part))
			if errors.Is(err, fs.ErrNotExist) {
				return nil, links, nil
			}
			if err != nil {
				return nil, links, err
			}
			if e.Mode&fs.ModeSymlink != 0 {
				links = append(links, e.Path)
				next := path.Join(path.Dir(e.Path), e.Link)
				if path.IsAbs(e.Link) {
					next = e.Link
				}
				name = path.Join(append([]string{next}, rest[i+1:]...)...)
				break
			}
			at = e.Path
		}
		if e.Mode&fs.ModeSymlink == 0 {
			return e, links, nil
		}
	}
	return nil, links, &fs.PathError{Op: "stat", Path: name, Err: tree.ErrLoop}
}

// libraries are the files that an ELF program asks its loader for, and the
// loader itself.
func libraries(t *tree.Tree, e *tree.Entry) ([]string, error) {
	data, err := t.ReadFile(e.Path)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return nil, nil
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > 4096 {
			continue
		}
		text := make([]byte, p.Filesz)
		if _, err := p.ReadAt(text, 0); err != nil {
			return nil, err
		}
		names = append(names, strings.TrimRight(string(text), "\x00"))
	}
	needed, err := f.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	for _, lib := range needed {
		for _, dir := range []string{"lib", "usr/lib"} {
			if _, err := t.Stat(path.Join(dir, lib)); err == nil {
				names = append(names, path.Join(dir, lib))
				break
			}
		}
	}
	return names, nil
}
