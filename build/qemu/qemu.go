// Package qemu is the one place that knows how a machine is started: `make run`
// and the end-to-end tests describe it by a [Config] and get the same command
// line.
//
// # What the machine is
//
// q35 with nothing on it that was not asked for (-nodefaults): one serial
// console, virtio disks and network cards, a virtio entropy source, and ACPI,
// so that a power button can be pressed. It never reboots by itself: a guest
// that asks for a reset ends qemu like one that powers off, and the SHUTDOWN
// event of QMP tells the two apart ("guest-reset", "guest-shutdown").
//
// # Speed
//
// Without hardware virtualization two things cost the most: unpacking an
// xz-compressed kernel inside the guest ([Kernel] unpacks it once, outside) and
// a processor model with vector units to emulate (the default model is kept).
// Hardware virtualization is used only after it was seen to run guest code
// ([Accelerator]).
package qemu

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// Binary is the program that is looked for in $PATH.
const Binary = "qemu-system-x86_64"

// Install is the command that puts Binary on a Debian host.
const Install = "apt-get install -y --no-install-recommends qemu-system-x86"

// ErrMissing is the error of a host without qemu. Its text says what to type.
var ErrMissing = errors.New(Binary + ": not found; install it with: " + Install)

// Forward is a TCP port of the host's loopback that leads to a port of the
// guest. Both must be set: qemu cannot say which free port it would have taken.
type Forward struct {
	Host, Guest int
}

// NIC is a virtio network card behind qemu's user network: the guest gets
// 10.0.2.15 by DHCP, needs no privilege on the host and sees no other guest.
type NIC struct {
	// ID names the card's back end ("n0") for set_link and device_del; the card
	// itself is "nic-"+ID. Empty means "n" and the index.
	ID string
	// MAC is the hardware address; empty means qemu's default.
	MAC string
	// Open lets the guest reach the host's network. The zero value restricts it
	// to the forwarded ports and the DHCP server.
	Open bool
	// Forwards lead from the host's 127.0.0.1 into the guest.
	Forwards []Forward
}

// Disk is a raw image file.
type Disk struct {
	// ID names the device ("d0"); the back end is "drive-"+ID. Empty means "d"
	// and the index.
	ID string
	// Path is the image file; it must exist.
	Path string
	// Serial is what the guest reads as the disk's serial number, at most 20
	// bytes; empty means none.
	Serial string
	// USB attaches the disk as USB storage behind an xHCI controller; the zero
	// value is virtio-blk.
	USB bool
	// ReadOnly refuses writes.
	ReadOnly bool
	// Detached declares the back end alone: the test plugs the device itself.
	Detached bool
}

// Config is one machine.
type Config struct {
	// Kernel and Initrd are files; an empty Initrd means none, an empty Kernel
	// means that the machine boots from its disks or from Extra.
	Kernel, Initrd string
	// Cmdline is the kernel's command line.
	Cmdline string
	// MemoryMB is the memory in MiB; 0 means 512.
	MemoryMB int
	// SMP is the number of processors; 0 means 1.
	SMP int
	// Disks and NICs in the order in which they are plugged.
	Disks []Disk
	NICs  []NIC
	// QMP is the path of a unix socket on which the caller listens: qemu connects
	// to it at its start and speaks its machine protocol there, so nobody waits
	// for a socket to appear. Empty means none. At most 107 bytes (unix(7)).
	QMP string
	// Serial is the character device behind ttyS0; empty means "stdio".
	// "mon:stdio" is for people: Ctrl-A X ends qemu there.
	Serial string
	// Accel is "tcg" or "kvm"; empty means "tcg". See [Accelerator].
	Accel string
	// Extra is appended as it stands.
	Extra []string
}

// Find returns the path of qemu, or ErrMissing.
func Find() (string, error) {
	path, err := exec.LookPath(Binary)
	if err != nil {
		return "", ErrMissing
	}
	return path, nil
}

// Command returns the command that starts the machine, not started: its output
// and process group are the caller's. The context kills qemu when it ends.
func Command(ctx context.Context, c Config) (*exec.Cmd, error) {
	path, err := Find()
	if err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("qemu: %w", err)
	}
	return exec.CommandContext(ctx, path, c.Args()...), nil
}

// check refuses what qemu would not, or would say unclearly.
func (c Config) check() error {
	var errs []error
	for _, d := range c.Disks {
		if len(d.Serial) > 20 {
			errs = append(errs, fmt.Errorf("disk serial %q: longer than 20 bytes", d.Serial))
		}
	}
	if len(c.QMP) > 107 {
		errs = append(errs, fmt.Errorf("qmp socket %q: longer than 107 bytes", c.QMP))
	}
	for _, n := range c.NICs {
		for _, f := range n.Forwards {
			if f.Host <= 0 || f.Host > 65535 || f.Guest <= 0 || f.Guest > 65535 {
				errs = append(errs, fmt.Errorf("forward %d to %d: ports are 1 to 65535", f.Host, f.Guest))
			}
		}
	}
	return errors.Join(errs...)
}

// value writes a string as an option's value: qemu splits at single commas.
func value(s string) string { return strings.ReplaceAll(s, ",", ",,") }

// Args returns qemu's arguments, in one fixed order.
func (c Config) Args() []string {
	args := []string{
		"-machine", "q35", "-accel", or(c.Accel, "tcg"), "-cpu", c.cpu(),
		"-nodefaults", "-display", "none", "-no-reboot",
		"-m", strconv.Itoa(positive(c.MemoryMB, 512)),
		"-smp", strconv.Itoa(positive(c.SMP, 1)),
		"-serial", or(c.Serial, "stdio"),
		"-device", "virtio-rng-pci",
	}
	if c.Kernel != "" {
		args = append(args, "-kernel", c.Kernel)
	}
	if c.Initrd != "" {
		args = append(args, "-initrd", c.Initrd)
	}
	if c.Cmdline != "" {
		args = append(args, "-append", c.Cmdline)
	}
	if c.QMP != "" {
		args = append(args, "-qmp", "unix:"+value(c.QMP))
	}
	for i, n := range c.NICs {
		args = append(args, n.args(i)...)
	}
	usb := false
	for i, d := range c.Disks {
		if d.USB && !usb {
			args = append(args, "-device", "qemu-xhci,id=xhci")
			usb = true
		}
		args = append(args, d.args(i)...)
	}
	return append(args, c.Extra...)
}

// cpu is the host's processor where it runs the guest. For emulation it is the
// plain model, the fastest, with RDRAND added: every board of the last ten years
// has it, and without it the kernel gathers randomness for 1 s before it gives
// any to sshd or to a DHCP client.
func (c Config) cpu() string {
	if c.Accel == "kvm" {
		return "host"
	}
	return "qemu64,+rdrand"
}

func (n NIC) args(i int) []string {
	id := or(n.ID, "n"+strconv.Itoa(i))
	back := "user,id=" + id
	if !n.Open {
		back += ",restrict=on"
	}
	for _, f := range n.Forwards {
		back += fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%d-:%d", f.Host, f.Guest)
	}
	card := "virtio-net-pci,netdev=" + id + ",id=nic-" + id
	if n.MAC != "" {
		card += ",mac=" + value(n.MAC)
	}
	return []string{"-netdev", back, "-device", card}
}

func (d Disk) args(i int) []string {
	id := or(d.ID, "d"+strconv.Itoa(i))
	back := "if=none,format=raw,id=drive-" + id + ",file=" + value(d.Path)
	if d.ReadOnly {
		back += ",readonly=on"
	}
	args := []string{"-drive", back}
	if d.Detached {
		return args
	}
	device := "virtio-blk-pci"
	if d.USB {
		device = "usb-storage,bus=xhci.0"
	}
	device += ",drive=drive-" + id + ",id=" + id
	if d.Serial != "" {
		device += ",serial=" + value(d.Serial)
	}
	return append(args, "-device", device)
}

func or(s, zero string) string {
	if s == "" {
		return zero
	}
	return s
}

func positive(n, zero int) int {
	if n <= 0 {
		return zero
	}
	return n
}
