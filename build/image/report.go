package image

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hoopy/build/modules"
)

// result renders the report and says where everything is.
func (b *builder) result(base *base, l *layer) (*Result, error) {
	r := &Result{
		Vmlinuz: filepath.Join(b.Out, "vmlinuz"), Initramfs: filepath.Join(b.Out, "initramfs"),
		Manifest: filepath.Join(b.Out, "manifest"), Cmdline: b.config.Cmdline, ID: l.id,
	}
	if b.Login {
		r.SSHKey = filepath.Join(b.Out, "ssh", "id_ed25519")
		r.KnownHosts = filepath.Join(b.Out, "ssh", "known_hosts")
	}
	initramfs, err := os.Stat(r.Initramfs)
	if err != nil {
		return nil, err
	}
	vmlinuz, err := os.Stat(r.Vmlinuz)
	if err != nil {
		return nil, err
	}
	var bytes, unpacked int64
	files, sizes := map[string]int64{}, map[string]int64{}
	for e := range l.t.Walk() {
		unpacked += perInode
		if e.Mode.IsRegular() && e.Hard == "" {
			files[e.Path] = e.Size
			sizes[e.Source] += e.Size
			bytes += e.Size
			unpacked += pages(e.Size)
		}
	}
	if st, err := os.Stat(filepath.Join(base.dir, ucodeFile)); err == nil && base.UcodeSum != "" {
		unpacked += pages(st.Size()) // the kernel lays that, too
	}
	r.RAM = leastRAM(unpacked, initramfs.Size())
	if err := b.sweep(base.dir); err != nil {
		return nil, err
	}
	var t strings.Builder
	line := func(word, format string, args ...any) {
		fmt.Fprintf(&t, "%-10s "+format+"\n", append([]any{word}, args...)...)
	}
	line("packages", "%d from %s", len(base.Packages), base.Text)
	line("tree", "%s MB, %s files; largest: %s", mb(bytes), grouped(len(files)), most(sizes, 5))
	line("folders", "%s", most(folderSizes(files), 5))
	if m := base.Modules; m.Release != "" {
		line("modules", "%s of %s for Linux %s, %s MB (policy: %s)", grouped(m.Kept), grouped(m.Total), m.Release, mb(m.Size), b.modulePolicy(m.Driven))
		if len(m.Unmatched) > 0 && !base.Local { // a stand-in holds few
			line("", "none is called %s", strings.Join(m.Unmatched, ", "))
		}
	}
	if f := base.Firmware; f.Total > 0 || base.UcodeSum != "" {
		line("firmware", "%s", firmwareText(f, base.UcodeSum != ""))
	}
	if over := overrides(l.over); over != "" {
		line("overrides", "%s", over)
	}
	for _, note := range base.Notes {
		line("note", "%s", note)
	}
	line("image", "%s %s MB (%s), %s %s MB; needs %d MB of RAM", r.Initramfs, mb(initramfs.Size()),
		b.config.Compression, r.Vmlinuz, mb(vmlinuz.Size()), r.RAM)
	line("version", "%s", l.id)
	line("took", "%s", b.timing.String())
	r.Report = t.String()
	return r, nil
}

// modulePolicy is that of image.toml in short.
func (b *builder) modulePolicy(driven int) string {
	var parts []string
	switch {
	case b.config.AllModules:
		return "all"
	case len(b.config.Modules) > 0:
		parts = append(parts, fmt.Sprintf("%d patterns", len(b.config.Modules)))
	}
	if len(b.devices) > 0 {
		parts = append(parts, fmt.Sprintf("closure of %s, %d of %d devices have a driver", b.config.Hardware, driven, len(b.devices)))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, "; ")
}

// firmwareText says what stays, and names some of what modules may miss.
func firmwareText(f modules.Firmware, microcode bool) string {
	text := fmt.Sprintf("%s of %s files, %s MB", grouped(f.Kept), grouped(f.Total), mb(f.Size))
	if microcode {
		text += ", microcode first in the image"
	}
	if n := len(f.Missing); n > 0 {
		text += fmt.Sprintf("; modules may ask for %s more that no package of the list brings: %s", grouped(n), strings.Join(f.Missing[:min(3, n)], ", "))
		if n > 3 {
			text += ", …"
		}
	}
	return text
}

// perInode is what an entry takes in memory besides its content: the inode and
// its name. Contents take whole pages.
const perInode = 1024

func pages(size int64) int64 { return (size + 4095) &^ 4095 }

// leastRAM is in MiB. The kernel bounds its first file system by half of the
// memory that is free when it mounts it: without the archive, without itself
// (57 MiB and a page table of 1/64, Linux 6.1 for amd64). Measured on a tree of
// 77 MiB in 23: 232 MiB was too little, 240 enough; this gives 256.
func leastRAM(unpacked, archive int64) int {
	need := 2*unpacked + archive + 64<<20
	need += need / 32
	return int((need+16<<20-1)>>24) * 16
}

func (s *stopwatch) String() string {
	var all time.Duration
	var parts []string
	for _, l := range s.laps {
		all += l.took
		parts = append(parts, fmt.Sprintf("%s %.1f", l.name, l.took.Seconds()))
	}
	return fmt.Sprintf("%.1f s (%s)", all.Seconds(), strings.Join(parts, ", "))
}

// overrides lists what our own entries were laid over, by whose it was.
func overrides(over map[string][]string) string {
	var parts []string
	for _, source := range slices.Sorted(maps.Keys(over)) {
		dirs := map[string][]string{}
		for _, p := range over[source] {
			if p != "etc/os-release" {
				dirs[path.Dir(p)] = append(dirs[path.Dir(p)], path.Base(p))
			}
		}
		for _, dir := range slices.Sorted(maps.Keys(dirs)) {
			names := slices.Sorted(slices.Values(dirs[dir]))
			text := names[0]
			if len(names) > 1 {
				text = "{" + strings.Join(names, ",") + "}"
			}
			parts = append(parts, path.Join("/", dir, text)+" of "+source)
		}
	}
	return strings.Join(parts, "; ")
}

func mb(n int64) string { return fmt.Sprintf("%.1f", float64(n)/1e6) }

// grouped writes a count with a comma between thousands.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
