package image

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"hoopy/build/cpio"
)

// Diff tells what b has otherwise than a: packages, then entries, then sizes, a
// line each; none when the two unpack to the same.
func Diff(a, b *Contents) (lines []string) {
	lines = append(lines, diffPackages(a.Manifest, b.Manifest)...)
	names := map[string]bool{}
	for _, c := range []*Contents{a, b} {
		for name := range c.Entries {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		old, was := a.Entries[name]
		now, is := b.Entries[name]
		switch {
		case !was:
			lines = append(lines, fmt.Sprintf("+ %s  %s", name, now.text()))
		case !is:
			lines = append(lines, fmt.Sprintf("- %s  %s", name, old.text()))
		default:
			if how := diffItems(old, now); how != "" {
				lines = append(lines, fmt.Sprintf("~ %s  %s", name, how))
			}
		}
	}
	if len(lines) == 0 {
		return nil
	}
	oldBytes, _, oldTree := a.Unpacked()
	bytes, _, tree := b.Unpacked()
	return append(lines, fmt.Sprintf("sizes: initramfs %s -> %s MB, files %s -> %s MB, needs %d -> %d MB of RAM",
		mb(a.Size), mb(b.Size), mb(oldBytes), mb(bytes), leastRAM(oldTree, a.Size), leastRAM(tree, b.Size)))
}

// diffPackages compares by name; what has no manifest has no packages.
func diffPackages(a, b *Manifest) (lines []string) {
	old, now := packagesOf(a), packagesOf(b)
	names := maps.Clone(old)
	maps.Copy(names, now)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, is := old[name], now[name]
		switch {
		case was == "":
			lines = append(lines, fmt.Sprintf("+ package %s %s", name, is))
		case is == "":
			lines = append(lines, fmt.Sprintf("- package %s %s", name, was))
		case was != is:
			lines = append(lines, fmt.Sprintf("~ package %s %s -> %s", name, was, is))
		}
	}
	if a != nil && b != nil && a.Kernel != b.Kernel {
		lines = append(lines, fmt.Sprintf("~ kernel %s -> %s", a.Kernel, b.Kernel))
	}
	return lines
}

// packagesOf cuts IDs ("openssh-9.6_p1-r0") into names and versions.
func packagesOf(m *Manifest) map[string]string {
	out := map[string]string{}
	if m == nil {
		return out
	}
	for _, id := range m.Packages {
		at := strings.LastIndexByte(id, '-')
		if at > 0 {
			at = strings.LastIndexByte(id[:at], '-')
		}
		if at > 0 {
			out[id[:at]] = id[at+1:]
		}
	}
	return out
}

var typeNames = map[uint32]string{
	cpio.TypeSocket: "socket", cpio.TypeSymlink: "link", cpio.TypeRegular: "file", cpio.TypeBlock: "block device",
	cpio.TypeDir: "folder", cpio.TypeChar: "device", cpio.TypeFifo: "fifo",
}

// text is an entry in short.
func (i Item) text() string {
	s := fmt.Sprintf("%s %04o %d:%d", typeNames[i.Type()], i.Mode&0o7777, i.UID, i.GID)
	switch i.Type() {
	case cpio.TypeRegular:
		s += fmt.Sprintf(" %d bytes", i.Size)
	case cpio.TypeSymlink:
		s += " -> " + i.Link
	}
	return s
}

func diffItems(a, b Item) string {
	var how []string
	say := func(what string, x, y any) {
		if x != y {
			how = append(how, fmt.Sprintf("%s %v -> %v", what, x, y))
		}
	}
	say("type", typeNames[a.Type()], typeNames[b.Type()])
	say("mode", fmt.Sprintf("%04o", a.Mode&0o7777), fmt.Sprintf("%04o", b.Mode&0o7777))
	say("owner", fmt.Sprintf("%d:%d", a.UID, a.GID), fmt.Sprintf("%d:%d", b.UID, b.GID))
	say("target", a.Link, b.Link)
	say("number", fmt.Sprintf("%d,%d", a.Major, a.Minor), fmt.Sprintf("%d,%d", b.Major, b.Minor))
	if a.Type() == cpio.TypeRegular && b.Type() == cpio.TypeRegular && a.Sum != b.Sum {
		if a.Size != b.Size {
			say("size", a.Size, b.Size)
		} else {
			how = append(how, fmt.Sprintf("content, %d bytes", a.Size))
		}
	}
	return strings.Join(how, ", ")
}
