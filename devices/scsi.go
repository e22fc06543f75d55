package devices

import (
	"encoding/hex"
	"strings"
)

// ataIdentity is what an ATA disk says of itself.
type ataIdentity struct{ model, serial, firmware, wwn string }

// id is ID_SERIAL of udev's ata_id.
func (a ataIdentity) id() string {
	if a.serial == "" {
		return a.model
	}
	return a.model + "_" + a.serial
}

// identifyATA reads vital product data page 89h (SAT-3, 10.3.5): the answer to
// IDENTIFY DEVICE stands at byte 60 of it. Strings are in words of two bytes, the
// first letter in the upper (ACS-3, 7.12.7).
func identifyATA(page []byte) (a ataIdentity, ok bool) {
	if len(page) < 60+512 || page[1] != 0x89 {
		return a, false
	}
	id := page[60:]
	words := func(from, to int) string {
		var b []byte
		for i := from; i < to; i++ {
			b = append(b, id[2*i+1], id[2*i])
		}
		text, _, _ := strings.Cut(string(b), "\x00")
		return clean(text)
	}
	a = ataIdentity{model: words(27, 47), serial: words(10, 20), firmware: words(23, 27)}
	if id[2*108+1]>>4 == 5 {
		var b []byte
		for i := 108; i < 112; i++ {
			b = append(b, id[2*i+1], id[2*i])
		}
		a.wwn = "0x" + hex.EncodeToString(b)
	}
	return a, a.model != ""
}

// scsiIdentity is what udev's scsi_id prints.
type scsiIdentity struct{ id, short, serial, wwn, wwnLong string }

// designators are the kinds of names of page 83h by their worth: type, and of
// type 3 (NAA) its first digit; -1 any. Of each the binary form comes first.
var designators = [...]struct{ kind, naa int8 }{{3, 6}, {3, 5}, {3, -1}, {2, -1}, {1, -1}, {0, -1}}

// identifySCSI chooses a name from vital product data pages 83h and 80h (SPC-4,
// 7.8), as systemd's scsi_serial.c does.
func identifySCSI(vendor, model string, page80, page83 []byte) (s scsiIdentity) {
	product := pad(vendor, 8) + pad(model, 16)
	if len(page80) > 4 && page80[1] == 0x80 {
		n := min(int(page80[2])<<8|int(page80[3]), len(page80)-4)
		s.serial = clean(cString(page80[4 : 4+n]))
	}
	if len(page83) > 4 && page83[1] == 0x83 {
		all := page83[4:min(4+int(page83[2])<<8+int(page83[3]), len(page83))]
		for _, want := range designators {
			for code := byte(1); code <= 2; code++ {
				for d := all; len(d) > 4 && len(d) >= 4+int(d[3]); d = d[4+int(d[3]):] {
					value := d[4 : 4+int(d[3])]
					if d[1]&0x30 != 0 || d[0]&0xf != code || int8(d[1]&0xf) != want.kind || len(value) == 0 || want.naa >= 0 && int8(value[0]>>4) != want.naa {
						continue
					}
					text := hex.EncodeToString(value)
					if code == 2 {
						text = cString(value)
					}
					before := ""
					if want.kind == 0 {
						before = product
					}
					s.id, s.short = clean(string('0'+rune(want.kind))+before+text), clean(text)
					if want.kind == 3 && code == 1 && len(text) >= 16 {
						s.wwn, s.wwnLong = "0x"+text[:16], "0x"+text
					}
					return s
				}
			}
		}
	}
	if s.serial != "" {
		s.id, s.short = clean("S"+product+s.serial), s.serial
	}
	return s
}

func pad(s string, n int) string { return (s + strings.Repeat(" ", n))[:n] }

func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
