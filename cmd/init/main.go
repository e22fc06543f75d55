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
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"

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
	smallPages()
	c := keeper.Config{
		Self:      "/init",
		Version:   version,
		Procs:     runtime.GOMAXPROCS,
		StopGC:    func() { debug.SetGCPercent(-1) },
		CheckHeap: checkHeap(),
		Stack:     debug.Stack,
	}
	tune(&c)
	keeper.Run(c)
}

// heapMost is how far the keeper's memory may grow before it is collected, in
// bytes: about a hundred spawns; heapBare about what it has before the first.
const (
	heapMost = 768 << 10
	heapBare = 1 << 20
)

// checkHeap asks the kernel how much memory there is, which does not stop the
// world. It collects only when it must, or cannot know: a collection needs half
// as much memory for itself, and some of that for each of the runtime's
// processors. (Package runtime/metrics knows as well, and is 24 kB of /init.)
func checkHeap() func() {
	left := heapBare // by the last collection
	return func() {
		if n := anonymous(); n >= 0 && n < left+heapMost {
			return
		}
		procs := runtime.GOMAXPROCS(2)
		debug.FreeOSMemory()
		runtime.GOMAXPROCS(procs)
		left = max(anonymous(), heapBare)
	}
}

// anonymous is how many bytes of memory are this process's own and hold no file;
// -1: the kernel does not tell. See proc_pid_smaps(5). It leaves next to no
// garbage, since it is called for years.
func anonymous() int {
	fd, err := unix.Open("/proc/self/smaps_rollup", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	defer unix.Close(fd)
	var buf [2048]byte
	n, _ := unix.Read(fd, buf[:])
	return readAnonymous(buf[:max(n, 0)])
}

func readAnonymous(rollup []byte) int {
	_, rest, ok := bytes.Cut(rollup, []byte("\nAnonymous:"))
	line, _, whole := bytes.Cut(rest, []byte(" kB\n"))
	if !ok || !whole {
		return -1
	}
	kb := 0
	for _, c := range bytes.TrimLeft(line, " ") {
		if c < '0' || c > '9' {
			return -1
		}
		kb = kb*10 + int(c-'0')
	}
	return kb << 10
}

// smallPages has this process, and the supervisor after it, do without huge
// pages: 2 MB each, and the heap had its first before main. So it executes
// itself once more, with the flag set; 2 ms, and nothing has happened yet that
// could be lost. The launcher takes the flag off again. Where that does not
// work, it costs memory and no more.
func smallPages() {
	set, err := unix.PrctlRetInt(unix.PR_GET_THP_DISABLE, 0, 0, 0, 0)
	if err != nil || set != 0 || unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0) != nil {
		return
	}
	_ = unix.Exec("/init", os.Args, os.Environ())
}
