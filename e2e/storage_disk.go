//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// bus is what a disk is plugged into. Each gives the guest another driver, other
// names and another way to learn the serial number.
type bus string

const (
	virtio bus = "virtio-blk-pci"
	usb    bus = "usb-storage"
	nvme   bus = "nvme"
	sata   bus = "ide-hd" // on q35's AHCI
	scsi   bus = "scsi-hd"
)

// disk is a raw image on a bus.
type disk struct {
	id     string // of the device, unique in a machine; it is the serial number too
	path   string
	bus    bus
	absent bool // its back end is there, for VM.plug
}

// diskArgs are qemu's arguments for disks. Back ends are nodes of their own, which
// an unplugged disk leaves behind: it can be plugged again. There is always a
// controller for USB.
func diskArgs(disks []disk) []string {
	args := []string{"-device", "qemu-xhci,id=xhci", "-device", "virtio-scsi-pci,id=scsi"}
	port := 0
	for _, d := range disks {
		args = append(args, "-blockdev", fmt.Sprintf("driver=raw,node-name=node-%s,file.driver=file,file.filename=%s",
			d.id, strings.ReplaceAll(d.path, ",", ",,")))
		if d.absent {
			continue
		}
		device := d.device()
		if d.bus == sata {
			device["bus"] = fmt.Sprintf("ide.%d", port)
			port++
		}
		text := ""
		for _, key := range slices.Sorted(maps.Keys(device)) {
			text += "," + key + "=" + device[key]
		}
		args = append(args, "-device", text[1:])
	}
	return args
}

// device are the arguments of device_add.
func (d disk) device() map[string]string {
	args := map[string]string{"driver": string(d.bus), "drive": "node-" + d.id, "id": d.id, "serial": d.id}
	switch d.bus {
	case usb:
		args["bus"] = "xhci.0"
	case scsi:
		args["bus"] = "scsi.0"
	}
	return args
}

// plug plugs a disk in while the machine runs. Its back end must be there: in the
// machine from its start, or since it was pulled.
func (v *VM) plug(d disk) {
	v.t.Helper()
	v.QMP("device_add", d.device())
}

// nullDisk gives a machine the back end of an empty disk, for plug.
func (v *VM) nullDisk(d disk) {
	v.t.Helper()
	v.QMP("blockdev-add", map[string]any{"driver": "null-co", "node-name": "node-" + d.id, "size": 1 << 20, "read-zeroes": true})
}

// pull pulls a disk out and returns when qemu has let go of it. A USB disk goes at
// once and without asking, as from a port.
func (v *VM) pull(d disk) {
	v.t.Helper()
	v.QMP("device_del", map[string]any{"id": d.id})
	v.Event("DEVICE_DELETED", 0)
}

// part is a partition of gpt.
type part struct {
	mib        int
	kind, name string // GUID of the type, or a short one of sfdisk's: "L", "U"
	uuid       string
}

// Solaris' /usr, which is what ZFS writes for a member.
const zfsPart = "6A898CC3-1DD2-11B2-99A6-080020736631"

// gpt writes a partition table onto an image. Partitions begin at 1 MiB and
// follow each other.
func gpt(t testing.TB, image string, parts ...part) {
	t.Helper()
	script := "label: gpt\n"
	start := 1
	for _, p := range parts {
		script += fmt.Sprintf("start=%dMiB, size=%dMiB, type=%s", start, p.mib, p.kind)
		if p.name != "" {
			script += fmt.Sprintf(", name=%q", p.name)
		}
		if p.uuid != "" {
			script += ", uuid=" + p.uuid
		}
		script += "\n"
		start += p.mib
	}
	cmd := exec.Command(sbin(t, "fdisk", "sfdisk"), "-q", image)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v: %s", err, out)
	}
}

// mkfsAt makes a file system on the n-th MiB of an image, for a partition there.
func mkfsAt(t testing.TB, image string, startMiB, mib int, debian, program string, args ...string) {
	t.Helper()
	file := Raw(t, int64(mib))
	format(t, debian, program, append(args, file)...)
	out, err := exec.Command("dd", "if="+file, "of="+image, "bs=1M", fmt.Sprintf("seek=%d", startMiB), "conv=notrunc,sparse", "status=none").CombinedOutput()
	if err != nil {
		t.Fatalf("dd: %v: %s", err, out)
	}
}

// zfsDisk makes an image with one partition for ZFS: zpool makes none itself where
// no udevd tells it that the nodes are there.
func zfsDisk(t testing.TB, mib int) string {
	t.Helper()
	image := Raw(t, int64(mib))
	gpt(t, image, part{mib: mib - 2, kind: zfsPart, name: "zfs"})
	return image
}
