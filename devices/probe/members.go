package probe

import "strconv"

const mdMagic = 0xa92b4efc

// mdMember looks where the four formats keep their superblock
// (include/uapi/linux/raid/md_p.h).
func mdMember(d *device, info *Info) bool {
	return md090(d, info) || md1(d, info, d.size&^0xfff-0x2000, "1.0") ||
		md1(d, info, 0, "1.1") || md1(d, info, 0x1000, "1.2")
}

// md090 is of the byte order of the machine that made it.
func md090(d *device, info *Info) bool {
	off := d.size&^0xffff - 0x10000
	b := d.at(off, 64)
	if b == nil {
		return false
	}
	word := le.Uint32
	if word(b) != mdMagic {
		word = be.Uint32
	}
	if word(b) != mdMagic {
		return false
	}
	major, minor, patch := word(b[4:]), word(b[8:]), word(b[12:])
	size := int64(word(b[32:])) << 10
	if d.size < size+0x10000 || off < size || d.covered(off) {
		return false
	}
	var id [16]byte
	be.PutUint32(id[0:], word(b[20:]))
	if minor >= 90 {
		be.PutUint32(id[4:], word(b[52:]))
		be.PutUint32(id[8:], word(b[56:]))
		be.PutUint32(id[12:], word(b[60:]))
	}
	info.UUID, info.Members = uuid(id[:]), int(word(b[40:]))
	info.Version = strconv.Itoa(int(major)) + "." + strconv.Itoa(int(minor)) + "." + strconv.Itoa(int(patch))
	return true
}

// covered says whether off belongs to a partition: the superblock of a last
// partition stands where that of the whole disk would be.
func (d *device) covered(off int64) bool {
	for _, p := range d.table(512).Partitions {
		if p.Start <= off && off < p.Start+p.Size {
			return true
		}
	}
	return false
}

func md1(d *device, info *Info, off int64, version string) bool {
	b := d.at(off, 256)
	if b == nil || le.Uint32(b) != mdMagic || le.Uint32(b[4:]) != 1 || le.Uint64(b[144:]) != uint64(off)>>9 {
		return false
	}
	roles := int64(le.Uint32(b[220:]))
	if roles > 1920 { // what fits in 4 KiB
		return false
	}
	if b = d.at(off, 256+2*roles); b == nil {
		return false
	}
	sum := uint64(0)
	for i := 0; i+1 < len(b); i += 4 {
		switch {
		case i == 216: // the sum itself
		case i+4 > len(b):
			sum += uint64(le.Uint16(b[i:]))
		default:
			sum += uint64(le.Uint32(b[i:]))
		}
	}
	if uint32(sum)+uint32(sum>>32) != le.Uint32(b[216:]) {
		return false
	}
	info.UUID, info.UUIDSub, info.Label = uuid(b[16:32]), uuid(b[168:184]), text(b[32:64])
	info.Version, info.Members = version, int(le.Uint32(b[92:]))
	return true
}

// lvmMember finds the label in one of the first four sectors (LVM2,
// lib/label/label.h).
func lvmMember(d *device, info *Info) bool {
	for sector := int64(0); sector < 4; sector++ {
		b := d.at(sector*512, 512)
		if b == nil || string(b[:8]) != "LABELONE" || string(b[24:32]) != "LVM2 001" {
			continue
		}
		if le.Uint64(b[8:]) != uint64(sector) || crcIEEE(0xf597a6cf, b[20:]) != le.Uint32(b[16:]) {
			return false
		}
		id := make([]byte, 0, 38)
		for i, c := range b[32:64] {
			if i >= 6 && i < 30 && i%4 == 2 {
				id = append(id, '-')
			}
			id = append(id, c)
		}
		info.UUID, info.Version = text(id), "LVM2 001"
		return true
	}
	return false
}

// luks: the specifications of LUKS1 and LUKS2; of LUKS2's second header only
// those places that are read anyway.
func luks(d *device, info *Info) bool {
	for _, off := range [...]int64{0, 0x4000, 0x8000, 0x10000 - 0x1000} {
		magic := "LUKS\xba\xbe"
		if off != 0 {
			magic = "SKUL\xba\xbe"
		}
		if !d.has(off, magic) {
			continue
		}
		b := d.at(off, 512)
		if b == nil {
			return false
		}
		version := be.Uint16(b[6:])
		if version == 2 {
			if be.Uint64(b[256:]) != uint64(off) {
				return false
			}
			info.Label = text(b[24:72])
		}
		info.UUID, info.Version = text(b[168:208]), strconv.Itoa(int(version))
		return version == 1 || version == 2
	}
	return false
}

// bitlocker: libbde, "BitLocker Drive Encryption format".
func bitlocker(d *device, info *Info) bool {
	b := d.at(0, 512)
	if b == nil {
		return false
	}
	var at uint64
	switch string(b[:11]) {
	case "\xeb\x52\x90-FVE-FS-":
		return true // Vista says no more
	case "\xeb\x58\x90-FVE-FS-":
		at = le.Uint64(b[176:])
		if v := le.Uint32(b[67:]); v != 0 {
			const zeros = "0000000000000000"
			digits := strconv.Itoa(int(int32(v)))
			info.UUID = zeros[len(digits):] + digits
		}
	case "\xeb\x58\x90MSWIN4.1":
		at = le.Uint64(b[440:])
	default:
		return false
	}
	if at == 0 || at > uint64(d.size) || !d.has(int64(at), "-FVE-FS-") {
		return false
	}
	b = d.at(int64(at), 12)
	if b == nil {
		return false
	}
	info.Version = strconv.Itoa(int(le.Uint16(b[10:])))
	return true
}

// bcache: drivers/md/bcache/bcache_ondisk.h.
func bcache(d *device, info *Info) bool {
	const at = 0x1000
	if !d.has(at+24, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81") {
		return false
	}
	b := d.at(at, 208+256*8)
	if b == nil || le.Uint64(b[8:]) != at/512 {
		return false
	}
	keys := int(le.Uint16(b[206:]))
	if keys > 256 || crc64(b[8:208+8*keys]) != le.Uint64(b) {
		return false
	}
	info.UUID = uuid(b[40:56])
	return true
}

// crc64 is CRC-64/WE, most significant bit first.
func crc64(b []byte) uint64 {
	crc := ^uint64(0)
	for _, c := range b {
		crc ^= uint64(c) << 56
		for range 8 {
			high := crc >> 63
			crc = crc<<1 ^ high*0x42f0e1eba9ea3693
		}
	}
	return ^crc
}
