package devices

import (
	"os"
	"path/filepath"
	"strings"
)

// firstBuses are read before the others: a network card sits on one of them.
var firstBuses = [...]string{"virtio", "pci", "vmbus", "xen", "usb"}

// lonely are the modaliases of devices that no bus lists.
var lonely = [...]string{"devices/virtual/dmi/id/modalias", "devices/system/cpu/modalias"}

// walkModaliases calls yield with each modalias below /sys/bus, and the two
// others. Devices that vanish meanwhile are skipped. Going by bus costs a
// seventh of a walk over /sys/devices.
func walkModaliases(sys string, yield func(modalias string)) {
	walkBuses(sys, names(filepath.Join(sys, "bus")), yield)
	for _, path := range lonely {
		if alias := firstLine(filepath.Join(sys, path)); alias != "" {
			yield(alias)
		}
	}
}

// walkBuses is walkModaliases for some buses, in their order.
func walkBuses(sys string, buses []string, yield func(modalias string)) {
	for _, name := range buses {
		dir := filepath.Join(sys, "bus", name, "devices")
		for _, device := range names(dir) {
			alias := firstLine(filepath.Join(dir, device, "modalias"))
			if alias == "" && name == "mmc" { // mmc:block stands only there
				text, _ := os.ReadFile(filepath.Join(dir, device, "uevent"))
				alias = parseEnv(string(text), "\n")["MODALIAS"]
			}
			if alias != "" {
				yield(alias)
			}
		}
	}
}

// names lists a folder; one that is not there is empty.
func names(dir string) []string {
	all, _ := list(dir) // what was read before an error counts
	return all
}

// list names what is in a folder, in any order (os.ReadDir sorts).
func list(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// classes whose devices the subscriber hears of though they were there before,
// in this order: those that have nodes which are not root's alone.
var classes = [...]string{
	"net", "block", "input", "misc", "tty", "mem", "vc", "sound", "drm", "graphics", "video4linux", "media", "kfd", "printer",
	"scsi_generic", "scsi_tape", "hidraw", "usbmisc", "usb",
}

// classDir is where sysfs lists the devices of a class; usb is a bus.
func classDir(sys, class string) string {
	if class == "usb" {
		return filepath.Join(sys, "bus/usb/devices")
	}
	return filepath.Join(sys, "class", class)
}

// known remembers the devices of these classes by path, with what tells a
// device from its successor at the same path.
type known map[string]identity

type identity struct{ subsystem, devname, major, minor, diskseq, ifindex string }

func identify(u Uevent) identity {
	return identity{u.Subsystem, u.DevName, u.Env["MAJOR"], u.Env["MINOR"], u.Env["DISKSEQ"], u.Env["IFINDEX"]}
}

func tracked(subsystem string) bool {
	for _, c := range classes {
		if c == subsystem {
			return true
		}
	}
	return false
}

// note follows one event of the kernel.
func (k known) note(u Uevent) {
	if !tracked(u.Subsystem) {
		return
	}
	switch u.Action {
	case "remove":
		delete(k, u.DevPath)
	case "move":
		delete(k, u.Env["DEVPATH_OLD"])
		k[u.DevPath] = identify(u)
	case "add", "change":
		k[u.DevPath] = identify(u)
	}
}

// scan compares sysfs with what is known and calls yield with the difference as
// events: first the devices that are gone, then new ones. If events were lost, all
// disks are told of again: one may have been a "change", such as that of a map that
// has its table now. Devices are read in
// the goroutine that delivers, so no "add" can follow the "remove" of a device
// that vanished in between.
func (k known) scan(sys string, lost bool, yield func(Uevent)) {
	var fresh []Uevent
	here := map[string]bool{}
	for _, class := range classes {
		dir := classDir(sys, class)
		for _, name := range names(dir) {
			u, ok := existing(dir, name, class)
			if !ok {
				continue
			}
			id, had := k[u.DevPath]
			same := had && id == identify(u)
			if same {
				here[u.DevPath] = true
			}
			if !same || lost && class == "block" {
				fresh = append(fresh, u)
			}
		}
	}
	for path, id := range k {
		if !here[path] {
			delete(k, path)
			yield(Uevent{
				Action: "remove", DevPath: path, Subsystem: id.subsystem,
				DevName: id.devname, Synthetic: true,
				Env: map[string]string{
					"ACTION": "remove", "DEVPATH": path, "SUBSYSTEM": id.subsystem, "DEVNAME": id.devname,
					"MAJOR": id.major, "MINOR": id.minor, "DISKSEQ": id.diskseq, "IFINDEX": id.ifindex,
				},
			})
		}
	}
	for _, u := range fresh {
		k[u.DevPath] = identify(u)
		yield(u)
	}
}

// existing makes the event of a device that is there.
func existing(dir, name, class string) (Uevent, bool) {
	link, err := os.Readlink(filepath.Join(dir, name))
	if err != nil {
		return Uevent{}, false // a plain file (bonding_masters), or gone
	}
	text, err := os.ReadFile(filepath.Join(dir, name, "uevent"))
	at := strings.Index(link, "devices/")
	if err != nil || at < 0 {
		return Uevent{}, false
	}
	env := parseEnv(string(text), "\n")
	path := "/" + link[at:]
	env["ACTION"], env["DEVPATH"], env["SUBSYSTEM"] = "add", path, class
	return Uevent{
		Action: "add", DevPath: path, Subsystem: class, DevName: env["DEVNAME"],
		Synthetic: true, Env: env,
	}, true
}
