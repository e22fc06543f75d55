//go:build linux

// Command floor is the lower limit that the benchmark holds /init against: a
// PID 1 that does nothing but bring sshd on the network. It mounts what sshd
// needs, loads virtio-net by a list of files, starts `sshd -D`, asks for a
// lease meanwhile, and reaps. It supervises nothing, finds nothing out and
// never powers off: not an init, a measure.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// chain are the modules of a virtio network card in the order of their needs,
// below lib/modules/RELEASE/kernel. Those that a kernel has built in are absent.
var chain = []string{
	"drivers/virtio/virtio_ring.ko", "drivers/virtio/virtio.ko",
	"drivers/virtio/virtio_pci_legacy_dev.ko", "drivers/virtio/virtio_pci_modern_dev.ko", "drivers/virtio/virtio_pci.ko",
	"net/core/failover.ko", "drivers/net/net_failover.ko", "drivers/net/virtio_net.ko",
	"net/packet/af_packet.ko",
}

func main() {
	if os.Getpid() != 1 {
		os.Exit(1) // /sbin/modprobe is a link to /init, and the kernel waits for it
	}
	if err := run(); err != nil {
		say(err.Error())
	}
	for { // PID 1 never returns: the kernel would panic
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(-1, &status, 0, nil); errors.Is(err, syscall.ECHILD) {
			syscall.Pause()
		}
	}
}

// say puts a line on the console and into the kernel's log.
func say(line string) {
	if f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		fmt.Fprintf(f, "<5>floor: %s\n", line)
		f.Close()
	}
}

func run() error {
	for _, m := range []struct{ source, target, kind, data string }{
		{"dev", "/dev", "devtmpfs", "mode=0755"},
		{"proc", "/proc", "proc", ""},
		{"sys", "/sys", "sysfs", ""},
		{"run", "/run", "tmpfs", "mode=0755"},
		{"devpts", "/dev/pts", "devpts", "mode=0620,ptmxmode=0666"},
	} {
		os.MkdirAll(m.target, 0o755)
		if err := unix.Mount(m.source, m.target, m.kind, 0, m.data); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	if err := load(); err != nil {
		return err
	}
	console, err := os.OpenFile("/dev/console", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	fd := console.Fd()
	_, err = syscall.ForkExec("/usr/sbin/sshd", []string{"/usr/sbin/sshd", "-D", "-e"}, &syscall.ProcAttr{
		Dir: "/", Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, Files: []uintptr{fd, fd, fd},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("sshd: %w", err)
	}
	return lease()
}

func load() error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	dir := filepath.Join("/lib/modules", unix.ByteSliceToString(name.Release[:]), "kernel")
	for _, file := range chain {
		f, err := os.Open(filepath.Join(dir, file))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// lease takes the first Ethernet card up and asks for an address.
func lease() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, link := range links {
		if link.Type() == "device" && link.Attrs().Name != "lo" {
			return leaseOn(link)
		}
	}
	return errors.New("no network card")
}

func leaseOn(link netlink.Link) error {
	name := link.Attrs().Name
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := nclient4.New(name, nclient4.WithTimeout(500*time.Millisecond), nclient4.WithRetry(60))
	if err != nil {
		return err
	}
	defer client.Close()
	got, err := client.Request(ctx)
	if err != nil {
		return fmt.Errorf("dhcp: %w", err)
	}
	addr := &net.IPNet{IP: got.ACK.YourIPAddr, Mask: got.ACK.SubnetMask()}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: addr}); err != nil {
		return err
	}
	for _, router := range got.ACK.Router() {
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: router}); err != nil {
			return err
		}
	}
	say("lease " + addr.String())
	return nil
}
