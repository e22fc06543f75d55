package unit

import (
	"context"
	"strings"
	"time"
)

// Disk is a block device as the device source knows it: what the kernel says of
// it, what was read from it, and the names that it has for that.
type Disk struct {
	Node  string   // "sda1": the device is /dev/sda1
	Dev   uint64   // device number
	Disk  string   // the whole disk that a partition is of: "sda"; empty: it is one
	Size  int64    // bytes
	Links []string // below /dev: "disk/by-uuid/…"
	ID    string   // of the hardware, as in by-id: "ata-ST16000NM001G_ZL2NK1X4"; empty: it has none

	Type, Usage         string // "ext4", "filesystem"; see blkid(8)
	UUID, Label         string
	PartUUID, PartLabel string
	Dirty               bool   // its superblock says that it was not unmounted
	Pool                string // zfs_member: name of the pool
	PoolGUID, VdevGUID  uint64
}

// Is says whether the device is what a configuration means by what: UUID=…,
// LABEL=…, PARTUUID=…, PARTLABEL=…, ID=…, or a path below /dev. UUIDs are
// compared without case.
func (d *Disk) Is(what string) bool {
	name, value, tagged := strings.Cut(what, "=")
	if !tagged || strings.HasPrefix(what, "/") {
		path, ok := strings.CutPrefix(what, "/dev/")
		if !ok || path == d.Node {
			return ok
		}
		for _, l := range d.Links {
			if l == path {
				return true
			}
		}
		return false
	}
	switch name {
	case "UUID":
		return value != "" && strings.EqualFold(value, d.UUID)
	case "PARTUUID":
		return value != "" && strings.EqualFold(value, d.PartUUID)
	case "LABEL":
		return value != "" && value == d.Label
	case "PARTLABEL":
		return value != "" && value == d.PartLabel
	case "ID":
		return value != "" && value == d.ID
	}
	return false
}

// Disks is who wants to know of block devices. Its methods return at once.
type Disks interface {
	// Disk: the device is there, or what is known of it has changed.
	Disk(d Disk)
	// Gone: the device is not there any more.
	Gone(node string)
	// Settled: every device that was there at boot has been told of.
	Settled()
}

// MountConfig is a [persist], [[mount]] or [[swap]] of init.toml.
type MountConfig struct {
	// What is mounted: a device as Disk.Is has it, "tmpfs", "overlay", a folder
	// (bind), a dataset, "zram". Empty: somebody else mounts it.
	What    string
	Where   string // an absolute path; of swap empty
	Type    string // of the file system; empty: as the device says
	Options string // of mount(8), with commas
	// Optional: without its device it is skipped, and nobody is alarmed.
	Optional bool
	NoFsck   bool
	Persist  bool          // it is the persistence device
	Swap     bool          // swap space
	Wait     time.Duration // for its device
	Size     int64         // of zram, in bytes
	Priority int           // of swap; 0: the kernel chooses

	Needs, After []string
}

// unit is the name of its unit: of the persistence device the same wherever it
// is mounted.
func (c *MountConfig) unit() string {
	switch {
	case c.Swap:
		return SwapUnit(c.What)
	case c.Persist:
		return MountUnit(PersistPath)
	}
	return MountUnit(c.Where)
}

// PoolConfig is a [[pool]] of init.toml.
type PoolConfig struct {
	Name     string // empty: every pool that is there and has no unit of its own
	GUID     uint64 // 0: by name
	Search   []string
	Degraded bool // without all its disks it is imported all the same, when the time is over
	Force    bool // although another machine had it last
	ReadOnly bool
	Wait     time.Duration // for all its disks
	Keys     []KeyConfig

	Needs, After []string
}

// KeyConfig is where the key of an encrypted dataset comes from.
type KeyConfig struct {
	Dataset string // "tank/photos", or the pool
	File    string // path; empty: svc unlock asks
}

// DeviceRule is a [[device]] of init.toml: whose uevents match all of Match gets
// the rest.
type DeviceRule struct {
	Match        map[string]string // name of a variable of the uevent, shell pattern
	Owner, Group string
	Mode         uint32 // 0: as it is
	Link         string // below /dev
}

// Names of units that are not of a file in svc.
func MountUnit(where string) string { return "mount:" + where }
func SwapUnit(what string) string   { return "swap:" + what }
func PoolUnit(name string) string   { return "pool:" + name }
func DeviceUnit(name string) string { return "device:" + name }

// AllPools is the name of the unit that imports every pool that there is.
const AllPools = "pool:*"

// Defaults of storage.
const (
	PersistPath = "/persist"
	DeviceWait  = 30 * time.Second // of a mount for its device
	PoolWait    = 60 * time.Second // of a pool for all its disks
)

// Tool runs a program to its end for an arm: argv[0] by its absolute path, input
// on its stdin, its stdout and stderr together as output, cut at 64 KiB. It is
// ended when ctx is; then, and when it could not be started, there is an error.
// What it does is charged to the cgroup of the unit called name.
type Tool func(ctx context.Context, name string, argv []string, input []byte) (output []byte, status Status, err error)

// Unescape undoes \ooo, three octal digits, as which mountinfo, swaps and fstab(5)
// have blanks and backslashes. What is no such thing stays.
func Unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			n, ok := 0, true
			for _, c := range []byte(s[i+1 : i+4]) {
				n, ok = n<<3|int(c-'0'), ok && c >= '0' && c <= '7'
			}
			if ok && n < 256 {
				b, i = append(b, byte(n)), i+3
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
