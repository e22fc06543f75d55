package devices

import (
	"path/filepath"
	"strconv"
	"strings"
)

// pathID is where a disk is plugged in, as udev's path_id writes it: the places
// from the controller down to the unit. compat is the older form for ATA. Both
// are empty where a part of the way has no name that would be the same at the
// next boot.
func pathID(up []place) (id, compat string) {
	transport, parent := false, false
	both := func(s string) {
		if id != "" {
			id = "-" + id
		}
		if compat != "" {
			compat = "-" + compat
		}
		id, compat = s+id, s+compat
	}
	for i := 0; i < len(up); i++ {
		p := up[i]
		name := filepath.Base(p.dir)
		// the way up goes on behind all that belong to the same bus
		skip := func() {
			for i+1 < len(up) && up[i+1].subsystem == p.subsystem {
				i++
			}
		}
		switch p.subsystem {
		case "scsi":
			parts := strings.Split(name, ":")
			if len(parts) != 4 {
				continue
			}
			text, old := scsiPath(p.dir, parts)
			if text == "" {
				return "", ""
			}
			both(text)
			if old != "" {
				compat = old
			}
			skip()
			transport = true
		case "usb":
			_, port, ok := strings.Cut(name, "-")
			if !ok {
				continue
			}
			both("usb-0:" + port)
			skip()
			transport, parent = true, true
		case "nvme":
			if nsid := attr(up[0].dir, "nsid"); nsid != "" {
				both("nvme-" + nsid)
				transport, parent = true, true
			}
			skip()
		case "virtio":
			skip()
			transport = true
		case "pci", "platform", "acpi", "xen":
			both(p.subsystem + "-" + name)
			skip()
			parent = true
			transport = transport || p.subsystem == "platform"
		}
	}
	if !transport || !parent {
		return "", ""
	}
	if compat == id {
		compat = ""
	}
	return id, compat
}

// scsiPath names a unit by its host adapter: the port of an ATA controller, the
// address or phy of a SAS disk, else the numbers of the unit with that of its
// host counted from the adapter's first. compat is "ata-1" for "ata-1.0".
func scsiPath(dir string, hctl []string) (text, compat string) {
	host := dir
	for !strings.HasPrefix(filepath.Base(host), "host") {
		if host = filepath.Dir(host); host == "/" || host == "." {
			return "", ""
		}
	}
	above := filepath.Dir(host)
	lun := hctl[3]
	switch {
	case strings.Contains(dir, "/ata") && strings.HasPrefix(filepath.Base(above), "ata"):
		port := attr(above, "ata_port/"+filepath.Base(above)+"/port_no")
		if port == "" {
			return "", ""
		}
		if hctl[1] != "0" {
			return "ata-" + port + "." + hctl[1] + ".0", "ata-" + port
		}
		return "ata-" + port + "." + hctl[2], "ata-" + port
	case strings.Contains(dir, "/end_device-"):
		end := dir
		for !strings.HasPrefix(filepath.Base(end), "end_device-") {
			end = filepath.Dir(end)
		}
		sas := filepath.Join(end, "sas_device", filepath.Base(end))
		port := filepath.Dir(end)
		phy, address := attr(sas, "phy_identifier"), attr(sas, "sas_address")
		if attr(port, "sas_port/"+filepath.Base(port)+"/num_phys") != "1" {
			return "sas-" + address + "-lun-" + lun, ""
		}
		if exp := filepath.Dir(port); strings.HasPrefix(filepath.Base(exp), "expander-") {
			return "sas-exp" + attr(exp, "sas_device/"+filepath.Base(exp)+"/sas_address") + "-phy" + phy + "-lun-" + lun, ""
		}
		return "sas-phy" + phy + "-lun-" + lun, ""
	case strings.Contains(dir, "/rport-"), strings.Contains(dir, "/session"):
		return "", "" // FibreChannel, iSCSI: not on this page
	}
	lowest := -1
	for _, name := range names(above) {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, "host")); err == nil && strings.HasPrefix(name, "host") && (lowest < 0 || n < lowest) {
			lowest = n
		}
	}
	n, err := strconv.Atoi(hctl[0])
	if err != nil || lowest < 0 {
		return "", ""
	}
	return "scsi-" + strconv.Itoa(n-lowest) + ":" + hctl[1] + ":" + hctl[2] + ":" + lun, ""
}
