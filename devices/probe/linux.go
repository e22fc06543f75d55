package probe

import (
	"hash/crc32"
	"strconv"
)

// crc32c is the raw CRC-32C of b with seed ~0, not inverted at the end.
func crc32c(b []byte) uint32 { return ^crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// crcIEEE is the raw CRC-32 of b with a seed, not inverted at the end.
func crcIEEE(seed uint32, b []byte) uint32 { return ^crc32.Update(^seed, crc32.IEEETable, b) }

// without gives b with n bytes at off zeroed, in a copy.
func without(b []byte, off, n int) []byte {
	c := append([]byte(nil), b...)
	clear(c[off : off+n])
	return c
}

// Features of ext that its three drivers know (Documentation/filesystems/ext4,
// fs/ext4/ext4.h).
const (
	extJournal     = 0x4   // compat
	extRecover     = 0x4   // incompat
	extJournalDev  = 0x8   // incompat
	extChecksum    = 0x400 // read-only compat
	ext2Incompat   = 0x12  // filetype, meta_bg
	ext3Incompat   = ext2Incompat | extRecover
	ext3ROCompat   = 0x7 // sparse_super, large_file, btree_dir
	extStateClean  = 1
	extStateErrors = 2
)

type extFeatures struct{ compat, incompat, roCompat uint32 }

// ext reads the superblock that ext2 to ext4 and external journals share.
func ext(d *device, info *Info) (f extFeatures, ok bool) {
	if !d.has(0x438, "\x53\xef") {
		return f, false
	}
	b := d.at(0x400, 0x400)
	if b == nil {
		return f, false
	}
	f = extFeatures{le.Uint32(b[0x5c:]), le.Uint32(b[0x60:]), le.Uint32(b[0x64:])}
	if f.roCompat&extChecksum != 0 && crc32c(b[:0x3fc]) != le.Uint32(b[0x3fc:]) {
		return f, false
	}
	info.Label, info.UUID = text(b[0x78:0x88]), uuid(b[0x68:0x78])
	info.Version = strconv.Itoa(int(le.Uint32(b[0x4c:]))) + "." + strconv.Itoa(int(le.Uint16(b[0x3e:])))
	switch state := le.Uint16(b[0x3a:]); {
	case state&extStateErrors != 0:
		info.Health = Faulty
	case state&extStateClean == 0 || f.incompat&extRecover != 0:
		info.Health = Dirty
	default:
		info.Health = Clean
	}
	return f, true
}

func ext2(d *device, info *Info) bool {
	f, ok := ext(d, info)
	return ok && f.compat&extJournal == 0 && f.roCompat&^ext3ROCompat == 0 && f.incompat&^ext2Incompat == 0
}

func ext3(d *device, info *Info) bool {
	f, ok := ext(d, info)
	return ok && f.compat&extJournal != 0 && f.roCompat&^ext3ROCompat == 0 && f.incompat&^ext3Incompat == 0
}

// ext4 has a feature that ext3 does not understand.
func ext4(d *device, info *Info) bool {
	f, ok := ext(d, info)
	return ok && f.incompat&extJournalDev == 0 && (f.roCompat&^ext3ROCompat != 0 || f.incompat&^ext3Incompat != 0)
}

func journal(d *device, info *Info) bool {
	f, ok := ext(d, info)
	info.Health = Unknown
	return ok && f.incompat&extJournalDev != 0
}

// xfs: fs/xfs/libxfs/xfs_format.h, struct xfs_dsb; big-endian but for the sum.
func xfs(d *device, info *Info) bool {
	if !d.has(0, "XFSB") {
		return false
	}
	b := d.at(0, 264)
	if b == nil {
		return false
	}
	block, blocks := be.Uint32(b[4:]), be.Uint64(b[8:])
	extent, group, groups := be.Uint32(b[80:]), be.Uint32(b[84:]), be.Uint32(b[88:])
	sector, inode := be.Uint16(b[102:]), be.Uint16(b[104:])
	blockLog, sectorLog, inodeLog := b[120], b[121], b[122]
	extentBytes := uint64(extent) * uint64(block)
	if groups == 0 || sectorLog < 9 || sectorLog > 15 || sector != 1<<sectorLog ||
		blockLog < 9 || blockLog > 16 || block != 1<<blockLog ||
		inodeLog < 8 || inodeLog > 11 || inode != 1<<inodeLog || blockLog-inodeLog != b[123] ||
		extentBytes > 1<<30 || extentBytes < 4<<10 || b[127] > 100 ||
		blocks == 0 || blocks > uint64(groups)*uint64(group) || blocks < uint64(groups-1)*uint64(group)+64 {
		return false
	}
	if be.Uint16(b[100:])&15 == 5 {
		s := d.at(0, int64(sector))
		if s == nil || ^crc32c(without(s, 224, 4)) != le.Uint32(s[224:]) {
			return false
		}
	}
	info.Label, info.UUID = text(b[108:120]), uuid(b[32:48])
	return true
}

// btrfs: Documentation of its on-disk format, struct btrfs_super_block.
func btrfs(d *device, info *Info) bool {
	const at = 64 << 10
	if !d.has(at+0x40, "_BHRfS_M") {
		return false
	}
	b := d.at(at, pageSize)
	if b == nil || le.Uint64(b[0x30:]) != at || le.Uint16(b[0xc4:]) == 0 && ^crc32c(b[0x20:]) != le.Uint32(b) {
		return false
	}
	info.Label, info.UUID, info.UUIDSub = text(b[0x12b:0x22b]), uuid(b[0x20:0x30]), uuid(b[0x10b:0x11b])
	info.Members = int(min(le.Uint64(b[0x88:]), 1<<16))
	return true
}

// f2fs: include/linux/f2fs_fs.h.
func f2fs(d *device, info *Info) bool {
	const at = 0x400
	if !d.has(at, "\x10\x20\xf5\xf2") {
		return false
	}
	b := d.at(at, 0xc00)
	if b == nil {
		return false
	}
	major, minor := le.Uint16(b[4:]), le.Uint16(b[6:])
	if major == 1 && minor == 0 {
		return true // its fields stood elsewhere
	}
	if off := le.Uint32(b[0x20:]); off != 0 && (off > uint32(len(b))-4 || crcIEEE(0xf2f52010, b[:off]) != le.Uint32(b[off:])) {
		return false
	}
	info.Label, info.UUID = utf16text(b[0x7c:0x47c], le), uuid(b[0x6c:0x7c])
	info.Version = strconv.Itoa(int(major)) + "." + strconv.Itoa(int(minor))
	return true
}

// erofs: fs/erofs/erofs_fs.h.
func erofs(d *device, info *Info) bool {
	const at = 0x400
	if !d.has(at, "\xe2\xe1\xf5\xe0") {
		return false
	}
	b := d.at(at, 128)
	if b == nil || b[12] < 9 || b[12] > 16 {
		return false
	}
	if le.Uint32(b[8:])&1 != 0 {
		length := int64(1)<<b[12] - at
		if length <= 0 {
			length = 1 << b[12]
		}
		s := d.at(at, length)
		if s == nil || crc32c(without(s, 4, 4)) != le.Uint32(s[4:]) {
			return false
		}
	}
	info.Label, info.UUID = text(b[64:80]), uuid(b[48:64])
	return true
}

// squashfs: version 4 alone, as the kernel.
func squashfs(d *device, info *Info) bool {
	b := d.at(0, 32)
	if b == nil || string(b[:4]) != "hsqs" || le.Uint16(b[28:]) < 4 {
		return false
	}
	info.Version = strconv.Itoa(int(le.Uint16(b[28:]))) + "." + strconv.Itoa(int(le.Uint16(b[30:])))
	return true
}

// pages that swap areas are made for; the magic ends the first.
var pages = [...]int64{4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10}

var suspends = [...]struct{ magic, version string }{
	{"S1SUSPEND", "s1suspend"}, {"S2SUSPEND", "s2suspend"}, {"ULSUSPEND", "ulsuspend"}, {"LINHIB0001", "linhib0001"},
}

// swap: include/linux/swap.h, union swap_header.
func swap(d *device, info *Info) bool {
	for _, page := range pages {
		if d.has(page-10, "SWAPSPACE2") {
			b := d.at(1024, 8)
			if b == nil || le.Uint32(b) != 1 && be.Uint32(b) != 1 || zero(b[4:8]) {
				return false
			}
			return swapNames(d, info, "1")
		}
		if d.has(page-10, "SWAP-SPACE") {
			info.Version = "0"
			return true
		}
	}
	return false
}

// suspended is swap that holds the image of a sleeping machine: it must not be
// used as swap.
func suspended(d *device, info *Info) bool {
	for _, page := range pages {
		for _, s := range suspends {
			if d.has(page-10, s.magic) {
				return swapNames(d, info, s.version)
			}
		}
	}
	return false
}

func swapNames(d *device, info *Info, version string) bool {
	b := d.at(1024, 512)
	if b == nil {
		return false
	}
	if zero(b[172:180]) { // padding: in old areas there is garbage
		info.Label, info.UUID = text(b[28:44]), uuid(b[12:28])
	}
	info.Version = version
	return true
}
