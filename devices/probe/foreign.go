package probe

import "strconv"

// fat is what the boot sector of a FAT file system says (ECMA-107, fatgen103).
type fat struct {
	sector, cluster   uint32 // bytes, sectors
	reserved, size    uint32 // sectors: before the first FAT; of all FATs
	length            uint32 // sectors of one FAT
	entries           uint32 // of the root directory; FAT12 and 16
	clusters          uint32
	wide              bool // FAT32
	root, information uint32
	serial, state     byte
}

var fatMagics = [...]struct {
	off   int
	magic string
}{
	{0x52, "MSWIN"}, {0x52, "FAT32   "}, {0x36, "MSDOS"}, {0x36, "FAT16   "}, {0x36, "FAT12   "}, {0x36, "FAT     "},
}

const (
	fat12Most = 0xff4
	fat16Most = 0xfff4
	fat32Most = 0x0ffffff6
)

// readFAT reads and checks the boot sector.
func readFAT(d *device) (f fat, ok bool) {
	b := d.at(0, 512)
	if b == nil {
		return f, false
	}
	named := false
	for _, m := range fatMagics {
		named = named || string(b[m.off:m.off+len(m.magic)]) == m.magic
	}
	if !named { // of old floppies; OS/2 puts such sectors before JFS and HPFS too
		if string(b[510:512]) != "\x55\xaa" || string(b[0x36:0x3e]) == "JFS     " || string(b[0x36:0x3e]) == "HPFS    " {
			return f, false
		}
	}
	f.sector, f.cluster, f.reserved = uint32(le.Uint16(b[11:])), uint32(b[13]), uint32(le.Uint16(b[14:]))
	fats, media := uint32(b[16]), b[21]
	if fats == 0 || f.reserved == 0 || media < 0xf8 && media != 0xf0 || !powerOfTwo(f.cluster) ||
		!powerOfTwo(f.sector) || f.sector < 512 || f.sector > 4096 {
		return f, false
	}
	f.entries = uint32(le.Uint16(b[17:]))
	sectors := uint32(le.Uint16(b[19:]))
	if sectors == 0 {
		sectors = le.Uint32(b[32:])
	}
	f.length = uint32(le.Uint16(b[22:]))
	if f.length == 0 {
		f.length, f.wide = le.Uint32(b[36:]), true
	}
	used := uint64(f.reserved) + uint64(f.length)*uint64(fats) + uint64(f.entries*32+f.sector-1)/uint64(f.sector)
	if f.length == 0 || used > uint64(sectors) {
		return f, false
	}
	f.size = f.length * fats
	f.clusters = (sectors - uint32(used)) / f.cluster
	f.serial, f.state = 0x27, b[0x25]
	most := uint32(fat16Most)
	if f.wide {
		f.root, f.information = le.Uint32(b[44:]), uint32(le.Uint16(b[48:]))
		f.serial, f.state, most = 0x43, b[0x41], fat32Most
	}
	return f, f.clusters <= most
}

// vfat takes the label from the root directory, where mkfs and fatlabel keep
// it; the boot sector's copy is not used, as in libblkid.
func vfat(d *device, info *Info) bool {
	f, ok := readFAT(d)
	if !ok || bitlocker(d, &Info{}) {
		return false
	}
	start := int64(f.reserved+f.size) * int64(f.sector)
	switch {
	case !f.wide:
		info.Version = "FAT16"
		if f.clusters < fat12Most {
			info.Version = "FAT12"
		}
		info.Label, _ = fatLabel(d, start, int64(f.entries)*32)
	default:
		info.Version = "FAT32"
		if !fatInformation(d, f) {
			return false
		}
		info.Label = fatChain(d, f, start)
	}
	info.UUID = serial(d.at(int64(f.serial), 4))
	switch {
	case f.state&2 != 0:
		info.Health = Faulty
	case f.state&1 != 0:
		info.Health = Dirty
	default:
		info.Health = Clean
	}
	return true
}

// fatInformation checks the sector that counts free clusters; some leave its
// signatures zero.
func fatInformation(d *device, f fat) bool {
	if f.information == 0 {
		return true
	}
	b := d.at(int64(f.information)*int64(f.sector), 512)
	if b == nil {
		return false
	}
	first, second := string(b[:4]), string(b[484:488])
	return (first == "RRaA" || first == "RRdA" || first == "\x00\x00\x00\x00") && (second == "rrAa" || second == "\x00\x00\x00\x00")
}

// fatChain follows the clusters of FAT32's root directory.
func fatChain(d *device, f fat, start int64) string {
	next, most := f.root, uint64(f.length)*uint64(f.sector)/4
	for range 100 {
		if next < 2 || uint64(next) >= most {
			break
		}
		size := int64(f.cluster) * int64(f.sector)
		if label, end := fatLabel(d, start+int64(next-2)*size, size); end {
			return label
		}
		b := d.at(int64(f.reserved)*int64(f.sector)+int64(next)*4, 4)
		if b == nil {
			break
		}
		next = le.Uint32(b) & 0x0fffffff
	}
	return ""
}

// fatLabel looks for a volume label in a piece of directory. End says that the
// directory has no more to say.
func fatLabel(d *device, off, size int64) (label string, end bool) {
	for ; size >= 32; off, size = off+32, size-32 {
		b := d.at(off, 32)
		if b == nil || b[0] == 0 {
			return "", true
		}
		// Not deleted, no directory, no part of a long name, no contents.
		if b[0] == 0xe5 || b[11]&0x3f == 0x0f || b[11]&0x18 != 0x08 || !zero(b[20:22]) || !zero(b[26:28]) {
			continue
		}
		name := [11]byte(b)
		if name[0] == 5 {
			name[0] = 0xe5
		}
		if string(name[:]) == "NO NAME    " {
			return "", true
		}
		return text(name[:]), true
	}
	return "", false
}

// exfat: Microsoft, "exFAT file system specification".
func exfat(d *device, info *Info) bool {
	if !d.has(3, "EXFAT   ") {
		return false
	}
	b := d.at(0, 512)
	if b == nil || string(b[:3]) != "\xeb\x76\x90" || string(b[510:512]) != "\x55\xaa" || !zero(b[11:64]) ||
		b[108] < 9 || b[108] > 12 || b[109] > 25-b[108] {
		return false
	}
	sector := int64(1) << b[108]
	cluster := sector << b[109]
	boot := d.at(0, 12*sector)
	if boot == nil {
		return false
	}
	var sum uint32
	for i, c := range boot[:11*sector] {
		if i != 106 && i != 107 && i != 112 {
			sum = sum>>1 | sum<<31
			sum += uint32(c)
		}
	}
	for s := boot[11*sector:]; len(s) >= 4; s = s[4:] {
		if le.Uint32(s) != sum {
			return false
		}
	}
	info.UUID = serial(b[100:104])
	info.Version = strconv.Itoa(int(b[105])) + "." + strconv.Itoa(int(b[104]))
	switch flags := le.Uint16(b[106:]); {
	case flags&4 != 0:
		info.Health = Faulty
	case flags&2 != 0:
		info.Health = Dirty
	default:
		info.Health = Clean
	}
	fat, heap := int64(le.Uint32(b[80:]))*sector, int64(le.Uint32(b[88:]))*sector
	next, most := le.Uint32(b[96:]), le.Uint32(b[92:])+1
	for range 100 {
		if next < 2 || next > most {
			break
		}
		for off, end := heap+int64(next-2)*cluster, heap+int64(next-1)*cluster; off < end; off += 32 {
			e := d.at(off, 32)
			if e == nil || e[0] == 0 {
				return true
			}
			if e[0] == 0x83 {
				info.Label = utf16text(e[2:2+2*min(int(e[1]), 11)], le)
				return true
			}
		}
		e := d.at(fat+int64(next)*4, 4)
		if e == nil {
			break
		}
		next = le.Uint32(e)
	}
	return true
}

// ntfs: the boot sector, and record 3 of the master file table: $Volume.
func ntfs(d *device, info *Info) bool {
	if !d.has(3, "NTFS    ") {
		return false
	}
	b := d.at(0, 512)
	if b == nil {
		return false
	}
	sector, sectors := int64(le.Uint16(b[11:])), int64(b[13])
	if b[13] > 0xf4 { // clusters above 64 KiB: a negative power of two
		sectors = 1 << (-int8(b[13]))
	}
	if sector < 256 || sector > 4096 || !powerOfTwo(uint32(sectors)) || sector*sectors > 2<<20 ||
		!zero(b[14:21]) || !zero(b[22:24]) || !zero(b[32:36]) {
		return false
	}
	cluster := sector * sectors
	record := int64(int8(b[64])) * cluster
	if record < 0 {
		shift := -int8(b[64])
		if shift < 9 || shift > 31 {
			return false
		}
		record = 1 << shift
	}
	table := le.Uint64(b[48:])
	if record < 512 || record > 64<<10 || table > uint64(d.size/cluster) || le.Uint64(b[56:]) > le.Uint64(b[40:])/uint64(sectors) {
		return false
	}
	off := int64(table) * cluster
	if !d.has(off, "FILE") || !d.has(off+3*record, "FILE") {
		return false
	}
	info.UUID = hex(le.Uint64(b[72:]), 16, hexUpper)
	m := d.at(off+3*record, record)
	if m == nil {
		return false
	}
	for at := int(le.Uint16(m[20:])); at >= 0 && at+24 <= len(m); {
		a := m[at:]
		length := le.Uint32(a[4:])
		value, size := uint32(le.Uint16(a[20:])), le.Uint32(a[16:])
		if length < 24 || length > uint32(len(a)) {
			break
		}
		if a[8] == 0 && value <= length && size <= length-value {
			switch v := a[value : value+size]; le.Uint32(a) {
			case 0x60: // volume name
				info.Label = utf16text(v, le)
			case 0x70: // volume information
				info.Health = Clean
				if len(v) >= 12 && v[10]&1 != 0 {
					info.Health = Dirty
				}
			}
		}
		at += int(length)
	}
	return true
}

// iso9660: ECMA-119, and the Joliet specification for the second label.
func iso9660(d *device, info *Info) bool {
	const start, sector = 32 << 10, 2 << 10
	if !d.has(start+1, "CD001") {
		return false
	}
	b := d.at(start, sector)
	if b == nil {
		return false
	}
	// b may lie outside the head of a short piece: take what is needed first.
	plain := [32]byte(b[40:72])
	if info.UUID = isoDate(b[830:847]); info.UUID == "" {
		info.UUID = isoDate(b[813:830])
	}
	info.Label = text(plain[:])
	for i := int64(1); i <= 16; i++ {
		v := d.at(start+i*sector, sector)
		if v == nil || v[0] == 0xff || string(v[1:6]) != "CD001" {
			break
		}
		if e := string(v[88:91]); v[0] == 2 && (e == "%/@" || e == "%/C" || e == "%/E") {
			info.Version = "Joliet Extension"
			info.Label = jolietLabel(plain[:], v[40:72])
			break
		}
	}
	return true
}

// jolietLabel merges the two labels: Joliet's has lower case and all letters,
// but only half the length.
func jolietLabel(plain, wide []byte) string {
	var out []byte
	for i := range 32 {
		var r, p rune
		if i < 16 {
			r = rune(be.Uint16(wide[2*i:]))
		}
		p = rune(plain[i])
		if r == 0 && i < 16 {
			break
		}
		if i >= 16 {
			if p == 0 {
				break
			}
			r = p
		}
		out = appendRune(out, r)
	}
	return text(out)
}

// isoDate makes a UUID of a date of 16 digits; all zero is none.
func isoDate(b []byte) string {
	unset := b[16] == 0
	for _, c := range b[:16] {
		unset = unset && c == '0'
	}
	if unset || zero(b[:16]) {
		return ""
	}
	out := make([]byte, 0, 22)
	for i, c := range b[:16] {
		if i >= 4 && i%2 == 0 {
			out = append(out, '-')
		}
		out = append(out, c)
	}
	return text(out)
}
