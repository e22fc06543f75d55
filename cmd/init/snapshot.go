package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"hoopy/supervisor"
)

// snapshotSlots maps the snapshot's memory: what the keeper holds, or new
// memory, whose descriptor is then returned for the keeper.
func snapshotSlots(stored map[string]int) (*supervisor.Slots, int, error) {
	fd, fresh := -1, -1
	if held, ok := stored[keySnapshot]; ok {
		delete(stored, keySnapshot)
		fd = held
		defer unix.Close(held)
	} else {
		var err error
		fresh, err = unix.MemfdCreate("snapshot", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err != nil {
			return nil, -1, fmt.Errorf("snapshot: memfd_create: %w", err)
		}
		if err := unix.Ftruncate(fresh, supervisor.SlotsSize); err != nil {
			return nil, -1, fmt.Errorf("snapshot: ftruncate: %w", err)
		}
		if _, err := unix.FcntlInt(uintptr(fresh), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
			return nil, -1, fmt.Errorf("snapshot: seal: %w", err)
		}
		fd = fresh
	}
	mem, err := unix.Mmap(fd, 0, supervisor.SlotsSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, -1, fmt.Errorf("snapshot: mmap: %w", err)
	}
	return supervisor.NewSlots(mem), fresh, nil
}
