//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	"hoopy/build/qemu"
)

func TestTmp(t *testing.T) {
	kernel, initrd := Image(t)
	vm := Boot(t, Config{Config: qemu.Config{Kernel: kernel, Initrd: Overlay(t, initrd, map[string]File{"init": floorInit(t)}), Cmdline: "console=ttyS0 panic=-1 loglevel=7", MemoryMB: 1024, SMP: 2}})
	vm.Expect("Run /init", 0)
	_, ok := vm.await("lease", 0)
	fmt.Println(ok, vm.Console())
}
