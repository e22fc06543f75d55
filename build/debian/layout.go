package debian

import (
	"context"
	"io/fs"
	"os"
	"path"
	"strings"

	"hoopy/build/tree"
)

// dirs are the directories of Alpine's base layout, with their modes.
var dirs = []struct {
	path string
	mode fs.FileMode
}{
	{"bin", 0o755}, {"dev", 0o755}, {"dev/pts", 0o755}, {"dev/shm", 0o755}, {"etc", 0o755},
	{"etc/modprobe.d", 0o755}, {"etc/modules-load.d", 0o755}, {"etc/profile.d", 0o755}, {"etc/sysctl.d", 0o755},
	{"home", 0o755}, {"lib", 0o755}, {"lib/firmware", 0o755}, {"media", 0o755}, {"mnt", 0o755}, {"opt", 0o755},
	{"proc", 0o555}, {"root", 0o700}, {"run", 0o755}, {"sbin", 0o755}, {"srv", 0o755}, {"sys", 0o555},
	{"tmp", fs.ModeSticky | 0o777}, {"usr", 0o755}, {"usr/bin", 0o755}, {"usr/lib", 0o755}, {"usr/local/bin", 0o755},
	{"usr/sbin", 0o755}, {"usr/share", 0o755}, {"var", 0o755}, {"var/cache", 0o755}, {"var/empty", 0o555},
	{"var/lib", 0o755}, {"var/log", 0o755}, {"var/spool", 0o755}, {"var/tmp", fs.ModeSticky | 0o777},
}

func addLayout(_ context.Context, _ *maker, t *tree.Tree) error {
	for _, d := range dirs {
		if parent := path.Dir(d.path); parent != "." {
			if err := t.MkdirAll(parent, 0o755); err != nil {
				return err
			}
		}
		if err := t.Add(&tree.Entry{Path: d.path, Mode: fs.ModeDir | d.mode}); err != nil {
			return err
		}
	}
	if err := link(t, "../run", "var/run"); err != nil {
		return err
	}
	return link(t, "../run/lock", "var/lock")
}

// data are the files of Alpine's alpine-baselayout-data that programs read. The
// numbers of users and groups are Alpine's. Root has no password that matches.
var data = []struct {
	path, text string
	mode       fs.FileMode
	gid        int
}{
	{"etc/passwd", `root:x:0:0:root:/root:/bin/sh
bin:x:1:1:bin:/bin:/sbin/nologin
daemon:x:2:2:daemon:/sbin:/sbin/nologin
sshd:x:22:22:sshd:/dev/null:/sbin/nologin
nobody:x:65534:65534:nobody:/:/sbin/nologin
`, 0o644, 0},
	{"etc/group", `root:x:0:root
bin:x:1:root,bin,daemon
daemon:x:2:root,bin,daemon
sys:x:3:root,bin
adm:x:4:root,daemon
tty:x:5:
disk:x:6:root
lp:x:7:lp
kmem:x:9:
wheel:x:10:root
uucp:x:14:uucp
audio:x:18:
cdrom:x:19:
dialout:x:20:root
sshd:x:22:sshd
input:x:23:
video:x:27:root
netdev:x:28:
kvm:x:34:kvm
shadow:x:42:
users:x:100:games
utmp:x:406:
nogroup:x:65533:
nobody:x:65534:
`, 0o644, 0},
	{"etc/shadow", `root:*::0:::::
bin:!::0:::::
daemon:!::0:::::
sshd:!::0:::::
nobody:!::0:::::
`, 0o640, 42},
	{"etc/shells", "/bin/sh\n/bin/ash\n", 0o644, 0},
	{"etc/hostname", "localhost\n", 0o644, 0},
	{"etc/hosts", "127.0.0.1\tlocalhost localhost.localdomain\n::1\tlocalhost localhost.localdomain\n", 0o644, 0},
	{"etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n", 0o644, 0},
	{"etc/profile", `export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PAGER=less
umask 022
case $(id -u) in 0) PS1='\h:\w\# ' ;; *) PS1='\h:\w\$ ' ;; esac
for script in /etc/profile.d/*.sh; do
	if [ -r "$script" ]; then . "$script"; fi
done
unset script
`, 0o644, 0},
	{"etc/protocols", "ip\t0\tIP\nicmp\t1\tICMP\ntcp\t6\tTCP\nudp\t17\tUDP\nipv6\t41\tIPv6\nipv6-icmp\t58\tIPv6-ICMP\n", 0o644, 0},
	{"etc/services", "ssh\t22/tcp\ndomain\t53/tcp\ndomain\t53/udp\nhttp\t80/tcp\nntp\t123/udp\nhttps\t443/tcp\n", 0o644, 0},
}

func addData(_ context.Context, _ *maker, t *tree.Tree) error {
	for _, f := range data {
		if err := text(t, f.path, f.text); err != nil {
			return err
		}
		e, err := t.Lstat(f.path)
		if err != nil {
			return err
		}
		e.Mode, e.GID = f.mode, f.gid
	}
	return link(t, "../proc/mounts", "etc/mtab")
}

// addRelease says what the image is: ID=debian, and a VARIANT_ID that `svc
// version` and people can look for.
func addRelease(_ context.Context, _ *maker, t *tree.Tree) error {
	version := "unknown"
	if b, err := os.ReadFile("/etc/os-release"); err == nil {
		version = releaseVersion(string(b))
	}
	return text(t, "etc/os-release", `NAME="Debian stand-in for Alpine Linux"
ID=debian
VERSION_ID=`+version+`
PRETTY_NAME="hoopy on Debian `+version+` packages, a stand-in for Alpine Linux"
VARIANT_ID=stand-in
`)
}

// releaseVersion finds the host's VERSION_ID: its sources are what the packages
// come from.
func releaseVersion(osRelease string) string {
	for line := range strings.Lines(osRelease) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_ID="); ok {
			if v = strings.Trim(v, `"`); v != "" && strings.Trim(v, "0123456789.") == "" {
				return v
			}
		}
	}
	return "unknown"
}
