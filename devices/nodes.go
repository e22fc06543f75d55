package devices

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hoopy/devices/modindex"
)

// nodeRule gives a device node its group and mode. devtmpfs made it with mode
// 0600 or what the driver asks for, always root:root.
type nodeRule struct {
	subsystem, name string // name is a pattern over DevName
	group           string
	mode            os.FileMode
}

// nodeRules: the first that fits counts. Groups, modes and patterns are those
// of eudev's 50-udev-default.rules. Mode 0 is the
// kernel's, or 0660 where that is 0600. A group that /etc/group lacks leaves
// the node as it is.
var nodeRules = [...]nodeRule{
	{"misc", "kvm", "kvm", 0o660},
	{"misc", "vhost-net", "kvm", 0o660},
	{"misc", "vhost-vsock", "kvm", 0o660},
	{"misc", "udmabuf", "kvm", 0},
	{"misc", "fuse", "root", 0o666},
	{"misc", "net/tun", "root", 0o666},
	{"misc", "vsock", "root", 0o666},
	{"misc", "vfio/vfio", "root", 0o666},
	{"misc", "rfkill", "root", 0o664},
	{"misc", "loop-control", "disk", 0},
	{"misc", "btrfs-control", "disk", 0},
	{"input", "input/js[0-9]*", "input", 0o664},
	{"input", "input/*", "input", 0o660},
	{"tty", "tty", "tty", 0o666},
	{"tty", "ptmx", "tty", 0o666},
	{"tty", "tty[0-9]*", "tty", 0o620},
	{"tty", "tty[A-Z]*[0-9]", "dialout", 0o660},
	{"vc", "vcs*", "tty", 0},
	{"mem", "mem", "kmem", 0o640},
	{"mem", "kmem", "kmem", 0o640},
	{"mem", "port", "kmem", 0o640},
	{"sound", "*", "audio", 0},
	{"video4linux", "*", "video", 0},
	{"graphics", "*", "video", 0},
	{"media", "*", "video", 0},
	{"drm", "dri/renderD*", "render", 0o660},
	{"drm", "*", "video", 0},
	{"kfd", "*", "render", 0o660},
	{"usb", "bus/usb/*", "root", 0o664},
	{"usbmisc", "usb/lp[0-9]*", "lp", 0},
	{"printer", "*", "lp", 0},
	{"scsi_tape", "*", "tape", 0},
	{"block", "sr[0-9]*", "cdrom", 0},
	{"block", "*", "disk", 0o660},
}

// nodeRuleFor finds the rule for an event.
func nodeRuleFor(u Uevent) (nodeRule, bool) {
	for _, r := range nodeRules {
		if r.subsystem == u.Subsystem && modindex.Match(r.name, u.DevName) {
			return r, true
		}
	}
	return nodeRule{}, false
}

// setNode applies the table to a node that nobody has touched yet: one that has
// an owner or a group (a login's terminal, say) is left alone.
func setNode(root string, u Uevent, groups map[string]int) error {
	r, ok := nodeRuleFor(u)
	gid, known := groups[r.group]
	if !ok || !known || u.DevName == "" {
		return nil
	}
	path := filepath.Join(root, "dev", filepath.Join("/", u.DevName))
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return nil // gone again
	}
	if r.mode == 0 {
		if r.mode = os.FileMode(st.Mode & 0o777); r.mode == 0o600 {
			r.mode = 0o660
		}
	}
	if st.Gid == uint32(gid) && os.FileMode(st.Mode&0o777) == r.mode {
		return nil
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFCHR && kind != unix.S_IFBLK || st.Uid != 0 || st.Gid != 0 {
		return nil
	}
	if err := os.Lchown(path, 0, gid); err != nil {
		return err
	}
	return os.Chmod(path, r.mode)
}

// readGroups reads /etc/group; without it there is only root.
func readGroups(root string) map[string]int { return readNames(filepath.Join(root, "etc/group")) }

// readNames reads the numbers of /etc/group or /etc/passwd.
func readNames(path string) map[string]int {
	ids := map[string]int{"root": 0}
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		f := strings.Split(line, ":")
		if len(f) < 3 {
			continue
		}
		if id, err := strconv.Atoi(f[2]); err == nil {
			ids[f[0]] = id
		}
	}
	return ids
}
