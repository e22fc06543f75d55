package keeper

import (
	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

// The cgroups that the keeper makes. Units live below svc, and only the
// process arm makes those.
const (
	cgroupRoot       = "/sys/fs/cgroup"
	cgroupKeeper     = cgroupRoot + "/keeper"
	cgroupSupervisor = cgroupRoot + "/supervisor"
	cgroupRescue     = cgroupRoot + "/rescue"
	cgroupServices   = cgroupRoot + "/svc"
)

// makeCgroups makes the tree, so that the supervisor can be born into its leaf.
func (k *keeper) makeCgroups() {
	k.cgroups = true
	for _, dir := range [...]string{cgroupKeeper, cgroupSupervisor, cgroupRescue, cgroupServices} {
		if err := unix.Mkdir(dir, 0o755); err != nil && err != unix.EEXIST {
			k.log.Say(kmsg.Error, "cgroup ", dir, ": ", err.Error())
			k.cgroups = false
		}
	}
}

// orderCgroups moves PID 1 into its leaf and passes the controllers on: a
// cgroup that does must hold no process (the kernel's
// Documentation/admin-guide/cgroup-v2.rst, "no internal process constraint").
// Each of both waits for a grace period of the kernel, some 20 ms under TCG,
// which the supervisor's start does not.
func (k *keeper) orderCgroups() {
	if err := writeFile(cgroupKeeper+"/cgroup.procs", "0"); err != nil {
		k.log.Say(kmsg.Error, "cgroup ", cgroupKeeper, ": ", err.Error())
	}
	for _, dir := range [...]string{cgroupRoot, cgroupServices} {
		if writeFile(dir+"/cgroup.subtree_control", "+memory +pids +cpu +io") == nil {
			continue
		}
		for _, c := range [...]string{"memory", "pids", "cpu", "io"} {
			// One by one: a controller that the kernel lacks must not cost
			// the others.
			if err := writeFile(dir+"/cgroup.subtree_control", "+"+c); err != nil {
				k.log.Say(kmsg.Debug, "cgroup ", dir, ": no ", c, ": ", err.Error())
			}
		}
	}
	if err := writeFile(cgroupSupervisor+"/memory.min", "16777216"); err != nil {
		k.log.Say(kmsg.Debug, "cgroup ", cgroupSupervisor, ": memory.min: ", err.Error())
	}
}

// openCgroup is a descriptor for SysProcAttr.CgroupFD; -1 when there is none.
func (k *keeper) openCgroup(dir string) int {
	if !k.cgroups {
		return -1
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		k.log.Say(kmsg.Error, "cgroup ", dir, ": ", err.Error())
		return -1
	}
	return fd
}
