// Command coldplug does what the supervisor does about devices at boot, and ends
// when the first coldplug is through.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"hoopy/devices"
)

func main() {
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
		return nil
	case err := <-broken:
		return err
	}
}
