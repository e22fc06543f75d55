package devices

import (
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// dataName is the name of a device's file in /run/udev/data: b8:0, c10:232,
// n2, +usb:1-1; see systemd's sd-device, device_get_device_id.
func dataName(u Uevent) string {
	major, minor := u.Env["MAJOR"], u.Env["MINOR"]
	switch {
	case major != "" && u.Subsystem == "block":
		return "b" + major + ":" + minor
	case major != "":
		return "c" + major + ":" + minor
	case u.Env["IFINDEX"] != "":
		return "n" + u.Env["IFINDEX"]
	}
	return "+" + u.Subsystem + ":" + filepath.Base(u.DevPath)
}

// dataText is what libudev reads of a device: S: links, I: since when, E: what
// is known of it. Without a line S: zpool waits for each disk for seconds. Lines
// end where a value has a line break of its own.
func dataText(e *entry) []byte {
	var b []byte
	line := func(kind, text string) {
		if strings.IndexByte(text, '\n') < 0 {
			b = append(append(append(b, kind...), text...), '\n')
		}
	}
	for _, l := range e.links {
		line("S:", l)
	}
	line("I:", strconv.FormatInt(e.since, 10))
	for _, key := range sortedProps(e.props) {
		line("E:", key+"="+e.props[key])
	}
	line("V:", "1")
	return b
}

func sortedProps(props map[string]string) []string {
	keys := make([]string, 0, len(props))
	for key := range props {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// record writes the device's file, by rename: libudev may be reading it.
func (c *Catalog) record(e *entry) {
	dir := filepath.Join(c.run, "data")
	path := filepath.Join(dir, dataName(e.u))
	temp := filepath.Join(dir, ".#"+dataName(e.u))
	text := dataText(e)
	err := os.WriteFile(temp, text, 0o644)
	if os.IsNotExist(err) {
		if err = os.MkdirAll(dir, 0o755); err == nil {
			err = os.WriteFile(temp, text, 0o644)
		}
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		c.cfg.Log(err.Error())
	}
}

func (c *Catalog) forget(e *entry) { _ = os.Remove(filepath.Join(c.run, "data", dataName(e.u))) }

// udevGroup is the multicast group of those who listen with libudev.
const udevGroup = 2

// openListeners opens the socket by which events are passed on; -1: none.
func openListeners() int {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return -1
	}
	// libudev refuses what comes from port 0, the kernel's.
	if unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) != nil {
		_ = unix.Close(fd)
		return -1
	}
	return fd
}

// tell passes an event on to zed and others that listen with libudev. Nobody
// listening is no mistake.
func (c *Catalog) tell(e *entry, u Uevent) {
	if c.listen >= 0 {
		_ = unix.Sendto(c.listen, monitorMessage(e, u), unix.MSG_DONTWAIT, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: udevGroup})
	}
}

// monitorMessage is an event as udevd sends it (systemd, device-monitor.c,
// monitor_netlink_header): what listeners filter by, as hashes, then KEY=VALUE
// parts. Hashes are in network order, lengths in the machine's.
func monitorMessage(e *entry, u Uevent) []byte {
	b := make([]byte, 40, 1024)
	copy(b, "libudev\x00\xfe\xed\xca\xfe")
	add := func(key, value string) { b = append(append(append(append(b, key...), '='), value...), 0) }
	add("ACTION", u.Action)
	for _, key := range sortedProps(u.Env) {
		switch {
		case key == "ACTION":
		case key == "DEVNAME":
			add(key, "/dev/"+strings.TrimPrefix(u.DevName, "/dev/"))
		case e.props[key] == "":
			add(key, u.Env[key])
		}
	}
	if u.Env["SEQNUM"] == "" { // of an event made here: any, but libudev drops 0
		add("SEQNUM", "1")
	}
	for _, key := range sortedProps(e.props) {
		add(key, e.props[key])
	}
	if len(e.links) > 0 {
		add("DEVLINKS", "/dev/"+strings.Join(e.links, " /dev/"))
	}
	add("USEC_INITIALIZED", strconv.FormatInt(e.since, 10))
	put := func(at int, v uint32) { native.PutUint32(b[at:], v) }
	put(12, 40)
	put(16, 40)
	put(20, uint32(len(b)-40))
	big.PutUint32(b[24:], murmur2(u.Subsystem))
	if devtype := u.Env["DEVTYPE"]; devtype != "" {
		big.PutUint32(b[28:], murmur2(devtype))
	}
	return b
}

// murmur2 is MurmurHash2 by Austin Appleby, with seed 0, which libudev's filters
// use.
func murmur2(s string) uint32 {
	const m = 0x5bd1e995
	h := uint32(len(s))
	for ; len(s) >= 4; s = s[4:] {
		k := uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
		k *= m
		k ^= k >> 24
		h = h*m ^ k*m
	}
	switch len(s) {
	case 3:
		h ^= uint32(s[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(s[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(s[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
