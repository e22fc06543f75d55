package probe

import "io"

// Health is what a superblock says of the file system's last use.
type Health uint8

const (
	Unknown Health = iota // this type does not say, or nothing was found
	Clean                 // unmounted in order
	Dirty                 // in use when the power went, or its journal wants replaying
	Faulty                // the kernel found errors in it: a check is due
)

func (h Health) String() string {
	return [...]string{"unknown", "clean", "dirty", "faulty"}[h&3]
}

// Info is what a device holds. All is empty where nothing was recognised.
type Info struct {
	Type    string // ext4, vfat, crypto_LUKS, linux_raid_member, LVM2_member, zfs_member, …
	Usage   string // filesystem, raid, crypto, other
	Label   string // as on disk: any bytes but NUL; for /dev/disk/by-label see EncodeString
	UUID    string // as in /dev/disk/by-uuid: XXXX-XXXX for vfat, decimal for ZFS
	UUIDSub string // of this member: btrfs, md, ZFS
	Version string // of the format, where it says
	Health  Health
	Members int // devices that belong together: btrfs, md; 0 if the format does not say
	ZFS     *ZFS

	// Ambivalent holds the types found when there are several that exclude each
	// other, as a new file system over an old one. Nothing else is set then.
	Ambivalent []string
}

// kind is one type of superblock. Its read gives false where there is none.
type kind struct {
	name  string
	usage string
	least int64 // bytes that a device must have
	read  func(*device, *Info) bool
}

const (
	filesystem = "filesystem"
	raid       = "raid"
	crypto     = "crypto"
	other      = "other"
)

// kinds stand in libblkid's order: members first, then file systems.
var kinds = [...]kind{
	{"linux_raid_member", raid, 64<<10 + 1, mdMember},
	{"bcache", other, 8 << 10, bcache},
	{"LVM2_member", raid, 0, lvmMember},
	{"crypto_LUKS", crypto, 0, luks},
	{"BitLocker", crypto, 0, bitlocker},
	{"vfat", filesystem, 0, vfat},
	{"swsuspend", other, 10 * pageSize, suspended},
	{"swap", other, 10 * pageSize, swap},
	{"xfs", filesystem, 0, xfs},
	{"ext4", filesystem, 0, ext4},
	{"ext3", filesystem, 0, ext3},
	{"ext2", filesystem, 0, ext2},
	{"jbd", other, 0, journal},
	{"iso9660", filesystem, 0, iso9660},
	{"zfs_member", filesystem, 64 << 20, zfsMember},
	{"ntfs", filesystem, 0, ntfs},
	{"squashfs", filesystem, 0, squashfs},
	{"btrfs", filesystem, 1 << 20, btrfs},
	{"exfat", filesystem, 0, exfat},
	{"f2fs", filesystem, 0, f2fs},
	{"erofs", filesystem, 0, erofs},
}

// tiny devices are floppies: no raid on them, and the first type found counts.
const tiny = 1440 << 10

// Probe looks at a device of size bytes. The error is that of a failed read;
// Info then says what could be found without it, which may be too much (a raid
// member whose label was not readable looks like the file system on it): do
// not mount what came with an error.
func Probe(r io.ReaderAt, size int64) (Info, error) {
	d := &device{r: r, size: size}
	if size <= 1024 {
		return Info{}, nil
	}
	d.load(0, 0, headSize)
	if size > headSize {
		d.loadTail()
	}
	info := d.probe()
	return info, d.err
}

// loadTail reads from the last ZFS label on if that is near the end, as on
// partitions that begin and end at whole MiB, else where md 0.90 begins.
func (d *device) loadTail() {
	if at := d.lastLabel() + labelPairs; at >= headSize && d.size-at <= 256<<10 {
		d.load(1, at, d.size-at)
		return
	}
	at := max(d.size&^(64<<10-1)-64<<10, headSize&^(pageSize-1))
	d.load(1, at, d.size-at)
}

func (d *device) probe() Info {
	var found Info
	var names []string
	strict := false // among those found there is one that tolerates no other
	for i := range kinds {
		k := &kinds[i]
		if d.size < k.least || k.usage == raid && d.size <= tiny {
			continue
		}
		var info Info
		if !k.read(d, &info) {
			continue
		}
		info.Type, info.Usage = k.name, k.usage
		if len(names) == 0 {
			found = info
		}
		names = append(names, k.name)
		if d.size <= tiny || k.usage == raid || k.usage == crypto {
			break
		}
		strict = strict || k.name != "iso9660" // hybrid images hold others on purpose
	}
	if len(names) > 1 && strict {
		return Info{Ambivalent: names}
	}
	return found
}
