package devices

import (
	"os"
	"path/filepath"
	"strings"

	"hoopy/devices/probe"
)

// place is a device of sysfs on the way from a disk up to its controller.
type place struct{ dir, subsystem string }

// chain lists a device and those above it that belong to a subsystem.
func chain(sys, path string) (up []place) {
	top := filepath.Join(sys, "devices")
	for dir := filepath.Join(sys, path); strings.HasPrefix(dir, top+"/"); dir = filepath.Dir(dir) {
		if link, err := os.Readlink(filepath.Join(dir, "subsystem")); err == nil {
			up = append(up, place{dir, filepath.Base(link)})
		}
	}
	return up
}

// attr reads an attribute of sysfs as udev does: without white space at its end.
func attr(dir, name string) string {
	return strings.TrimRight(firstLine(filepath.Join(dir, name)), " \t\r\x00")
}

// attrUp is ATTRS{name} of udev's rules: of the first that has it.
func attrUp(up []place, name string) string {
	for _, p := range up {
		if v := attr(p.dir, name); v != "" {
			return v
		}
	}
	return ""
}

func first(up []place, subsystem, file string) (dir string) {
	for _, p := range up {
		if p.subsystem == subsystem {
			if _, err := os.Lstat(filepath.Join(p.dir, file)); err == nil {
				return p.dir
			}
		}
	}
	return ""
}

// clean makes a name out of what a device says of itself: no white space at its
// ends, a '_' for each run of it and for each other character that names do not
// have (udev_replace_whitespace and udev_replace_chars).
func clean(s string) string {
	var b []byte
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' }) {
		if b != nil {
			b = append(b, '_')
		}
		for i := 0; i < len(word); {
			if strings.HasPrefix(word[i:], `\x`) { // as udev: it is written so already, such as the name of a map
				b = append(b, `\x`...)
				i += 2
				continue
			}
			enc := probe.EncodeString(word[i : i+1])
			n := 1
			for n < 4 && len(enc) > 1 && i+n < len(word) { // a character of several bytes stays
				n++
				if e := probe.EncodeString(word[i : i+n]); e == word[i:i+n] {
					enc = e
				}
			}
			if len(enc) > 1 && enc[0] == '\\' {
				enc, n = "_", 1
			} else {
				n = len(enc)
			}
			b = append(b, enc...)
			i += n
		}
	}
	return string(b)
}

// hardware is what is known of a whole disk without reading it: properties as
// udev has them, and names of links below disk/by-id, the best first.
//
// ATA disks are known by the IDENTIFY data that the kernel keeps as vital product
// data, page 89h; udev sends them the command, and gets the same. Disks behind
// USB are sent nothing: where their bridge does not pass that page on, they have
// the name usb-… alone, which udev gives them, too.
func hardware(sys string, u Uevent, up []place) (props map[string]string, ids []string) {
	props = map[string]string{}
	name, dir := u.DevName, filepath.Join(sys, u.DevPath)
	set := func(pairs ...string) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] != "" {
				props[pairs[i]] = pairs[i+1]
			}
		}
	}
	add := func(kind string, parts ...string) {
		for _, p := range parts {
			if p == "" {
				return
			}
		}
		if id := kind + "-" + strings.Join(parts, "_"); !contains(ids, id) {
			ids = append(ids, id)
		}
	}
	switch has := func(prefix string) bool { return strings.HasPrefix(name, prefix) }; {
	case has("nvme"):
		model, serial, wwid, nsid := attrUp(up, "model"), attrUp(up, "serial"), attr(dir, "wwid"), attr(dir, "nsid")
		set("ID_MODEL", model, "ID_SERIAL_SHORT", serial, "ID_WWN", wwid, "ID_REVISION", attrUp(up, "firmware_rev"), "ID_NSID", nsid)
		add("nvme", clean(model), clean(serial))
		add("nvme", clean(model), clean(serial), nsid)
		if len(ids) > 0 {
			set("ID_SERIAL", clean(model)+"_"+clean(serial)+"_"+nsid)
		}
		add("nvme", clean(wwid))
	case has("vd"):
		serial := attrUp(up, "serial")
		set("ID_SERIAL", serial)
		add("virtio", clean(serial))
	case has("sd"), has("sr"):
		device := filepath.Join(dir, "device")
		bus := ""
		usb := usbSerial(up, device)
		if isATA(device, usb != "" && attr(dir, "removable") == "0") {
			id, _ := os.ReadFile(filepath.Join(device, "vpd_pg89")) // without it, it is SCSI
			if a, ok := identifyATA(id); ok {
				bus = "ata"
				set("ID_ATA", "1", "ID_BUS", bus, "ID_MODEL", a.model, "ID_SERIAL", a.id(), "ID_SERIAL_SHORT", a.serial, "ID_REVISION", a.firmware,
					"ID_WWN", a.wwn, "ID_WWN_WITH_EXTENSION", a.wwn)
				add(bus, a.id())
			}
		}
		if usb != "" {
			set("ID_USB_SERIAL", usb)
			if bus == "" {
				bus = "usb"
				set("ID_BUS", bus, "ID_SERIAL", usb)
			}
			add("usb", usb)
		}
		if bus == "" {
			page80, _ := os.ReadFile(filepath.Join(device, "vpd_pg80"))
			page83, _ := os.ReadFile(filepath.Join(device, "vpd_pg83"))
			s := identifySCSI(attr(device, "vendor"), attr(device, "model"), page80, page83)
			set("ID_SCSI", "1", "ID_BUS", "scsi", "ID_VENDOR", clean(attr(device, "vendor")), "ID_MODEL", clean(attr(device, "model")), "ID_REVISION", clean(attr(device, "rev")),
				"ID_SERIAL", s.id, "ID_SERIAL_SHORT", s.short, "ID_SCSI_SERIAL", s.serial, "ID_WWN", s.wwn, "ID_WWN_WITH_EXTENSION", s.wwnLong)
			add("scsi", s.id)
		}
		add("wwn", props["ID_WWN_WITH_EXTENSION"])
		set("ID_TYPE", map[bool]string{true: "cd", false: "disk"}[has("sr")])
		if has("sr") {
			set("ID_CDROM", "1")
		}
	case has("mmcblk") && !strings.Contains(name, "boot"):
		card, serial := attrUp(up, "name"), attrUp(up, "serial")
		set("ID_NAME", card, "ID_SERIAL", serial)
		add("mmc", clean(card), clean(serial))
	case has("dm-"):
		dm, uuid := attr(dir, "dm/name"), attr(dir, "dm/uuid")
		set("DM_NAME", dm, "DM_UUID", uuid, "DM_SUSPENDED", attr(dir, "dm/suspended"), "DM_UDEV_RULES_VSN", "2")
		add("dm-name", clean(dm))
		add("dm-uuid", clean(uuid))
	}
	return props, ids
}

// isATA says whether udev would ask a disk of the SCSI layer for its ATA identity:
// one whose vendor is ATA (SAT-3, 10.2.2: also behind a SAS adapter), an ATAPI
// drive, a fixed disk behind USB. Others may have page 89h, too: volumes of RAID
// adapters.
func isATA(device string, fixedUSB bool) bool {
	level := attr(device, "scsi_level")
	return fixedUSB || attr(device, "vendor") == "ATA" || attr(device, "type") == "5" && level >= "6" && level <= "9"
}

// usbSerial is ID_SERIAL as udev's usb_id makes it: vendor, model and serial
// number, then target and unit of a storage device.
func usbSerial(up []place, device string) string {
	usb := first(up, "usb", "idVendor")
	interf := first(up, "usb", "bInterfaceClass")
	if usb == "" || interf == "" {
		return ""
	}
	var vendor, model, instance string
	class, sub := attr(interf, "bInterfaceClass"), attr(interf, "bInterfaceSubClass")
	if class == "08" && (sub == "06" || sub == "02") {
		vendor, model = clean(attr(device, "vendor")), clean(attr(device, "model"))
		if real, err := filepath.EvalSymlinks(device); err == nil {
			if parts := strings.Split(filepath.Base(real), ":"); len(parts) == 4 {
				instance = "-" + parts[2] + ":" + parts[3]
			}
		}
	}
	if vendor == "" {
		vendor = either(clean(attr(usb, "manufacturer")), attr(usb, "idVendor"))
	}
	if model == "" {
		model = either(clean(attr(usb, "product")), attr(usb, "idProduct"))
	}
	serial := attr(usb, "serial")
	for i := range len(serial) {
		if c := serial[i]; c < 0x20 || c > 0x7f || c == ',' { // as Windows: such a device has none
			serial = ""
			break
		}
	}
	if serial = clean(serial); serial != "" {
		serial = "_" + serial
	}
	return vendor + "_" + model + serial + instance
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
