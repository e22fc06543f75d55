// Command pivot does what a container runtime does first: it unshares its mount
// namespace, has it take no part in the machine's mounts, binds a folder to itself and makes it its root by pivot_root(2).
package main

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

func main() {
	runtime.LockOSThread()
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"unshare", func() error { return unix.Unshare(unix.CLONE_NEWNS) }},
		{"slave", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "") }},
		{"mkdir", func() error { return os.MkdirAll("/tmp/new/old", 0o755) }},
		{"bind", func() error { return unix.Mount("/tmp/new", "/tmp/new", "", unix.MS_BIND, "") }},
		{"pivot_root", func() error { return unix.PivotRoot("/tmp/new", "/tmp/new/old") }},
	} {
		if err := step.do(); err != nil {
			fmt.Printf("%s: %v\n", step.name, err)
			os.Exit(1)
		}
	}
	fmt.Println("pivoted")
}
