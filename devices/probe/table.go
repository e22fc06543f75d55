package probe

import (
	"io"
	"strconv"
)

// Table is a partition table.
type Table struct {
	Type    string // gpt, dos; PMBR is a GPT of which both copies are damaged; empty: none
	UUID    string // of the disk: ID_PART_TABLE_UUID
	Damaged bool   // GPT: the first copy is unusable, this is the second
	// Partitions in order of their numbers, logical ones included.
	Partitions []Partition
}

// Partition is an entry of a table.
type Partition struct {
	Number int    // as in the kernel's name: 1 in sda1
	UUID   string // as in /dev/disk/by-partuuid
	Label  string // GPT only; for /dev/disk/by-partlabel see EncodeString
	Type   string // GPT: a GUID; dos: 0x83
	Start  int64  // bytes
	Size   int64  // bytes
	Flags  uint64 // GPT: attributes; dos: 0x80 active
}

// ReadTable reads the partition table of a whole disk of size bytes with
// logical sectors of the given bytes. Where Probe finds a raid member, the
// table is not the disk's but what the raid holds: do not ask then. The error
// is that of a failed read.
func ReadTable(r io.ReaderAt, size int64, sector int) (Table, error) {
	d := &device{r: r, size: size}
	if size < 1024 || sector < 512 || sector > 64<<10 {
		return Table{}, nil
	}
	d.load(0, 0, 20<<10) // both tables; of 4 KiB sectors the GPT's first entries
	t := d.table(int64(sector))
	return t, d.err
}

func (d *device) table(sector int64) Table {
	b := d.at(0, 512)
	if b == nil || string(b[510:]) != "\x55\xaa" {
		return Table{}
	}
	b = append([]byte(nil), b...)
	for entry := b[446:510]; len(entry) > 0; entry = entry[16:] {
		if entry[4] != 0xee {
			continue
		}
		if d.size <= tiny {
			return Table{}
		}
		if t, ok := d.gpt(1, sector); ok {
			return t
		}
		if t, ok := d.gpt(d.size/sector-1, sector); ok {
			t.Damaged = true
			return t
		}
		return Table{Type: "PMBR"}
	}
	// A boot sector ends with the same signature.
	if _, ok := readFAT(d); ok || ntfs(d, &Info{}) || exfat(d, &Info{}) || d.has(0, "\xc9\xc2\xd4\xc1") {
		return Table{}
	}
	return d.dos(b, sector)
}

// gpt reads the copy whose header is at lba (UEFI 2.10, chapter 5).
func (d *device) gpt(lba, sector int64) (t Table, ok bool) {
	last := uint64(d.size/sector) - 1
	b := d.at(lba*sector, sector)
	if b == nil || string(b[:8]) != "EFI PART" {
		return t, false
	}
	length := le.Uint32(b[12:])
	if length < 92 || int64(length) > sector || ^crcIEEE(^uint32(0), without(b[:length], 16, 4)) != le.Uint32(b[16:]) {
		return t, false
	}
	first, end := le.Uint64(b[40:]), le.Uint64(b[48:])
	entriesAt, count, size := le.Uint64(b[72:]), le.Uint32(b[80:]), le.Uint32(b[84:])
	sum := le.Uint32(b[88:])
	if le.Uint64(b[24:]) != uint64(lba) || end < first || first > last || end > last ||
		first < uint64(lba) && uint64(lba) < end || entriesAt > last || size != 128 || count == 0 || count > 4096 {
		return t, false
	}
	t = Table{Type: "gpt", UUID: guid(b[56:])}
	entries := d.at(int64(entriesAt)*sector, int64(count)*128)
	if entries == nil || ^crcIEEE(^uint32(0), entries) != sum {
		return t, false
	}
	for i := range int(count) {
		e := entries[i*128 : i*128+128]
		from, to := le.Uint64(e[32:]), le.Uint64(e[40:])
		if zero(e[:16]) || from < first || to > end || to < from {
			continue
		}
		t.Partitions = append(t.Partitions, Partition{
			Number: i + 1, UUID: guid(e[16:]), Label: utf16text(e[56:], le), Type: guid(e),
			Start: int64(from) * sector, Size: int64(to-from+1) * sector, Flags: le.Uint64(e[48:]),
		})
	}
	return t, true
}

func extended(kind byte) bool { return kind == 0x05 || kind == 0x0f || kind == 0x85 }

// dos reads a master boot record and the logical partitions behind it.
func (d *device) dos(b []byte, sector int64) Table {
	for i := range 4 {
		if active := b[446+16*i]; active != 0 && active != 0x80 {
			return Table{}
		}
	}
	t := Table{Type: "dos"}
	id := le.Uint32(b[440:])
	if id != 0 {
		t.UUID = hex(uint64(id), 8, hexLower)
	}
	for i := range 4 {
		t.add(id, i+1, b[446+16*i:], 0, sector)
	}
	for i := range 4 {
		if e := b[446+16*i:]; extended(e[4]) && le.Uint32(e[12:]) != 0 {
			d.logical(&t, id, int64(le.Uint32(e[8:])), int64(le.Uint32(e[12:])), sector)
		}
	}
	return t
}

// add takes an entry whose start counts from base, unless it is empty.
func (t *Table) add(id uint32, number int, e []byte, base, sector int64) {
	size := int64(le.Uint32(e[12:]))
	if size == 0 {
		return
	}
	p := Partition{
		Number: number, Type: "0x" + strconv.FormatUint(uint64(e[4]), 16), Flags: uint64(e[0]),
		Start: (base + int64(le.Uint32(e[8:]))) * sector, Size: size * sector,
	}
	if id != 0 {
		digits := max(2, len(strconv.FormatUint(uint64(number), 16)))
		p.UUID = hex(uint64(id), 8, hexLower) + "-" + hex(uint64(number), digits, hexLower)
	}
	t.Partitions = append(t.Partitions, p)
}

// logical follows the chain of an extended partition; starts of data count from
// the link, those of links from the extended partition. Numbers go on from 5.
func (d *device) logical(t *Table, id uint32, base, size, sector int64) {
	number := 5
	for _, p := range t.Partitions {
		number = max(number, p.Number+1)
	}
	at, within := base, size
	for range 100 {
		b := d.at(at*sector, 512)
		if b == nil || string(b[510:]) != "\x55\xaa" {
			return
		}
		b = append([]byte(nil), b...)
		next, room := int64(-1), int64(0)
		for i := range 4 {
			e := b[446+16*i:]
			from, length := int64(le.Uint32(e[8:])), int64(le.Uint32(e[12:]))
			switch {
			case length == 0:
			case extended(e[4]):
				if next < 0 {
					next, room = base+from, length
				}
			case i >= 2 && (from+length > within || at+from+length > base+size):
			default:
				t.add(id, number, e, at, sector)
				number++
			}
		}
		if next < 0 || next == at {
			return
		}
		at, within = next, room
	}
}
