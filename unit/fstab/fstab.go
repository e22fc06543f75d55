// Package fstab turns an /etc/fstab, see fstab(5), into tables of init.toml, so
// that who has one need not write it anew. It is pure, and made for the build:
// the image itself reads init.toml alone.
package fstab

import (
	"path"
	"strconv"
	"strings"
	"time"

	"hoopy/unit"
)

// Parse gives the tables [persist], [[mount]] and [[swap]] that mean what text
// means, each below a comment with its line, and a note for each line that is
// left out, with its number and why. The device of /media/usb or /persist, if
// there is one, becomes the persistence device. All tables pass the checks of
// init.toml.
func Parse(text string) (toml string, notes []string) {
	var out strings.Builder
	seen := map[string]bool{}
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		e, why := read(strings.Fields(line))
		if why == "" {
			why = e.unfit(seen)
		}
		if why != "" {
			notes = append(notes, "line "+strconv.Itoa(n)+": left out: "+why)
			continue
		}
		out.WriteString("# fstab line " + strconv.Itoa(n) + "\n")
		e.write(&out, seen)
	}
	return out.String(), notes
}

// entry is a line.
type entry struct {
	what, where, fstype string
	options             []string // those that init.toml has a use for
	noauto, nofail      bool
	wait                time.Duration
	priority            int
	pass                string
}

func read(f []string) (e entry, why string) {
	if len(f) < 3 {
		return e, "it has " + strconv.Itoa(len(f)) + " fields, not 3 or more"
	}
	e = entry{what: unit.Unescape(f[0]), where: unit.Unescape(f[1]), fstype: f[2]}
	if tag, value, ok := strings.Cut(e.what, "="); ok && len(value) > 1 && value[0] == '"' {
		e.what = tag + "=" + strings.Trim(value, `"`)
	}
	if len(f) > 5 {
		e.pass = f[5]
	}
	if len(f) < 4 {
		return e, ""
	}
	for o := range strings.SplitSeq(unit.Unescape(f[3]), ",") {
		name, value, _ := strings.Cut(o, "=")
		switch {
		case o == "noauto":
			e.noauto = true
		case o == "nofail":
			e.nofail = true
		case name == "pri":
			e.priority, _ = strconv.Atoi(value) // what is no number the kernel chooses
		case name == "x-systemd.device-timeout":
			if d, err := time.ParseDuration(value); err == nil {
				e.wait = d
			} else if s, err := strconv.Atoi(value); err == nil {
				e.wait = time.Duration(s) * time.Second
			}
		case o == "" || o == "defaults" || o == "auto" || o == "_netdev" || strings.HasPrefix(o, "x-") || strings.HasPrefix(name, "comment"):
		default:
			e.options = append(e.options, o)
		}
	}
	return e, ""
}

// keepers are file systems that PID 1 mounts by itself.
const keepers = " proc sysfs devtmpfs devpts cgroup cgroup2 mqueue securityfs efivarfs pstore tracefs bpf configfs "

// unfit says why the entry cannot be taken over; empty: it can.
func (e *entry) unfit(seen map[string]bool) string {
	switch {
	case e.noauto:
		return e.where + " is noauto"
	case e.fstype == "swap" && !device(e.what):
		return e.what + " is a file; swap needs a device"
	case e.fstype == "swap":
	case path.Clean(e.where) == "/":
		return "the root is the image itself"
	case strings.Contains(keepers, " "+e.fstype+" "):
		return e.fstype + " is mounted anyway"
	case len(e.where) == 0 || e.where[0] != '/':
		return strconv.Quote(e.where) + " is no absolute path"
	case e.where != path.Clean(e.where) && e.where != path.Clean(e.where)+"/":
		return strconv.Quote(e.where) + " is no plain path"
	case e.fstype == "tmpfs" || e.fstype == "ramfs" || e.fstype == "overlay":
		e.what = e.fstype
	case !device(e.what) && e.what[0] == '/' && !e.bind():
		return strconv.Quote(e.what) + " is no device"
	case !device(e.what) && !plain(e.what, "_-./:") && (e.what[0] != '/' || e.what != path.Clean(e.what)):
		return strconv.Quote(e.what) + " is nothing that init.toml can name"
	}
	e.where = path.Clean(e.where)
	for _, s := range [...]string{e.what, e.where, e.fstype, strings.Join(e.options, ",")} {
		if !printable(s) {
			return strconv.Quote(s) + " has characters that do not belong there"
		}
	}
	key := e.where
	if e.fstype == "swap" {
		key = e.what
	}
	if seen[key] {
		return key + " is there twice"
	}
	seen[key] = true
	return ""
}

func (e *entry) bind() bool {
	for _, o := range e.options {
		if o == "bind" || o == "rbind" {
			return true
		}
	}
	return false
}

// device says whether what is one as init.toml writes it.
func device(what string) bool {
	for _, tag := range [...]string{"UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID="} {
		if v, ok := strings.CutPrefix(what, tag); ok && v != "" {
			return true
		}
	}
	return strings.HasPrefix(what, "/dev/") && what == path.Clean(what)
}

func plain(s, extra string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(extra, c) < 0 {
			return false
		}
	}
	return s != ""
}

func printable(s string) bool {
	for _, r := range s {
		if r < ' ' || r > '~' {
			return false
		}
	}
	return true
}

func (e *entry) write(out *strings.Builder, seen map[string]bool) {
	set := func(key, value string) { out.WriteString(key + " = " + value + "\n") }
	text := func(key, value string) {
		if value != "" {
			set(key, strconv.Quote(value))
		}
	}
	disk := device(e.what)
	persist := disk && !seen["[persist]"] && !e.nofail && (e.where == "/media/usb" || e.where == "/persist")
	switch {
	case e.fstype == "swap":
		out.WriteString("[[swap]]\n")
		text("what", e.what)
		if e.priority > 0 && e.priority <= 32767 {
			set("priority", strconv.Itoa(e.priority))
		}
	case persist:
		seen["[persist]"] = true
		out.WriteString("[persist]\n")
		text("device", e.what)
		text("path", e.where)
	default:
		out.WriteString("[[mount]]\n")
		text("what", e.what)
		text("where", e.where)
	}
	if e.fstype != "swap" {
		if e.fstype != "auto" && e.fstype != "none" && e.fstype != e.what && plain(e.fstype, "_-.") {
			text("type", e.fstype)
		}
		text("options", strings.Join(e.options, ","))
		if disk && !persist && (e.pass == "" || e.pass == "0") {
			set("fsck", "false")
		}
	}
	if e.nofail {
		set("required", "false")
	}
	if disk && e.wait >= time.Second && e.wait <= time.Hour {
		text("wait", e.wait.String())
	}
	out.WriteString("\n")
}
