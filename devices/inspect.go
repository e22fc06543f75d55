package devices

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"hoopy/devices/probe"
	"hoopy/unit"
)

// finding is what a reader has found out about a block device.
type finding struct {
	e     *entry
	props map[string]string
	links []string
	disk  unit.Disk
	size  int64
	first string
	note  string // what an operator should know of it
}

// volume is an open block device.
type volume struct {
	fd   int
	size int64
	zvol string // dataset that it is of
}

func (v *volume) ReadAt(b []byte, at int64) (n int, err error) {
	for n < len(b) {
		m, err := unix.Pread(v.fd, b[n:], at+int64(n))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return n, err
		case m == 0:
			return n, errShort
		}
		n += max(m, 0)
	}
	return n, nil
}

func (v *volume) close() { _ = unix.Close(v.fd) }

var errShort = errors.New("device ends early")

const blkZName = 0x8100127d // BLKZNAME of zvols: _IOR(0x12, 125, char[256])

// openVolume opens a device for reading; without O_NONBLOCK a drive without a
// medium would make us wait for one.
func openVolume(path string) (*volume, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	v := &volume{fd: fd}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.BLKGETSIZE64, uintptr(unsafe.Pointer(&v.size))); e != 0 {
		v.close()
		return nil, e
	}
	if strings.HasPrefix(filepath.Base(path), "zd") {
		var name [256]byte
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), blkZName, uintptr(unsafe.Pointer(&name))); e == 0 {
			v.zvol = cString(name[:])
		}
	}
	return v, nil
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64) // what sysfs does not say is 0
	return n
}

// diskOf is what the uevent alone says.
func diskOf(u Uevent) unit.Disk {
	d := unit.Disk{Node: u.DevName, Dev: unix.Mkdev(uint32(number(u.Env["MAJOR"])), uint32(number(u.Env["MINOR"])))}
	if u.Env["DEVTYPE"] == "partition" {
		d.Disk = strings.ReplaceAll(filepath.Base(filepath.Dir(u.DevPath)), "!", "/")
	}
	return d
}

// unread says which devices are never opened: floppies and memory, and the parts
// of a mmc card that are not for data.
func unread(name string) bool {
	return strings.HasPrefix(name, "fd") || strings.HasPrefix(name, "ram") || strings.HasPrefix(name, "mmcblk") && (strings.Contains(name, "boot") || strings.Contains(name, "rpmb"))
}

// inspect finds out about a block device. It runs in a goroutine of its own and
// may hang with the disk.
func (c *Catalog) inspect(u Uevent) finding {
	f := finding{disk: diskOf(u), props: map[string]string{}}
	if u.DevName == "" {
		return f
	}
	whole, suffix := u, ""
	dir := filepath.Join(c.sys, u.DevPath)
	part := attr(dir, "partition")
	if f.disk.Disk != "" {
		whole.DevPath, whole.DevName, suffix = filepath.Dir(u.DevPath), f.disk.Disk, "-part"+part
	}
	wholeDir := filepath.Join(c.sys, whole.DevPath)
	f.size = int64(number(attr(dir, "size"))) << 9
	up := chain(c.sys, whole.DevPath)
	props, ids := hardware(c.sys, whole, up)
	f.props = props
	if strings.HasPrefix(whole.DevName, "md") {
		ids = append(ids, c.array(wholeDir, props)...)
		if name := c.arrayName(whole.DevName); name != "" {
			props["MD_DEVNAME"] = name
			if last := name[len(name)-1]; suffix != "" && last >= '0' && last <= '9' {
				name += "p"
			}
			f.links = append(f.links, "md/"+name+part)
		}
	}
	id, compat := "", ""
	if !strings.Contains(u.DevPath, "/virtual/") {
		id, compat = pathID(up)
	}
	f.first = "~" + id // a disk that is plugged in somewhere has its place; others come first
	if id == "" {
		f.first = ""
	} else {
		props["ID_PATH"], props["ID_PATH_TAG"] = id, pathTag(id)
	}
	for _, one := range ids {
		f.links = append(f.links, "disk/by-id/"+one+suffix)
	}
	if len(ids) > 0 {
		f.disk.ID = ids[0] + suffix
	}
	paths := []string{id, compat}
	if strings.HasPrefix(whole.DevName, "vd") && strings.HasPrefix(id, "pci-") {
		paths = append(paths, "virtio-"+id)
	}
	for _, one := range paths {
		if one != "" {
			f.links = append(f.links, "disk/by-path/"+one+suffix)
		}
	}
	if seq := u.Env["DISKSEQ"]; seq != "" && suffix == "" && !strings.HasPrefix(u.DevName, "md") {
		f.links = append(f.links, "disk/by-diskseq/"+seq)
	}
	if name := props["DM_NAME"]; name != "" && suffix == "" {
		f.links = append(f.links, "mapper/"+clean(name))
	}
	f.disk.Size = f.size
	if f.size == 0 || unread(u.DevName) || props["DM_SUSPENDED"] == "1" {
		return f
	}
	c.contents(&f, u.DevName, suffix)
	c.partition(&f, whole.DevName, wholeDir, int(number(part)))
	return f
}

// pathTag is ID_PATH_TAG: only letters, digits, '-' and one '_' for the rest.
func pathTag(id string) string {
	var b []byte
	for i := range len(id) {
		switch c := id[i]; {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '-':
			b = append(b, c)
		case len(b) > 0 && b[len(b)-1] != '_':
			b = append(b, '_')
		}
	}
	return strings.TrimRight(string(b), "_")
}

// contents reads what is on a device.
func (c *Catalog) contents(f *finding, name, suffix string) {
	v, err := c.cfg.testOnlyOpen(filepath.Join(c.dev, name))
	if err != nil {
		switch err {
		case unix.ENOMEDIUM, unix.ENOENT, unix.ENXIO: // empty, or gone
		case unix.EBUSY: // a zram that is being reset
		default:
			f.note = err.Error()
		}
		f.size = 0
		return
	}
	defer v.close()
	if v.size > 0 {
		f.size, f.disk.Size = v.size, v.size
	}
	if v.zvol != "" {
		f.links = append(f.links, "zvol/"+v.zvol+suffix)
	}
	info, err := probe.Probe(v, f.size)
	if err != nil {
		f.note = err.Error()
		return
	}
	if len(info.Ambivalent) > 0 {
		f.note = "holds several at once: " + strings.Join(info.Ambivalent, ", ") + "; wipefs(8) can tell and remove them"
		f.props["ID_FS_AMBIVALENT"] = strings.Join(info.Ambivalent, " ")
		return
	}
	d := &f.disk
	d.Type, d.Usage, d.UUID, d.Label, d.Dirty = info.Type, info.Usage, info.UUID, info.Label, info.Health == probe.Dirty || info.Health == probe.Faulty
	if z := info.ZFS; z != nil {
		d.Pool, d.PoolGUID, d.VdevGUID = z.Pool, z.PoolGUID, z.VdevGUID
	}
	set := func(key, value string) {
		if value != "" {
			f.props[key] = value
		}
	}
	uuid, label := probe.EncodeString(info.UUID), probe.EncodeString(info.Label)
	set("ID_FS_TYPE", info.Type)
	set("ID_FS_USAGE", info.Usage)
	set("ID_FS_VERSION", info.Version)
	set("ID_FS_UUID", probe.SafeString(info.UUID))
	set("ID_FS_UUID_ENC", uuid)
	set("ID_FS_UUID_SUB", info.UUIDSub)
	set("ID_FS_LABEL", probe.SafeString(info.Label))
	set("ID_FS_LABEL_ENC", label)
	if info.Usage == "raid" {
		return
	}
	if uuid != "" {
		f.links = append(f.links, "disk/by-uuid/"+uuid)
	}
	if label != "" && (info.Usage != "crypto" || !strings.HasPrefix(name, "dm-")) {
		f.links = append(f.links, "disk/by-label/"+label)
	}
}

// partition reads the table of the whole disk: for a partition what it says of
// it, else what table it is.
func (c *Catalog) partition(f *finding, whole, dir string, part int) {
	if f.size == 0 || f.disk.Usage == "raid" && f.disk.Disk == "" {
		return
	}
	v, err := c.cfg.testOnlyOpen(filepath.Join(c.dev, whole))
	if err != nil {
		return // contents has told, or the disk is going
	}
	defer v.close()
	table, err := probe.ReadTable(v, v.size, int(max(number(attr(dir, "queue/logical_block_size")), 512)))
	if err != nil || table.Type == "" {
		return
	}
	f.props["ID_PART_TABLE_TYPE"], f.props["ID_PART_TABLE_UUID"] = table.Type, table.UUID
	if f.disk.Disk == "" {
		return
	}
	for i := range table.Partitions {
		p := &table.Partitions[i]
		if p.Number != part {
			continue
		}
		f.disk.PartUUID, f.disk.PartLabel = p.UUID, p.Label
		for key, value := range map[string]string{
			"SCHEME": table.Type, "UUID": p.UUID, "NAME": probe.EncodeString(p.Label), "TYPE": p.Type, "NUMBER": strconv.Itoa(part),
			"OFFSET": strconv.FormatInt(p.Start>>9, 10), "SIZE": strconv.FormatInt(p.Size>>9, 10), "DISK": attr(dir, "dev"),
		} {
			if value != "" {
				f.props["ID_PART_ENTRY_"+key] = value
			}
		}
		if p.UUID != "" {
			f.links = append(f.links, "disk/by-partuuid/"+p.UUID)
		}
		if table.Type == "gpt" && p.Label != "" {
			f.links = append(f.links, "disk/by-partlabel/"+probe.EncodeString(p.Label))
		}
		return
	}
}

// array names a md device by what its first member says; sysfs does not tell.
func (c *Catalog) array(dir string, props map[string]string) (ids []string) {
	for _, member := range names(filepath.Join(dir, "slaves")) {
		v, err := c.cfg.testOnlyOpen(filepath.Join(c.dev, member))
		if err != nil {
			continue
		}
		info, err := probe.Probe(v, v.size)
		v.close()
		if err != nil || info.Type != "linux_raid_member" {
			continue
		}
		if info.Label != "" {
			props["MD_NAME"] = info.Label
			ids = append(ids, "md-name-"+clean(info.Label))
		}
		// mdadm writes the same digits in four groups of eight
		if hex := strings.ReplaceAll(info.UUID, "-", ""); len(hex) == 32 {
			props["MD_UUID"] = hex[:8] + ":" + hex[8:16] + ":" + hex[16:24] + ":" + hex[24:]
			ids = append(ids, "md-uuid-"+props["MD_UUID"])
		}
		return ids
	}
	return nil
}

// arrayName is the name below /dev/md that mdadm has noted down for a md device.
// It leaves it to us to make that where there is a folder /run/udev.
func (c *Catalog) arrayName(node string) string {
	text, _ := os.ReadFile(filepath.Join(c.cfg.Root, "run/mdadm/map")) // without it there is no name
	for line := range strings.SplitSeq(string(text), "\n") {
		if f := strings.Fields(line); len(f) == 4 && f[0] == node {
			if name, ok := strings.CutPrefix(f[3], "/dev/md/"); ok {
				return clean(name)
			}
		}
	}
	return ""
}
