// Command coldplug does what the supervisor does about devices at boot. When the
// first coldplug is through, it writes /proc/uptime into the file that it is given.
// It ends a minute after it began: drivers do not take a device whose loader is being
// killed.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"hoopy/devices"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: coldplug FILE")
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "coldplug:", err)
		os.Exit(1)
	}
}

func run() error {
	say := func(line string) { fmt.Fprintln(os.Stderr, line) }
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	catalog := devices.NewCatalog(devices.CatalogConfig{Log: say})
	source, err := devices.New(devices.Config{Log: say, Catalog: catalog})
	if err != nil {
		return err
	}
	source.Booted() // nothing is to be let past
	broken := make(chan error, 2)
	go func() { broken <- catalog.Run(ctx) }()
	go func() { broken <- source.Run(ctx, func(devices.Uevent) {}) }()
	select {
	case <-source.Coldplugged():
		now, err := os.ReadFile("/proc/uptime")
		if err != nil {
			return err
		}
		if err := os.WriteFile(os.Args[1], now, 0o644); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	case err := <-broken:
		return err
	}
}
