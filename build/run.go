package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	"hoopy/build/image"
	"hoopy/build/qemu"
)

// leastMB is what a machine gets at least, so that there is room to try things.
const leastMB = 512

// run boots the image with this terminal as its serial console, and returns
// when the machine is off.
func run(ctx context.Context, r *image.Result, port int, stdout io.Writer) error {
	port, err := freePort(port)
	if err != nil {
		return err
	}
	kernel, err := qemu.Kernel(r.Vmlinuz)
	if err != nil {
		return err
	}
	accel, err := qemu.Accelerator(ctx, kernel)
	if err != nil {
		return err
	}
	cmdline := "console=ttyS0 panic=-1"
	if r.Cmdline != "" {
		cmdline = r.Cmdline + " " + cmdline
	}
	cmd, err := qemu.Command(ctx, qemu.Config{
		Kernel: kernel, Initrd: r.Initramfs, Cmdline: cmdline,
		MemoryMB: max(leastMB, r.RAM), SMP: 2, Serial: "mon:stdio", Accel: accel,
		NICs: []qemu.NIC{{Open: true, Forwards: []qemu.Forward{{Host: port, Guest: 22}}}},
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%-10s qemu (%s), serial console here (Ctrl-A X ends); log in with\n%-10s ssh -i %s -o UserKnownHostsFile=%s -p %d root@127.0.0.1\n",
		"booting", accel, "", r.SSHKey, r.KnownHosts, port)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, os.Stderr
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("qemu: %w", err)
	}
	return nil
}

// freePort is the first port from here on that nobody listens on.
func freePort(from int) (int, error) {
	var last error
	for port := from; port < from+20; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
		last = err
	}
	return 0, fmt.Errorf("no port from %d to %d is free: %w", from, from+19, last)
}
