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
	n := 0
	for e := range l.t.Walk() {
		unpacked += 1024 // the inode and its name
		if e.Mode.IsRegular() && e.Hard == "" {
			n++
			bytes += e.Size
			unpacked += (e.Size + 4095) &^ 4095
		}
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
	line("tree", "%s MB, %s files; largest: %s", mb(bytes), grouped(n), largest(base.Sizes))
	if m := base.Modules; m.Release != "" {
		line("modules", "%s of %s for Linux %s, %s MB", grouped(m.Kept), grouped(m.Total), m.Release, mb(m.Size))
		if len(m.Unmatched) > 0 && !base.Local { // a stand-in holds few
			line("", "none is called %s", strings.Join(m.Unmatched, ", "))
		}
	}
	if over := overrides(l.over); over != "" {
		line("overrides", "%s", over)
	}
	line("image", "%s %s MB (%s), %s %s MB; needs %d MB of RAM", r.Initramfs, mb(initramfs.Size()),
		b.config.Compression, r.Vmlinuz, mb(vmlinuz.Size()), r.RAM)
	line("version", "%s", l.id)
	line("took", "%s", b.timing.String())
	r.Report = t.String()
	return r, nil
}

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

// largest names the three biggest packages.
func largest(sizes map[string]int64) string {
	ids := slices.SortedFunc(maps.Keys(sizes), func(a, b string) int {
		if sizes[a] != sizes[b] {
			return int(min(max(sizes[b]-sizes[a], -1), 1))
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for _, id := range ids[:min(3, len(ids))] {
		parts = append(parts, id+" "+mb(sizes[id]))
	}
	return strings.Join(parts, ", ")
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
