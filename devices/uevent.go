package devices

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// Uevent is one message of the kernel about a device
// (Documentation/ABI/testing/sysfs-uevent; lib/kobject_uevent.c).
type Uevent struct {
	Action    string // add, remove, change, move, online, offline, bind, unbind
	DevPath   string // below /sys: "/devices/pci0000:00/…"
	Subsystem string // net, block, input, …
	DevName   string // below /dev; empty without a node
	Seq       uint64 // 0 if Synthetic
	Synthetic bool   // made here, of a device that was there or is gone

	// Env holds all variables, those above included.
	Env map[string]string
}

var errUevent = errors.New("not a kernel uevent")

// parseUevent takes "ACTION@DEVPATH" and the variables, each ended by NUL. Only
// the first '@' and the first '=' of each part separate.
func parseUevent(msg []byte) (Uevent, error) {
	head, rest, ok := bytes.Cut(msg, []byte{0})
	if !ok {
		return Uevent{}, errUevent
	}
	action, path, ok := strings.Cut(string(head), "@")
	if !ok || action == "" || !strings.HasPrefix(path, "/") {
		return Uevent{}, errUevent
	}
	u := Uevent{Action: action, DevPath: path, Env: parseEnv(string(rest), "\x00")}
	u.Subsystem, u.DevName = u.Env["SUBSYSTEM"], u.Env["DEVNAME"]
	u.Seq, _ = strconv.ParseUint(u.Env["SEQNUM"], 10, 64) // 0 if absent
	return u, nil
}

// parseEnv takes KEY=VALUE parts, ignoring those without '='.
func parseEnv(text, sep string) map[string]string {
	env := make(map[string]string, 8)
	for part := range strings.SplitSeq(text, sep) {
		if key, value, ok := strings.Cut(part, "="); ok && key != "" {
			env[key] = value
		}
	}
	return env
}
