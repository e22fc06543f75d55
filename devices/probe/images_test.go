package probe

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// packages of Debian that have the tools; tools/deps probe installs them.
var packages = map[string]string{
	"mkfs.ext4": "e2fsprogs", "mkfs.xfs": "xfsprogs", "mkfs.btrfs": "btrfs-progs", "mkfs.f2fs": "f2fs-tools", "mkfs.vfat": "dosfstools",
	"mkfs.exfat": "exfatprogs", "mkfs.ntfs": "ntfs-3g", "genisoimage": "genisoimage", "mksquashfs": "squashfs-tools",
	"mkfs.erofs": "erofs-utils", "mkswap": "util-linux", "blkid": "util-linux", "partx": "util-linux", "cryptsetup": "cryptsetup-bin", "sfdisk": "fdisk",
	"debugfs": "e2fsprogs", "sh": "dash",
}

func run(t testing.TB, tool string, args ...string) string {
	t.Helper()
	os.Setenv("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("%s is missing: apt-get install -y --no-install-recommends %s", tool, packages[tool])
	}
	cmd := exec.Command(tool, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", tool, args, err, out)
	}
	return string(out)
}

// image is a recipe: FILE stands for the image, DIR for a folder of some files.
type image struct {
	name    string
	size    int64 // MiB; 0: the tool makes the file
	command string
	write   func([]byte) // instead of a command
}

const id = "5d41402a-bc4b-4a76-b971-9d911017c592"

var images = []image{
	{name: "zero", size: 8},
	{name: "ext2", size: 8, command: "mkfs.ext4 -q -F -t ext2 -L|plain|FILE"},
	{name: "ext2-1k", size: 8, command: "mkfs.ext4 -q -F -t ext2 -b 1024 -U " + id + " FILE"},
	{name: "ext3", size: 16, command: "mkfs.ext4 -q -F -t ext3 -L|with space|FILE"},
	{name: "ext4", size: 16, command: "mkfs.ext4 -q -F -t ext4 -L|Grüße|FILE"},
	{name: "ext4-1k", size: 16, command: "mkfs.ext4 -q -F -t ext4 -b 1024 -L|a\tb\x01c|FILE"},
	{name: "ext4-4k", size: 64, command: "mkfs.ext4 -q -F -t ext4 -b 4096 -L|sixteen-letters.|FILE"},
	{name: "ext4-no-csum", size: 16, command: "mkfs.ext4 -q -F -t ext4 -O ^metadata_csum,^64bit FILE"},
	{name: "ext4-no-journal", size: 16, command: "mkfs.ext4 -q -F -t ext4 -O ^has_journal -L|  both sides |FILE"},
	{name: "ext4-slash", size: 16, command: "mkfs.ext4 -q -F -t ext4 -L|a/b\\c\"d'e|FILE"},
	{name: "jbd", size: 16, command: "mkfs.ext4 -q -F -O journal_dev -L|log|FILE"},
	{name: "xfs", size: 320, command: "mkfs.xfs -q -L|data|FILE"},
	{name: "xfs-uuid", size: 320, command: "mkfs.xfs -q -m uuid=" + id + " FILE"},
	{name: "xfs-4k-sectors", size: 320, command: "mkfs.xfs -q -s size=4096 -L|a_b#c@d=e|FILE"},
	{name: "xfs-v4", size: 320, command: "mkfs.xfs -q -m crc=0 -L|old|FILE"},
	{name: "btrfs", size: 128, command: "mkfs.btrfs -q -L|a long label with Umläuten|FILE"},
	{name: "btrfs-plain", size: 128, command: "mkfs.btrfs -q -U " + id + " FILE"},
	{name: "btrfs-xxhash", size: 128, command: "mkfs.btrfs -q --csum xxhash FILE"},
	{name: "btrfs-dual", size: 128, command: "mkfs.btrfs -q -d raid1 -m raid1 FILE FILE2"},
	{name: "f2fs", size: 64, command: "mkfs.f2fs -q -l|Grüße 😀|FILE"},
	{name: "f2fs-plain", size: 64, command: "mkfs.f2fs -q FILE"},
	{name: "fat12", size: 2, command: "mkfs.vfat -F 12 -n|FLOPPY|FILE"},
	{name: "fat16", size: 32, command: "mkfs.vfat -F 16 -n|WITH SPACE|FILE"},
	{name: "fat32", size: 64, command: "mkfs.vfat -F 32 -i b61b19e7 -n|PERSIST|FILE"},
	{name: "fat32-no-label", size: 64, command: "mkfs.vfat -F 32 -i 00000001 FILE"},
	{name: "fat32-4k", size: 512, command: "mkfs.vfat -F 32 -S 4096 -n|BIG|FILE"},
	{name: "fat16-many-reserved", size: 64, command: "mkfs.vfat -F 16 -R 200 -f 4 -n|FAR|FILE"},
	{name: "exfat", size: 64, command: "mkfs.exfat -L|Grüße|FILE"},
	{name: "exfat-plain", size: 64, command: "mkfs.exfat FILE"},
	{name: "exfat-32k", size: 256, command: "mkfs.exfat -c 32K -L|eleven chrs|FILE"},
	{name: "ntfs", size: 64, command: "mkfs.ntfs -q -Q -F -L|Windows Gerät|FILE"},
	{name: "ntfs-plain", size: 64, command: "mkfs.ntfs -q -Q -F FILE"},
	{name: "ntfs-64k", size: 64, command: "mkfs.ntfs -q -Q -F -c 65536 -L|x|FILE"},
	{name: "iso", command: "genisoimage -quiet -V|Plain ISO|-o FILE DIR"},
	{name: "iso-joliet", command: "genisoimage -quiet -J -r -V|Longer Than Sixteen Letters|-o FILE DIR"},
	{name: "iso-short", command: "genisoimage -quiet -J -V|short|-o FILE DIR"},
	{name: "squashfs", command: "mksquashfs DIR FILE -quiet -no-progress"},
	{name: "erofs", command: "mkfs.erofs -U " + id + " FILE DIR"},
	{name: "swap", size: 4, command: "mkswap -q -L|the swap|FILE"},
	{name: "swap-64k", size: 4, command: "mkswap -q -p 65536 -U " + id + " FILE"},
	{name: "luks1", size: 8, command: "cryptsetup -q luksFormat --type luks1 --pbkdf-force-iterations 1000 FILE KEY"},
	{name: "luks2", size: 32, command: "cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --label|vault 1|FILE KEY"},
	{name: "ambivalent", size: 320, command: "mkfs.xfs -q FILE && mkfs.f2fs -q -f FILE"},
	{name: "suspended", size: 4, command: "mkswap -q -L|the swap|FILE", write: func(b []byte) { copy(b[4086:], "S1SUSPEND\x00") }},
	{name: "lvm", size: 8, write: writeLVM},
	{name: "bcache", size: 8, write: writeBcache},
	{name: "md-0.90", size: 8, write: writeMD090},
	{name: "md-1.0", size: 8, write: func(b []byte) { writeMD1(b, len(b)-8192) }},
	{name: "md-1.1", size: 8, write: func(b []byte) { writeMD1(b, 0) }},
	{name: "md-1.2", size: 8, write: func(b []byte) { writeMD1(b, 4096) }},
	{name: "md-1.0-over-ext4", size: 16, command: "mkfs.ext4 -q -F -t ext4 FILE", write: func(b []byte) { writeMD1(b, len(b)-8192) }},
	{name: "zfs", size: 64, write: func(b []byte) { writeZFS(b, poolPairs("tank", 0)) }},
	{name: "zfs-odd-size", size: 65, write: func(b []byte) { writeZFS(b[:len(b)-300<<10], poolPairs("a b", 1)) }},
	{name: "zfs-spare", size: 64, write: func(b []byte) { writeZFS(b, sparePairs(3)) }},
	{name: "zfs-under-ext4", size: 64, command: "mkfs.ext4 -q -F -t ext4 FILE", write: func(b []byte) {
		front := append([]byte(nil), b[:256<<10]...)
		writeZFS(b, poolPairs("old", 0))
		copy(b, front)
	}},
	{name: "bitlocker", size: 8, write: func(b []byte) {
		copy(b, "\xeb\x58\x90-FVE-FS-")
		le.PutUint64(b[176:], 1<<20)
		copy(b[1<<20:], "-FVE-FS-")
		le.PutUint16(b[1<<20+10:], 2)
	}},
}

// make gives the image as a sparse file.
func (m image) make(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	file, tree, key := filepath.Join(folder, "image"), filepath.Join(folder, "tree"), filepath.Join(folder, "key")
	os.Mkdir(tree, 0o755)
	os.WriteFile(filepath.Join(tree, "hello"), []byte("hello\n"), 0o644)
	os.WriteFile(key, []byte("secret"), 0o600)
	for _, name := range []string{file, file + "2"} {
		if m.size == 0 {
			break
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, m.size<<20); err != nil {
			t.Fatal(err)
		}
	}
	for command := range strings.SplitSeq(m.command, " && ") {
		var args []string
		for i, part := range strings.Split(command, "|") {
			if i == 1 {
				args = append(args, part)
				continue
			}
			args = append(args, strings.Fields(part)...)
		}
		if len(args) == 0 {
			continue
		}
		for i, a := range args {
			if n, ok := strings.CutPrefix(a, "FILE"); ok {
				args[i] = file + n
			}
			switch a {
			case "DIR":
				args[i] = tree
			case "KEY":
				args[i] = key
			}
		}
		run(t, args[0], args[1:]...)
	}
	if m.write != nil {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m.write(b)
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func writeLVM(b []byte) {
	l := b[512:1024]
	copy(l, "LABELONE")
	le.PutUint64(l[8:], 1)
	le.PutUint32(l[20:], 32)
	copy(l[24:], "LVM2 001")
	copy(l[32:], "0a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p")
	// LVM's CRC, bit by bit: not the function under test.
	crc := uint32(0xf597a6cf)
	for _, c := range l[20:] {
		crc ^= uint32(c)
		for range 8 {
			crc = crc>>1 ^ crc&1*0xedb88320
		}
	}
	le.PutUint32(l[16:], crc)
}

func writeBcache(b []byte) {
	s := b[4096:]
	le.PutUint64(s[8:], 8)
	copy(s[24:], "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81")
	copy(s[40:], "sixteen letters.")
	le.PutUint64(s, crc64(s[8:208]))
}

func writeMD090(b []byte) {
	s := b[len(b)-64<<10:]
	for i, v := range []uint32{mdMagic, 0, 90, 0, 0, 0x12345678, 1, 1, uint32(len(b)-64<<10) >> 10, 2, 2, 0, 0, 0x9abcdef0, 0x0fedcba9, 0x87654321} {
		le.PutUint32(s[4*i:], v)
	}
}

func writeMD1(b []byte, off int) {
	s := b[off : off+4096]
	le.PutUint32(s, mdMagic)
	le.PutUint32(s[4:], 1)
	copy(s[16:], "array's own uuid")
	copy(s[32:], "frood:0 data")
	le.PutUint32(s[92:], 2)
	le.PutUint64(s[144:], uint64(off)>>9)
	copy(s[168:], "this disk's uuid")
	le.PutUint32(s[220:], 3)
	sum := uint64(0)
	for i := 0; i < 260; i += 4 {
		sum += uint64(le.Uint32(s[i:]))
	}
	le.PutUint16(s[256:], 0)
	le.PutUint32(s[216:], uint32(sum)+uint32(sum>>32))
}

// xdr writes name-value pairs as OpenZFS's nvs_xdr does.
type xdr []byte

func (x xdr) word(v uint32) xdr { return binary.BigEndian.AppendUint32(x, v) }

func (x xdr) chars(s string) xdr {
	x = append(x.word(uint32(len(s))), s...)
	for len(x)%4 != 0 {
		x = append(x, 0)
	}
	return x
}

func (x xdr) pair(name string, kind, count uint32, value []byte) xdr {
	p := append(xdr(nil).chars(name).word(kind).word(count), value...)
	x = x.word(uint32(len(p) + 8)).word(uint32(len(p) + 8))
	return append(x, p...)
}

func (x xdr) number(name string, v uint64) xdr {
	return x.pair(name, pairNumber, 1, binary.BigEndian.AppendUint64(nil, v))
}

func (x xdr) string(name, v string) xdr { return x.pair(name, pairString, 1, xdr(nil).chars(v)) }

func begin() xdr { return xdr(nil).word(0).word(1) }

func (x xdr) end() xdr { return x.word(0).word(0) }

func disk(guid uint64) xdr {
	return begin().string("type", "disk").number("guid", guid).string("path", "/dev/disk/by-id/ata-x").end()
}

func poolPairs(name string, state uint64) xdr {
	return poolOf(name, state, 77, 78)
}

func poolOf(name string, state uint64, leaves ...uint64) xdr {
	var children xdr
	for _, l := range leaves {
		children = append(children, disk(l)...)
	}
	tree := begin().string("type", "mirror").number("guid", 999).
		pair("children", pairLists, uint32(len(leaves)), children).number("ashift", 12).end()
	return begin().number("version", 5000).string("name", name).number("state", state).number("txg", 42).
		number("pool_guid", 1<<63+5).number("hostid", 0xc0ffee).string("hostname", "frood").number("top_guid", 999).
		number("guid", 77).number("vdev_children", 1).pair("vdev_tree", pairList, 1, tree).
		pair("features_for_read", pairList, 1, begin().end()).end()
}

func sparePairs(state uint64) xdr {
	return begin().number("version", 5000).number("state", state).number("guid", 4711).end()
}

func writeZFS(b []byte, pairs xdr) {
	size := len(b) &^ (labelSize - 1)
	for _, off := range []int{0, labelSize, size - 2*labelSize, size - labelSize} {
		l := b[off : off+labelSize]
		clear(l)
		copy(l[labelPairs:], append([]byte{1, 1, 0, 0}, pairs...))
		for i := range 4 {
			u := l[128<<10+i<<10:]
			le.PutUint64(u, 0x00bab10c)
			le.PutUint64(u[8:], 5000)
		}
	}
}
