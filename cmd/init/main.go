// Command init is every process of hoopy in one binary:
//
//	/init                   PID 1: the keeper
//	/init supervise EPOCH   the supervisor, started by the keeper
//	/init exec NAME         the launcher, between a spawn and its execve
//	/init rescue REASON     the shell on the console when nothing else works
//	modprobe …              by name, called by the kernel and by scripts
//	init …, telinit …       by name, not as PID 1: says what to use instead
//
// It is linked into /init of the image; docs/design.md says why it is several
// processes.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"hoopy/devices"
	"hoopy/keeper"
	"hoopy/keeper/rescue"
	"hoopy/process/launch"
)

// version is set by the build from the file VERSION.
var version = "0-dev"

func main() {
	if os.Getpid() == 1 {
		keep()
	}
	face := ""
	if len(os.Args) > 1 {
		face = os.Args[1]
	}
	switch name := filepath.Base(os.Args[0]); {
	case name == "modprobe":
		os.Exit(devices.Modprobe(os.Args[1:], os.Stdout, os.Stderr))
	case face == "exec":
		os.Exit(launch.Main())
	case face == "supervise" && len(os.Args) == 3:
		os.Exit(supervise(os.Args[2]))
	case face == "rescue":
		os.Exit(rescue.Main(os.Args[2:]))
	}
	fmt.Fprintln(os.Stderr, "init: hoopy", version, "runs as PID 1; use svc status, svc reboot, svc poweroff, svc halt")
	os.Exit(2)
}

// keep is PID 1. The keeper's own imports are few; what it wants of the runtime
// comes from here.
func keep() {
	c := keeper.Config{
		Self:      "/init",
		Version:   version,
		Procs:     runtime.GOMAXPROCS,
		StopGC:    func() { debug.SetGCPercent(-1) },
		CheckHeap: heapCheck(),
		Stack:     debug.Stack,
	}
	tune(&c)
	keeper.Run(c)
}

// heapSlack is how far the keeper's heap may grow before it is collected, in
// bytes: some dozens of spawns.
const heapSlack = 256 << 10

// heapCheck reads the size of the heap, which does not stop the world, and
// collects only when that is worth it, then gives free pages back. What the
// boot left behind is always worth it.
func heapCheck() func() {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	var floor uint64
	return func() {
		metrics.Read(sample)
		if sample[0].Value.Uint64() < floor+heapSlack && floor != 0 {
			return
		}
		debug.FreeOSMemory()
		metrics.Read(sample)
		floor = sample[0].Value.Uint64()
	}
}
